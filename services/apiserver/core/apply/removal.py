"""A value without some of its fields. Source: structured-merge-diff `typed/remove.go`."""

from typing import Any

from podwire.services.apiserver.core.apply import elements
from podwire.services.apiserver.core.apply.field_set import FieldSet
from podwire.services.apiserver.core.apply.shapes import DEDUCED, Shape, Sort, element_of
from podwire.services.apiserver.core.json_types import Json


def remove(value: Any, fields: FieldSet, shape: Shape) -> Any:
    """The value without these fields; None where nothing is left of a map or list."""
    resolved = shape.of(value)
    if not fields or resolved.sort == Sort.SCALAR:
        return value
    if resolved.atomic:
        return None
    if resolved.sort == Sort.LIST:
        return _from_list(value, fields, resolved) if isinstance(value, list) else None
    return _from_map(value, fields, resolved) if isinstance(value, dict) else None


def _from_list(value: list[Any], fields: FieldSet, shape: Shape) -> list[Any] | None:
    kept = []
    for entry in value:
        element = element_of(shape, entry)
        if element not in fields.members:
            kept.append(remove(entry, fields.below(element), shape.entry()))
    return kept or None


def _from_map(value: Json, fields: FieldSet, shape: Shape) -> Json | None:
    kept: Json = {}
    for name, entry in value.items():
        element = elements.field(name)
        if element in fields.members:
            continue
        inside = fields.below(element)
        rest = remove(entry, inside, shape.of_field(name) or DEDUCED)
        if rest is not None or not inside:
            kept[name] = rest
    return kept or None
