"""JSON, the one form in which the API server keeps and changes what it stores: its bytes, and an event's."""

from typing import Any

import msgspec

type Json = dict[str, Any]

_ENCODER = msgspec.json.Encoder()
_PACK = msgspec.msgpack.Encoder()


def to_json(value: object) -> bytes:
    """Compact JSON bytes."""
    return _ENCODER.encode(value)


def pack(value: object) -> msgspec.Raw:
    """MessagePack bytes of a JSON value, as an event carries it."""
    return msgspec.Raw(_PACK.encode(value))


def unpack(raw: msgspec.Raw) -> Json:
    """The JSON object that an event carries; raises msgspec.DecodeError for anything else."""
    return msgspec.msgpack.decode(raw, type=dict[str, Any])
