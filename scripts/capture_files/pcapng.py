"""Reading pcapng: several sections, interfaces with resolutions of their own, enhanced and simple packets."""

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from podwire.scripts.capture_files.pcapng_blocks import (
    ENHANCED_PACKET,
    INTERFACE,
    OBSOLETE_PACKET,
    SECTION,
    SIMPLE_PACKET,
    Block,
    read_blocks,
    read_options,
)
from podwire.scripts.capture_files.recorded import CaptureFileError, RecordedPacket, check_length

_SECOND: Final = 1_000_000_000
_TIME_RESOLUTION, _TIME_OFFSET = 9, 14
_MOST_INTERFACES: Final = 65536


class _Interface(NamedTuple):
    link_type: int
    snap_length: int
    units: int
    """In a second."""
    offset: int
    """Seconds to add."""


def is_pcapng(data: bytes) -> bool:
    """Whether a file begins as this format does."""
    return data[:4] == b"\x0a\x0d\x0d\x0a"


def read_pcapng(data: bytes) -> Iterator[RecordedPacket]:
    """The packets of a file. Raises CaptureFileError where it is truncated or lies, after what could be read."""
    interfaces: list[_Interface] = []
    number = 1
    for block in read_blocks(data):
        if block.type == SECTION:
            _check_version(block)
            interfaces = []
        elif block.type == INTERFACE:
            if len(interfaces) >= _MOST_INTERFACES:
                raise CaptureFileError(f"more than {_MOST_INTERFACES} interfaces in one section")
            interfaces.append(_interface(block))
        elif block.type in _PACKETS:
            yield _PACKETS[block.type](block, interfaces, number)
            number += 1


def _check_version(block: Block) -> None:
    if len(block.body) < 16:
        raise CaptureFileError("truncated section header")
    [major] = struct.unpack_from(f"{block.order}H", block.body, 4)
    if major != 1:
        raise CaptureFileError(f"pcapng version {major}: 1 is needed")


def _interface(block: Block) -> _Interface:
    if len(block.body) < 8:
        raise CaptureFileError("truncated interface description")
    link_type, _, snap_length = struct.unpack_from(f"{block.order}HHI", block.body)
    units, offset = 1_000_000, 0
    for code, value in read_options(block.body, 8, block.order):
        if code == _TIME_RESOLUTION and len(value) >= 1:
            base, exponent = (2, value[0] & 0x7F) if value[0] & 0x80 else (10, value[0])
            if exponent > 63:
                raise CaptureFileError(f"an interface cannot count time in units of {base}^-{exponent} s")
            units = base**exponent
        elif code == _TIME_OFFSET and len(value) >= 8:
            [offset] = struct.unpack_from(f"{block.order}q", value)
    return _Interface(link_type, snap_length, units, offset)


def _of(interfaces: list[_Interface], index: int, number: int) -> _Interface:
    if index >= len(interfaces):
        raise CaptureFileError(f"packet {number}: interface {index} was not described")
    return interfaces[index]


def _stamped(block: Block, interfaces: list[_Interface], number: int, layout: str) -> RecordedPacket:
    """A packet whose fixed part is 20 bytes: interface, time in two halves, captured and original length."""
    if len(block.body) < 20:
        raise CaptureFileError(f"packet {number}: truncated block")
    index, *_, high, low, captured, original = struct.unpack_from(f"{block.order}{layout}", block.body)
    interface = _of(interfaces, index, number)
    check_length(captured, len(block.body) - 20, number)
    time = (high << 32 | low) * _SECOND // interface.units + interface.offset * _SECOND
    data = block.body[20 : 20 + captured]
    return RecordedPacket(time, interface.link_type, data, max(original, captured))


def _enhanced(block: Block, interfaces: list[_Interface], number: int) -> RecordedPacket:
    return _stamped(block, interfaces, number, "IIIII")


def _obsolete(block: Block, interfaces: list[_Interface], number: int) -> RecordedPacket:
    return _stamped(block, interfaces, number, "HHIIII")


def _simple(block: Block, interfaces: list[_Interface], number: int) -> RecordedPacket:
    if len(block.body) < 4:
        raise CaptureFileError(f"packet {number}: truncated block")
    [original] = struct.unpack_from(f"{block.order}I", block.body)
    interface = _of(interfaces, 0, number)
    captured = min(original, interface.snap_length or original)
    check_length(captured, len(block.body) - 4, number)
    return RecordedPacket(0, interface.link_type, block.body[4 : 4 + captured], original)


_PACKETS: Final = {ENHANCED_PACKET: _enhanced, OBSOLETE_PACKET: _obsolete, SIMPLE_PACKET: _simple}
