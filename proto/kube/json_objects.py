"""Plain JSON objects, as the API's objects are before a view of them is taken: looked into, and copied."""

from collections.abc import Mapping
from typing import Any, Final, cast

type Json = dict[str, Any]

_CONTAINERS: Final = frozenset((dict, list))


def section(container: Mapping[str, Any], *names: str) -> Json:
    """The object at a path, or an empty one that is not attached; a value of another type counts as absent."""
    current: Any = container
    for name in names:
        current = current.get(name) if isinstance(current, dict) else None
    return current if isinstance(current, dict) else {}


def items(container: Mapping[str, Any], name: str) -> list[Any]:
    """The list at a key, or an empty one that is not attached."""
    value = container.get(name)
    return value if isinstance(value, list) else []


def copy_json[T](value: T) -> T:
    """A deep copy of a JSON value (no cycles, only dicts, lists and scalars)."""
    kind = type(value)
    if kind is dict:
        entries = cast(Json, value).items()
        return cast(T, {key: copy_json(item) if type(item) in _CONTAINERS else item for key, item in entries})
    if kind is list:
        return cast(T, [copy_json(item) if type(item) in _CONTAINERS else item for item in cast(list[Any], value)])
    return value
