"""Writing pcapng: one interface block a device, comments on packets, statistics at the end. Times are ns."""

import struct
from typing import Final

from podwire import __version__
from podwire.scripts.capture_files.pcapng_blocks import (
    COMMENT,
    ENHANCED_PACKET,
    INTERFACE,
    SECTION,
    STATISTICS,
    build_block,
    build_options,
)
from podwire.scripts.capture_files.recorded import ETHERNET

_APPLICATION, _NAME, _DESCRIPTION, _TIME_RESOLUTION, _FLAGS = 4, 2, 3, 9, 2
_RECEIVED, _DROPPED = 4, 5
_NANOSECONDS: Final = b"\x09"
INBOUND, OUTBOUND, UNKNOWN = 1, 2, 0
"""The direction in epb_flags."""


def section() -> bytes:
    """What a file begins with."""
    body = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
    return build_block(SECTION, body + build_options([(_APPLICATION, f"podwire {__version__}".encode())]))


def interface(name: str, description: str, link_type: int = ETHERNET) -> bytes:
    """An interface; they are numbered from 0 in the order in which they are written."""
    options = [(_NAME, name.encode()), (_DESCRIPTION, description.encode()), (_TIME_RESOLUTION, _NANOSECONDS)]
    return build_block(INTERFACE, struct.pack("<HHI", link_type, 0, 0) + build_options(options))


def packet(number: int, time: int, frame: bytes, direction: int = UNKNOWN, comment: str = "") -> bytes:
    """A packet of interface `number`."""
    options = [(COMMENT, comment.encode())] if comment else []
    if direction:
        options.append((_FLAGS, struct.pack("<I", direction)))
    fixed = struct.pack("<IIIII", number, time >> 32, time & 0xFFFFFFFF, len(frame), len(frame))
    return build_block(ENHANCED_PACKET, fixed + frame + bytes(-len(frame) % 4) + build_options(options))


def statistics(number: int, time: int, received: int, dropped: int) -> bytes:
    """What an interface counted."""
    options = [(_RECEIVED, struct.pack("<Q", received)), (_DROPPED, struct.pack("<Q", dropped))]
    return build_block(STATISTICS, struct.pack("<III", number, time >> 32, time & 0xFFFFFFFF) + build_options(options))
