"""IPv6 headers, and the extension headers between them and the transport (RFC 8200)."""

import struct
from dataclasses import dataclass
from typing import Final, NamedTuple

from podwire.proto.packet.addresses import ipv6_number, ipv6_octets
from podwire.proto.packet.errors import PacketError, require

HEADER_LENGTH: Final = 40
FRAGMENT_HEADER: Final = 8
MINIMUM_MTU: Final = 1280
HOP_BY_HOP, ROUTING, FRAGMENT, ICMPV6, NO_NEXT_HEADER, DESTINATION_OPTIONS = 0, 43, 44, 58, 59, 60
_CHAINED: Final = (HOP_BY_HOP, ROUTING, DESTINATION_OPTIONS)
_MORE: Final = 0x2000
_FORMAT: Final = struct.Struct("!IHBB16s16s")
_FRAGMENT: Final = struct.Struct("!BBHI")
EXTENSION_LIMIT: Final = 8


@dataclass(frozen=True, slots=True)
class IPv6:
    """An IPv6 header. `payload_length` counts everything after these 40 bytes, extension headers included."""

    source: int
    destination: int
    next_header: int
    payload_length: int
    hop_limit: int = 64
    traffic_class: int = 0
    flow_label: int = 0

    @classmethod
    def parse(cls, octets: bytes | memoryview, offset: int = 0) -> tuple["IPv6", int]:
        """The header at `offset` and where it ends; PacketError if truncated, not version 6 or lying about length.

        Bytes after the payload (Ethernet padding) are allowed.
        """
        require(octets, offset, HEADER_LENGTH, "IPv6 header")
        first, length, following, hops, source, destination = _FORMAT.unpack_from(octets, offset)
        if first >> 28 != 6:
            raise PacketError(f"bad IP version: {first >> 28}")
        if length > len(octets) - offset - HEADER_LENGTH:
            raise PacketError(f"bad IPv6 payload length: {length}")
        addresses = ipv6_number(source), ipv6_number(destination)
        header = cls(*addresses, following, length, hops, first >> 20 & 0xFF, first & 0xFFFFF)
        return header, offset + HEADER_LENGTH

    def build(self) -> bytes:
        """The 40 header bytes; PacketError for a length that does not fit."""
        if not 0 <= self.payload_length <= 0xFFFF:
            raise PacketError("IPv6 payload length out of range")
        first = 6 << 28 | self.traffic_class << 20 | self.flow_label
        return _FORMAT.pack(
            first,
            self.payload_length,
            self.next_header,
            self.hop_limit,
            ipv6_octets(self.source),
            ipv6_octets(self.destination),
        )


class Upper(NamedTuple):
    """Where the transport is: its protocol and offset, and what a fragment header said.

    `fragment` is in IPv4's form (offset in units of eight bytes, 0x2000 for more fragments); `fragment_at` is that
    header's offset (0: there is none), `next_header_at` the byte that names what follows the unfragmentable part.
    """

    protocol: int
    at: int
    fragment: int = 0
    identification: int = 0
    fragment_at: int = 0
    next_header_at: int = 6


def find_upper(octets: bytes | bytearray | memoryview) -> Upper:
    """Walk the extension headers of a packet that begins at 0; PacketError if they lie or are too many."""
    following, at, named_at = octets[6], HEADER_LENGTH, 6
    found = Upper(following, at)
    for _ in range(EXTENSION_LIMIT):
        if following == FRAGMENT:
            require_octets(octets, at, FRAGMENT_HEADER)
            following, _, word, identification = _FRAGMENT.unpack_from(octets, at)
            fragment = word >> 3 | (_MORE if word & 1 else 0)
            found = Upper(following, at + FRAGMENT_HEADER, fragment, identification, at, named_at)
            named_at, at = at, at + FRAGMENT_HEADER
            if word >> 3:
                return found
        elif following in _CHAINED:
            require_octets(octets, at, 8)
            length = (octets[at + 1] + 1) * 8
            require_octets(octets, at, length)
            following, named_at, at = octets[at], at, at + length
            found = found._replace(protocol=following, at=at)
            if not found.fragment_at:
                found = found._replace(next_header_at=named_at)
        else:
            return found
    raise PacketError("too many IPv6 extension headers")


def require_octets(octets: bytes | bytearray | memoryview, at: int, length: int) -> None:
    """Raise PacketError unless an extension header is there in full."""
    if len(octets) - at < length:
        raise PacketError("truncated IPv6 extension header")


def build_fragment_header(following: int, fragment: int, identification: int) -> bytes:
    """The eight bytes; `fragment` in IPv4's form."""
    return _FRAGMENT.pack(following, 0, (fragment & 0x1FFF) << 3 | bool(fragment & _MORE), identification)
