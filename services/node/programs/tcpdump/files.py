"""pcap files (pcap-savefile(5)): Ethernet, microseconds. Pure."""

import struct
from collections.abc import Iterator
from typing import Final

SNAPSHOT: Final = 262144
ETHERNET: Final = 1
_MAGICS: Final = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}
"""Nanoseconds that the second number of a record's time counts."""


class FileProblem(ValueError):
    """A file that is no capture of Ethernet frames."""


def header() -> bytes:
    """The beginning of a file."""
    return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, SNAPSHOT, ETHERNET)


def record(time: int, frame: bytes) -> bytes:
    """A frame at a time (ns since the epoch)."""
    seconds, rest = divmod(time, 1_000_000_000)
    return struct.pack("<IIII", seconds & 0xFFFFFFFF, rest // 1000, len(frame), len(frame)) + frame


def read(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """Times (ns since the epoch) and frames, until the end or a truncated record. Raises FileProblem."""
    order = next((order for order in "<>" if octets[:4] and _magic(octets, order) in _MAGICS), "")
    if len(octets) < 24 or not order:
        raise FileProblem("unknown file format")
    link = struct.unpack_from(f"{order}I", octets, 20)[0] & 0xFFFF
    if link != ETHERNET:
        raise FileProblem(f"link-type {link} is not built: Ethernet (1) is")
    unit, at = _MAGICS[_magic(octets, order)], 24
    while at + 16 <= len(octets):
        seconds, rest, captured, _ = struct.unpack_from(f"{order}IIII", octets, at)
        at += 16
        if captured > len(octets) - at:
            raise FileProblem("truncated dump file; a record is longer than the rest of the file")
        yield seconds * 1_000_000_000 + rest * unit, octets[at : at + captured]
        at += captured


def _magic(octets: bytes, order: str) -> int:
    return int.from_bytes(octets[:4], "little" if order == "<" else "big")
