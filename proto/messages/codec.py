"""MessagePack on the bus: one way in, one way out."""

from functools import cache
from typing import Any

import msgspec


class ForeignMessage(ValueError):
    """Bytes that are not the message that a subject carries."""


_ENCODER = msgspec.msgpack.Encoder()


@cache
def _decoder(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(kind)


def encode(message: object) -> bytes:
    """The message's bytes."""
    return _ENCODER.encode(message)


def decode[T](kind: type[T], payload: bytes | memoryview | msgspec.Raw) -> T:
    """The message behind the bytes; raises ForeignMessage that names the field in question."""
    message: T = decode_union(kind, payload)
    return message


def decode_union(kind: Any, payload: bytes | memoryview | msgspec.Raw) -> Any:
    """As `decode`, for a union of message types."""
    try:
        return _decoder(kind).decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ForeignMessage(f"{getattr(kind, '__name__', kind)}: {error}") from None
