"""What a capture tells, on channel STDOUT of its session: records in blocks of four bytes of length and MessagePack."""

from collections.abc import Iterator
from typing import Final

import msgspec

from podwire.proto.messages import codec

SCHEMA: Final = 1
LARGEST_BLOCK: Final = 1024 * 1024


class Captured(msgspec.Struct, frozen=True, tag="frame", array_like=True):
    """One frame at one device. `time` is ns since the epoch, `netns` "" for the machine's own.

    With `reason`, a name of the kernel's enum skb_drop_reason, it is a packet as it was when it died there; `device` is
    then "" where it was at none.
    """

    time: int
    netns: str
    device: str
    is_outgoing: bool
    frame: bytes
    trace: str = ""
    reason: str = ""
    detail: str = ""


class Seen(msgspec.Struct, frozen=True, tag="seen", array_like=True):
    """At the end, of each device: how many frames passed, and how many of them found the queue full.

    Of packets that died only those are counted that found it full; `netns` and `device` are then "".
    """

    netns: str
    device: str
    passed: int
    lost: int


type Record = Captured | Seen


def build_block(records: list[Record]) -> bytes:
    """One block; the caller keeps it under LARGEST_BLOCK."""
    payload = codec.encode(records)
    return len(payload).to_bytes(4) + payload


class Blocks:
    """Puts blocks together again from pieces of any size."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def take(self, data: bytes) -> Iterator[Record]:
        """The records that are complete now. Raises codec.ForeignMessage for bytes that are no block."""
        self._waiting += data
        while len(self._waiting) >= 4:
            length = int.from_bytes(self._waiting[:4])
            if length > LARGEST_BLOCK:
                raise codec.ForeignMessage(f"a block of {length} bytes; at most {LARGEST_BLOCK} are allowed")
            if len(self._waiting) < 4 + length:
                return
            payload = bytes(self._waiting[4 : 4 + length])
            del self._waiting[: 4 + length]
            yield from codec.decode_union(list[Record], payload)
