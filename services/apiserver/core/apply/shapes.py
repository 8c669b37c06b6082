"""How values of a definition merge: by fields, by keys, as sets, or only as a whole.

What a definition does not say is granular for maps and atomic for lists. Source: kube-openapi `pkg/schemaconv`,
structured-merge-diff `schema/elements.go`; the two defaults of list keys are client-go
`applyconfigurations/internal/internal.go`'s (the packaged definitions name no defaults).
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache
from typing import Any, Final

from podwire.proto.kube.json_objects import section
from podwire.services.apiserver.core.apply import elements
from podwire.services.apiserver.core.custom.structural import INT_OR_STRING, PRESERVE
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.schema import definitions

_KEY_DEFAULTS: Final[dict[str, Json]] = {
    "io.k8s.api.core.v1.ContainerPort": {"protocol": "TCP"},
    "io.k8s.api.core.v1.ServicePort": {"protocol": "TCP"},
}


class Sort(StrEnum):
    """What a value is made of."""

    SCALAR = "scalar"
    MAP = "map"
    LIST = "list"
    DEDUCED = "deduced"


@dataclass(eq=False)
class Shape:
    """How one place merges. A list that is neither atomic nor keyed is a set."""

    sort: Sort
    scalar: str = ""
    """numeric, string, boolean or untyped."""
    atomic: bool = False
    fields: Json = field(default_factory=dict)
    """Declared fields and their schema parts."""
    element: Json | None = None
    """The part of entries, or of fields that are not declared."""
    keys: tuple[str, ...] = ()
    key_defaults: Json = field(default_factory=dict)
    known: dict[str, "Shape"] = field(default_factory=dict)

    def of_field(self, name: str) -> "Shape | None":
        """The shape of a field; None where the definition has none of that name."""
        if name not in self.fields:
            return self.entry() if self.element is not None else None
        if name not in self.known:
            self.known[name] = shape_of(self.fields[name])
        return self.known[name]

    def entry(self) -> "Shape":
        """The shape of entries."""
        if "" not in self.known:
            self.known[""] = shape_of(self.element or {})
        return self.known[""]

    def inside(self, element: str) -> "Shape":
        """The shape behind a path element."""
        if element.startswith("f:"):
            return self.of_field(element[2:]) or DEDUCED
        return self.entry() if self.sort == Sort.LIST else DEDUCED

    def of(self, value: Any) -> "Shape":
        """The shape of this value, where only the value says it (deduceAtom)."""
        if self.sort != Sort.DEDUCED:
            return self
        if isinstance(value, dict):
            return _ANY_MAP
        return _ANY_LIST if isinstance(value, list) else _ANY_SCALAR


DEDUCED: Final = Shape(Sort.DEDUCED)
_ANY_MAP: Final = Shape(Sort.MAP, element={})
_ANY_LIST: Final = Shape(Sort.LIST, atomic=True, element={})
_ANY_SCALAR: Final = Shape(Sort.SCALAR, "untyped")


class NoElement(ValueError):
    """A list entry that cannot be told from the others; the text is upstream's."""


def element_of(shape: Shape, value: Any) -> str:
    """The path element of an entry of a keyed list or set; raises NoElement."""
    return _keyed(shape, value) if shape.keys else _in_set(value)


def _keyed(shape: Shape, value: Any) -> str:
    if value is None:
        raise NoElement("associative list with keys may not have a null element")
    if not isinstance(value, dict):
        raise NoElement("associative list with keys may not have non-map elements")
    found: Json = {}
    for name in shape.keys:
        given = value.get(name, shape.key_defaults.get(name))
        if given is None:
            raise NoElement(
                f'associative list with keys has an element that omits key field "{name}" '
                "(and doesn't have default value)"
            )
        found[name] = given
    return elements.key(found)


def _in_set(value: Any) -> str:
    kinds = {dict: "a map type", list: "a list type", type(None): "an explicit null"}
    if type(value) in kinds:
        raise NoElement(f"associative list without keys has an element that's {kinds[type(value)]}")
    return elements.member(value)


@cache
def shape_of_definition(name: str) -> Shape:
    """The shape of a named definition."""
    return shape_of(definitions()[name])


def shape_of(part: Json) -> Shape:
    """The shape of one schema part."""
    if "$ref" in part:
        return _overridden(shape_of_definition(part["$ref"].rpartition("/")[2]), part)
    kinds = part.get("type", [])
    kind = kinds if isinstance(kinds, str) else next((name for name in kinds if name != "null"), "")
    if "properties" in part or kind == "object":
        return _map(part)
    if kind == "array":
        return _list(part)
    scalars = {"integer": "numeric", "number": "numeric", "string": "string", "boolean": "boolean"}
    if kind in scalars:
        return Shape(Sort.SCALAR, "untyped" if part.get("format") == "date-time" else scalars[kind])
    return Shape(Sort.SCALAR, "untyped") if "oneOf" in part or part.get(INT_OR_STRING) else DEDUCED


def _overridden(shape: Shape, part: Json) -> Shape:
    """A field may say how it merges, whatever its type's definition says (PersistentVolumeSpec.claimRef)."""
    relation = part.get("x-kubernetes-map-type")
    if relation is None or (relation == "atomic") == shape.atomic:
        return shape
    return replace(shape, atomic=relation == "atomic", known={})


def _map(part: Json) -> Shape:
    atomic = part.get("x-kubernetes-map-type") == "atomic"
    if "properties" in part:
        others: Json | None = {} if part.get(PRESERVE) else None
        return Shape(Sort.MAP, atomic=atomic, fields=part["properties"], element=others)
    values = part.get("additionalProperties")
    return Shape(Sort.MAP, atomic=atomic, element=values if isinstance(values, dict) else {})


def _list(part: Json) -> Shape:
    entry = part.get("items", {})
    relation = part.get("x-kubernetes-list-type", "atomic")
    if relation != "map":
        return Shape(Sort.LIST, atomic=relation != "set", element=entry)
    keys = tuple(part["x-kubernetes-list-map-keys"])
    known = section(entry, "properties")
    defaults = {key: known[key]["default"] for key in keys if "default" in section(known, key)}
    defaults |= _KEY_DEFAULTS.get(entry.get("$ref", "").rpartition("/")[2], {})
    return Shape(Sort.LIST, element=entry, keys=keys, key_defaults=defaults)
