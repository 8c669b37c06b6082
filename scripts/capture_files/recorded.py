"""What a capture file holds, whatever its format."""

from typing import Final, NamedTuple

ETHERNET: Final = 1
RAW: Final = 101
IPV4: Final = 228
IPV6: Final = 229
"""Link types, as tcpdump.org/linktypes.html numbers them: DLT_EN10MB, LINKTYPE_RAW, LINKTYPE_IPV4, LINKTYPE_IPV6."""
LARGEST_PACKET: Final = 262144
"""libpcap's MAXIMUM_SNAPLEN: a file that claims more lies."""


class CaptureFileError(ValueError):
    """Bytes that are no capture file, or one that lies; says where and what."""


class RecordedPacket(NamedTuple):
    """One packet: when it was seen (ns since the epoch), on what kind of link, and as many of its bytes as were kept.

    `original_length` is what the file says it was on the wire, never less than what was kept.
    """

    time: int
    link_type: int
    data: bytes
    original_length: int


def check_length(captured: int, available: int, number: int) -> None:
    """Refuses a packet whose length the file cannot hold. Raises CaptureFileError."""
    if captured > LARGEST_PACKET:
        raise CaptureFileError(f"packet {number}: {captured} bytes; at most {LARGEST_PACKET} are possible")
    if captured > available:
        raise CaptureFileError(f"packet {number}: {captured} bytes, of which {available} are there")
