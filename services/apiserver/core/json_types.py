"""Plain JSON objects, the one form in which the API server keeps and changes what it stores."""

from typing import Any, cast

import msgspec

type Json = dict[str, Any]

_ENCODER = msgspec.json.Encoder()
_PACK = msgspec.msgpack.Encoder()
_CONTAINERS = frozenset((dict, list))


def to_json(value: object) -> bytes:
    """Compact JSON bytes."""
    return _ENCODER.encode(value)


def pack(value: object) -> msgspec.Raw:
    """MessagePack bytes of a JSON value, as an event carries it."""
    return msgspec.Raw(_PACK.encode(value))


def unpack(raw: msgspec.Raw) -> Json:
    """The JSON object that an event carries; raises msgspec.DecodeError for anything else."""
    return msgspec.msgpack.decode(raw, type=dict[str, Any])


def copy_json[T](value: T) -> T:
    """A deep copy of a JSON value (no cycles, only dicts, lists and scalars)."""
    kind = type(value)
    if kind is dict:
        entries = cast(Json, value).items()
        return cast(T, {key: copy_json(item) if type(item) in _CONTAINERS else item for key, item in entries})
    if kind is list:
        return cast(T, [copy_json(item) if type(item) in _CONTAINERS else item for item in cast(list[Any], value)])
    return value


def section(container: Json, *names: str) -> Json:
    """The object at a path, or an empty one that is not attached; a value of another type counts as absent."""
    current: Any = container
    for name in names:
        current = current.get(name) if isinstance(current, dict) else None
    return current if isinstance(current, dict) else {}


def items(container: Json, name: str) -> list[Any]:
    """The list at a key, or an empty one that is not attached."""
    value = container.get(name)
    return value if isinstance(value, list) else []
