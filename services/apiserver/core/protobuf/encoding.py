"""From plain JSON to a message's bytes, fields in the order of their numbers, as gogo/protobuf writes them."""

import base64
from typing import Any

from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.protobuf import wire
from podwire.services.apiserver.core.protobuf.messages import SCALARS, Field, Message, message
from podwire.services.apiserver.core.protobuf.special import WRITERS


def encode(value: Json, of: Message) -> bytes:
    """The bytes of a message; fields of other names are left out. Raises ValueError or TypeError for a wrong type."""
    written = bytearray()
    for field in of.fields:
        if field.zero == "inline":
            inner = encode(value, message(field.type))
            written += wire.bytes_field(field.number, inner)
            continue
        entry = value.get(field.name)
        if entry is not None:
            written += _field(field, entry)
    return bytes(written)


def _field(field: Field, value: Any) -> bytes:
    if field.cardinality == "list":
        return b"".join(_one(field, field.number, entry) for entry in value)
    if field.cardinality == "map":
        return b"".join(_entry(field, key, value[key]) for key in sorted(value))
    return _one(field, field.number, value)


def _entry(field: Field, key: str, value: Any) -> bytes:
    return wire.bytes_field(field.number, wire.bytes_field(1, key.encode()) + _one(field, 2, value))


def _one(field: Field, number: int, value: Any) -> bytes:
    kind = field.type
    if kind == "string":
        return wire.bytes_field(number, value.encode())
    if kind == "bytes":
        return wire.bytes_field(number, value if isinstance(value, bytes) else base64.b64decode(value))
    if kind == "double":
        return wire.double_field(number, value)
    if kind in SCALARS:
        return wire.number_field(number, int(value))
    writer = WRITERS.get(kind)
    return wire.bytes_field(number, encode(value if writer is None else writer(value), message(kind)))
