"""The blocks and options that pcapng consists of (draft-ietf-opsawg-pcapng)."""

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from podwire.scripts.capture_files.recorded import CaptureFileError

SECTION, INTERFACE, SIMPLE_PACKET, STATISTICS, ENHANCED_PACKET = 0x0A0D0D0A, 1, 3, 5, 6
OBSOLETE_PACKET: Final = 2
END_OF_OPTIONS, COMMENT = 0, 1
_LARGEST_BLOCK: Final = 16 * 1024 * 1024
_BYTE_ORDERS: Final = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}


class Block(NamedTuple):
    """One block; `order` is its section's byte order, as struct writes it."""

    type: int
    order: str
    body: bytes


def read_blocks(data: bytes) -> Iterator[Block]:
    """The blocks of a file, of one section or several. Raises CaptureFileError at the first that lies."""
    at, order = 0, ""
    while at < len(data):
        if data[at : at + 4] == b"\x0a\x0d\x0d\x0a":
            order = _BYTE_ORDERS.get(data[at + 8 : at + 12], "")
        if not order:
            raise CaptureFileError(f"byte {at}: not the header of a pcapng section")
        length = _length(data, at, order)
        [kind] = struct.unpack_from(f"{order}I", data, at)
        yield Block(kind, order, data[at + 8 : at + length - 4])
        at += length


def _length(data: bytes, at: int, order: str) -> int:
    if len(data) - at < 12:
        raise CaptureFileError(f"byte {at}: truncated block")
    [length] = struct.unpack_from(f"{order}I", data, at + 4)
    if length < 12 or length % 4 or length > _LARGEST_BLOCK or length > len(data) - at:
        raise CaptureFileError(f"byte {at}: a block cannot have {length} bytes, {len(data) - at} are there")
    [again] = struct.unpack_from(f"{order}I", data, at + length - 4)
    if again != length:
        raise CaptureFileError(f"byte {at}: a block says {length} bytes at its begin and {again} at its end")
    return int(length)


def read_options(body: bytes, at: int, order: str) -> Iterator[tuple[int, bytes]]:
    """Code and value of each option from `at` on; ends quietly where they do not make sense any more."""
    while at + 4 <= len(body):
        code, length = struct.unpack_from(f"{order}HH", body, at)
        if code == END_OF_OPTIONS or at + 4 + length > len(body):
            return
        yield code, body[at + 4 : at + 4 + length]
        at += 4 + length + -length % 4


def build_block(kind: int, body: bytes) -> bytes:
    """A block in little-endian order; `body` is padded."""
    padded = body + bytes(-len(body) % 4)
    length = struct.pack("<I", len(padded) + 12)
    return struct.pack("<I", kind) + length + padded + length


def build_options(options: list[tuple[int, bytes]]) -> bytes:
    """Options and their end; nothing for none. A value is at most 65535 bytes: longer ones are cut."""
    if not options:
        return b""
    octets = b""
    for code, value in options:
        value = value[:0xFFFF]
        octets += struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)
    return octets + bytes(4)
