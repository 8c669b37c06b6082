"""IPv4 headers (RFC 791), options carried along unread."""

import struct
from dataclasses import dataclass
from typing import Final

from podwire.proto.packet.checksum import internet_checksum
from podwire.proto.packet.errors import PacketError, require

MINIMUM_HEADER: Final = 20
ICMP: Final = 1
TCP: Final = 6
UDP: Final = 17
SCTP: Final = 132
DONT_FRAGMENT: Final = 0x4000
MORE_FRAGMENTS: Final = 0x2000
OFFSET_MASK: Final = 0x1FFF
_FORMAT: Final = struct.Struct("!BBHHHBBHII")


@dataclass(frozen=True, slots=True)
class IPv4:
    """An IPv4 header. `total_length` counts header and payload; `fragment` is the flags-and-offset word."""

    source: int
    destination: int
    protocol: int
    total_length: int
    ttl: int = 64
    tos: int = 0
    identification: int = 0
    fragment: int = 0
    options: bytes = b""
    checksum: int | None = None

    @classmethod
    def parse(cls, octets: bytes | memoryview, offset: int = 0) -> tuple["IPv4", int]:
        """The header at `offset` and where the payload begins.

        PacketError if it is truncated, not version 4, lies about a length, or fails its checksum. Bytes after
        `total_length` (Ethernet padding) are allowed.
        """
        require(octets, offset, MINIMUM_HEADER, "IPv4 header")
        first, tos, total, identification, fragment, ttl, protocol, checksum, source, destination = _FORMAT.unpack_from(
            octets, offset
        )
        length = (first & 15) * 4
        if first >> 4 != 4 or length < MINIMUM_HEADER:
            raise PacketError(f"bad IPv4 version or header length: {first:#04x}")
        require(octets, offset, length, "IPv4 options")
        if total < length or total > len(octets) - offset:
            raise PacketError(f"bad IPv4 total length: {total}")
        if internet_checksum(octets[offset : offset + length]):
            raise PacketError("bad IPv4 header checksum")
        options = bytes(octets[offset + MINIMUM_HEADER : offset + length])
        header = cls(source, destination, protocol, total, ttl, tos, identification, fragment, options, checksum)
        return header, offset + length

    def build(self) -> bytes:
        """The header bytes with a right checksum; options are padded to 4."""
        options = self.options + bytes(-len(self.options) % 4)
        if len(options) > 40 or not 0 <= self.total_length <= 0xFFFF:
            raise PacketError("IPv4 options or total length out of range")
        header = bytearray(
            _FORMAT.pack(
                0x45 + len(options) // 4,
                self.tos,
                self.total_length,
                self.identification,
                self.fragment,
                self.ttl,
                self.protocol,
                0,
                self.source,
                self.destination,
            )
            + options
        )
        header[10:12] = internet_checksum(header).to_bytes(2)
        return bytes(header)


def build_packet(
    source: int,
    destination: int,
    protocol: int,
    payload: bytes,
    *,
    ttl: int = 64,
    tos: int = 0,
    identification: int = 0,
    fragment: int = 0,
) -> bytes:
    """A whole IPv4 packet around `payload`; PacketError if it would pass 65,535 bytes."""
    header = IPv4(
        source,
        destination,
        protocol,
        MINIMUM_HEADER + len(payload),
        ttl,
        tos,
        identification,
        fragment,
    )
    return header.build() + payload
