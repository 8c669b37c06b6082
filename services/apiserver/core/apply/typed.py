"""Whether a value is of a shape, and which fields it has.

Source: structured-merge-diff `typed/validate.go`, `typed/helpers.go`, `typed/tofieldset.go`.
"""

import json
from typing import Any, Final

from podwire.services.apiserver.core.apply import elements
from podwire.services.apiserver.core.apply.elements import Path
from podwire.services.apiserver.core.apply.field_set import FieldSet
from podwire.services.apiserver.core.apply.shapes import DEDUCED, NoElement, Shape, Sort, element_of

_MOST_ERRORS: Final = 100


def problems(value: Any, shape: Shape) -> list[str]:
    """What is wrong with a value, each sentence led by its path; no more than a hundred."""
    found: list[str] = []
    _check(value, shape, (), found)
    return found[:_MOST_ERRORS]


def _say(found: list[str], path: Path, text: str) -> None:
    place = elements.shown_path(path)
    found.append(f"{place}: {text}" if place else text)


def _check(value: Any, shape: Shape, path: Path, found: list[str]) -> None:
    shape = shape.of(value)
    if value is None or len(found) >= _MOST_ERRORS:
        return
    if shape.sort == Sort.SCALAR:
        text = _scalar_problem(value, shape.scalar)
        if text:
            _say(found, path, text)
    elif shape.sort == Sort.MAP:
        _check_map(value, shape, path, found)
    else:
        _check_list(value, shape, path, found)


def _check_map(value: Any, shape: Shape, path: Path, found: list[str]) -> None:
    if not isinstance(value, dict):
        _say(found, path, f"expected map, got &{{{_go(value)}}}")
        return
    for name, entry in value.items():
        inner, place = shape.of_field(name), (*path, elements.field(name))
        if inner is None:
            _say(found, place, "field not declared in schema")
        else:
            _check(entry, inner, place, found)


def _check_list(value: Any, shape: Shape, path: Path, found: list[str]) -> None:
    if not isinstance(value, list):
        _say(found, path, f"expected list, got &{{{_go(value)}}}")
        return
    seen: dict[str, None] = {}
    for index, entry in enumerate(value):
        element = f"i:{index}"
        if not shape.atomic:
            try:
                element = element_of(shape, entry)
            except NoElement as error:
                _say(found, path, f"element {index}: {error}")
                continue
            if element in seen:
                _say(found, path, f"duplicate entries for key {elements.shown(element)}")
            seen[element] = None
        _check(entry, shape.entry(), (*path, element), found)


def _scalar_problem(value: Any, scalar: str) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if scalar == "numeric" and not is_number:
        return f"expected numeric (int or float), got {_go_type(value)}"
    if scalar == "string" and not isinstance(value, str):
        return f"expected string, got &value.valueUnstructured{{Value:{_go(value)}}}"
    if scalar == "boolean" and not isinstance(value, bool):
        return f"expected boolean, got {_go_type(value)}"
    if scalar == "untyped" and isinstance(value, dict | list):
        return f"expected any scalar, got &{{{_go(value)}}}"
    return ""


def _go_type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int64"
    names = {dict: "map[string]interface {}", list: "[]interface {}", float: "float64"}
    return names.get(type(value), "string")


def _go(value: Any) -> str:
    """A value as Go's %v prints it."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{name}:{_go(entry)}" for name, entry in sorted(value.items())) + "]"
    if isinstance(value, list):
        return "[" + " ".join(_go(entry) for entry in value) + "]"
    if value is None:
        return "<nil>"
    return value if isinstance(value, str) else json.dumps(value)


def fields_of(value: Any, shape: Shape) -> FieldSet:
    """The fields that a value has (ToFieldSet)."""
    return _fields(value, shape)[1]


def _fields(value: Any, shape: Shape) -> tuple[bool, FieldSet]:
    """Whether the place itself is a field, and the fields below it."""
    shape = shape.of(value)
    if shape.sort == Sort.SCALAR or shape.atomic:
        return True, FieldSet()
    below = FieldSet()
    if shape.sort == Sort.LIST:
        for entry in value if isinstance(value, list) else ():
            _add(below, element_of(shape, entry), True, _fields(entry, shape.entry())[1])
        return False, below
    for name, entry in value.items() if isinstance(value, dict) else ():
        own, inside = _fields(entry, shape.of_field(name) or DEDUCED)
        is_open = name not in shape.fields or entry is None or entry == {}
        _add(below, elements.field(name), own or is_open, inside)
    return False, below


def _add(fields: FieldSet, element: str, own: bool, inside: FieldSet) -> None:
    if own:
        fields.members[element] = None
    if inside:
        known = fields.children.get(element)
        fields.children[element] = inside if known is None else known.union(inside)
