"""kubectl's way from client-side to server-side apply: the annotation in which it keeps what it applied last.

Source: apimachinery `util/managedfields/internal/lastapplied.go`, `lastappliedmanager.go`, `lastappliedupdater.go`.
"""

from typing import Final

import msgspec

from podwire.proto.kube.json_objects import section
from podwire.services.apiserver.core.apply.compare import compare
from podwire.services.apiserver.core.apply.field_set import FieldSet
from podwire.services.apiserver.core.apply.shapes import Shape
from podwire.services.apiserver.core.apply.typed import fields_of, problems
from podwire.services.apiserver.core.json_types import Json, to_json

KUBECTL: Final = "kubectl"
"""The one manager that takes over what client-side apply wrote."""
_ANNOTATION: Final = "kubectl.kubernetes.io/last-applied-configuration"


def taken_over(live: Json, shape: Shape) -> FieldSet:
    """The fields that client-side apply wrote and nobody has changed since: these are kubectl's own already."""
    text = section(live, "metadata", "annotations").get(_ANNOTATION)
    config = _decoded(text) if isinstance(text, str) else None
    if config is None or config.get("apiVersion") != live.get("apiVersion") or problems(config, shape):
        return FieldSet()
    changes = compare(config, live, shape)
    other = changes.modified.union(changes.added).union(changes.removed)
    return fields_of(config, shape).difference(other)


def _decoded(text: str) -> Json | None:
    try:
        config = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    return config if isinstance(config, dict) else None


def keep_in_step(merged: Json, config: Json) -> None:
    """An object that has the annotation gets the applied configuration there, so that client-side apply can go on."""
    annotations = section(merged, "metadata", "annotations")
    if _ANNOTATION not in annotations:
        return
    meta = {name: entry for name, entry in section(config, "metadata").items() if name != "managedFields"}
    if isinstance(meta.get("annotations"), dict):
        meta["annotations"] = {name: text for name, text in meta["annotations"].items() if name != _ANNOTATION}
    annotations[_ANNOTATION] = to_json(config | {"metadata": meta}).decode() + "\n"
