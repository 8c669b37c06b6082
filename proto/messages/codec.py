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
    try:
        message: T = _decoder(kind).decode(payload)  # type: ignore[arg-type]  # a class is hashable
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ForeignMessage(f"{getattr(kind, '__name__', kind)}: {error}") from None
    return message
