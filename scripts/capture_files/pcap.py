"""The classic format (draft-ietf-opsawg-pcap): either byte order, micro- or nanoseconds."""

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from podwire.scripts.capture_files.recorded import CaptureFileError, RecordedPacket, check_length

_MAGIC: Final = {
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\x3c\x4d": (">", 1),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
}
"""Byte order, and nanoseconds in a unit of the second time field."""
_FILE_HEADER: Final = 24
_PACKET_HEADER: Final = 16
_LINK_TYPE_BITS: Final = 0x0FFFFFFF
"""Above them is the length of the frame check sequence."""


class _Header(NamedTuple):
    order: str
    unit: int
    link_type: int


def is_pcap(data: bytes) -> bool:
    """Whether a file begins as this format does."""
    return data[:4] in _MAGIC


def read_pcap(data: bytes) -> Iterator[RecordedPacket]:
    """The packets of a file. Raises CaptureFileError where it is truncated or lies, after what could be read."""
    header = _header(data)
    packet = struct.Struct(f"{header.order}IIII")
    at, number = _FILE_HEADER, 1
    while at < len(data):
        if len(data) - at < _PACKET_HEADER:
            raise CaptureFileError(f"packet {number}: truncated header")
        seconds, fraction, captured, original = packet.unpack_from(data, at)
        at += _PACKET_HEADER
        check_length(captured, len(data) - at, number)
        time = seconds * 1_000_000_000 + fraction * header.unit
        yield RecordedPacket(time, header.link_type, data[at : at + captured], max(original, captured))
        at, number = at + captured, number + 1


def _header(data: bytes) -> _Header:
    if not is_pcap(data) or len(data) < _FILE_HEADER:
        raise CaptureFileError(f"not a pcap file: it begins with {data[:4].hex() or 'nothing'}")
    order, unit = _MAGIC[data[:4]]
    major, minor = struct.unpack_from(f"{order}HH", data, 4)
    if (major, minor) != (2, 4):
        raise CaptureFileError(f"pcap version {major}.{minor}: 2.4 is needed")
    [link] = struct.unpack_from(f"{order}I", data, 20)
    return _Header(order, unit, link & _LINK_TYPE_BITS)
