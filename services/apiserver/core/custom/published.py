"""The schema of a custom kind as OpenAPI shows it, and as server-side apply merges by it.

Source: apiextensions-apiserver `pkg/controller/openapi/builder/builder.go`, `pkg/apiserver/schema/kubeopenapi.go`.
"""

from typing import Any, Final

from podwire.proto.kube.json_objects import section
from podwire.services.apiserver.core.custom.structural import PRESERVE
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.kinds.kind import Kind
from podwire.services.apiserver.core.schema import META, definitions

_JUNCTORS: Final = ("allOf", "anyOf", "oneOf", "not", "nullable", "example", "externalDocs")


def published(kind: Kind) -> Json:
    """The whole schema of a custom kind, with what every object has; references are to packaged definitions."""
    schema = kind.custom.schema if kind.custom is not None else {}
    known = section(schema, "properties")
    meta = {"description": _text("metadata"), "$ref": f"#/$defs/{META}.ObjectMeta"}
    every = {name: {"description": _text(name), "type": "string"} for name in ("apiVersion", "kind")}
    gvk = {"group": kind.group, "version": kind.version, "kind": kind.kind}
    found = {"type": "object"} | schema | {"properties": {**known, **every, "metadata": meta}}
    return found | {"x-kubernetes-group-version-kind": [gvk]}


def _text(name: str) -> str:
    """What every kind says of a field that all have."""
    part = section(definitions(), "io.k8s.api.core.v1.ConfigMap", "properties", name)
    return str(part.get("description", ""))


def without_junctors(part: Any) -> Any:
    """A schema in OpenAPI v2's words: what kubectl would refuse without reason is left out (ToStructuralOpenAPIV2)."""
    if isinstance(part, list):
        return [without_junctors(entry) for entry in part]
    if not isinstance(part, dict):
        return part
    left_out = (*_JUNCTORS, "type", "properties", "items") if part.get(PRESERVE) else _JUNCTORS
    return {
        name: _properties(entry) if name == "properties" else without_junctors(entry)
        for name, entry in part.items()
        if name not in left_out or (name == "allOf" and "$ref" in entry[0])
    }


def _properties(parts: Json) -> Json:
    return {name: without_junctors(part) for name, part in parts.items()}
