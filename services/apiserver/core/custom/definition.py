"""The kinds that an established CustomResourceDefinition makes: one a served version.

Source: apiextensions-apiserver `pkg/apiserver/customresource_handler.go`, `customresource_discovery_controller.go`.
"""

import re
from functools import partial
from typing import Final

from podwire.proto.kube.json_objects import items, section
from podwire.services.apiserver.core import names
from podwire.services.apiserver.core.custom import checking, columns, structural
from podwire.services.apiserver.core.custom.json_path import find
from podwire.services.apiserver.core.errors import FieldErrors
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.kinds.kind import SCALE, STATUS, Custom, Kind, ScalePaths
from podwire.services.apiserver.core.selectors import FieldReader
from podwire.services.apiserver.core.validation.metadata import NameRule

CLEANUP: Final = "customresourcecleanup.apiextensions.k8s.io"
GROUP: Final = "apiextensions.k8s.io"
RESOURCE: Final = "customresourcedefinitions"
STORAGE: Final = (GROUP, RESOURCE)
_VERSION: Final = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?")


def condition(crd: Json, kind: str) -> Json:
    """A condition of a definition, or an empty one."""
    found = [entry for entry in items(section(crd, "status"), "conditions") if entry.get("type") == kind]
    return found[0] if found else {}


def is_established(crd: Json) -> bool:
    """Whether a definition's kinds are served."""
    return bool(condition(crd, "Established").get("status") == "True")


def storage_version(spec: Json) -> str:
    """The version that objects are stored in."""
    return next((version["name"] for version in items(spec, "versions") if version.get("storage")), "")


def kinds_of(crd: Json) -> list[Kind]:
    """The kinds of a definition's served versions, the preferred version first; none until it is established."""
    if not is_established(crd):
        return []
    served = [version for version in items(crd["spec"], "versions") if version.get("served")]
    return [_kind(crd, version) for version in sorted(served, key=lambda version: version_order(version["name"]))]


def version_order(version: str) -> tuple[int, int, int, str]:
    """Where a version stands in discovery: v2, v1, v1beta2, v1alpha1, then the others by name (KubeAware order)."""
    found = _VERSION.fullmatch(version)
    if found is None:
        return (1, 0, 0, version)
    major, stage, minor = found.groups()
    rank = {None: 0, "beta": 1, "alpha": 2}[stage]
    return (0, rank, -int(major) * 10_000 - int(minor or 0), "")


def definition_name(group: str, version: str, kind: str) -> str:
    """The name of a kind's schema in OpenAPI: the group's domain backwards, version and kind."""
    return ".".join([*reversed(group.split(".")), version, kind])


def _kind(crd: Json, version: Json) -> Kind:
    spec, accepted = crd["spec"], section(crd, "status", "acceptedNames")
    schema = section(version, "schema", "openAPIV3Schema")
    parts = section(version, "subresources")
    subresources = (*((STATUS,) if "status" in parts else ()), *((SCALE,) if "scale" in parts else ()))
    return Kind(
        spec["group"],
        version["name"],
        accepted["plural"],
        accepted["kind"],
        definition_name(spec["group"], version["name"], accepted["kind"]),
        columns.printer(version),
        namespaced=spec["scope"] == "Namespaced",
        short_names=tuple(items(accepted, "shortNames")),
        categories=tuple(items(accepted, "categories")),
        subresources=subresources,
        defaults=partial(_set_defaults, schema),
        validate=partial(_validate, schema),
        name_rule=_name_rule(schema),
        counts_generation=True,
        fields={entry["jsonPath"][1:]: _reader(entry["jsonPath"]) for entry in items(version, "selectableFields")},
        caution=_caution(version),
        custom=Custom(
            schema=schema,
            singular=accepted.get("singular", ""),
            list_kind=accepted.get("listKind", ""),
            storage_version=storage_version(spec),
            scale=_scale_paths(section(parts, "scale")),
            is_going=bool(crd["metadata"].get("deletionTimestamp")),
        ),
    )


def _caution(version: Json) -> str:
    return str(version.get("deprecationWarning", "")) if version.get("deprecated") else ""


def _scale_paths(scale: Json) -> ScalePaths | None:
    if not scale:
        return None
    return ScalePaths(
        _path(scale["specReplicasPath"]), _path(scale["statusReplicasPath"]), _path(scale.get("labelSelectorPath", ""))
    )


def _path(text: str) -> tuple[str, ...]:
    return tuple(text.removeprefix(".").split(".")) if text else ()


def _set_defaults(schema: Json, value: Json) -> None:
    structural.set_defaults(value, schema)


def _validate(schema: Json, value: Json, old: Json | None, errors: FieldErrors) -> None:
    checking.check(
        {name: entry for name, entry in value.items() if name != "metadata"}, _without_meta(schema), "", errors
    )


def _without_meta(schema: Json) -> Json:
    """The schema of all but the metadata, which has rules of its own."""
    required = [name for name in items(schema, "required") if name != "metadata"]
    known = {name: part for name, part in section(schema, "properties").items() if name != "metadata"}
    return schema | {"properties": known, "required": required}


def _name_rule(schema: Json) -> NameRule:
    """A definition may restrict names further."""
    part = section(schema, "properties", "metadata", "properties", "name")

    def problems(name: str) -> list[str]:
        errors = FieldErrors()
        checking.check(name, part, "metadata.name", errors)
        return [*names.dns1123_subdomain(name), *(error.detail for error in errors.found)]

    return problems


def _reader(path: str) -> FieldReader:
    def read(value: Json) -> str:
        found = find(path, value)
        if not found or found[0] is None:
            return ""
        return str(found[0]).lower() if isinstance(found[0], bool) else str(found[0])

    return read
