"""ICMPv6 messages (RFC 4443), and the neighbour discovery messages among them (RFC 4861)."""

import struct
from dataclasses import dataclass
from typing import Final

from podwire.proto.packet.addresses import ipv6_number, ipv6_octets
from podwire.proto.packet.checksum import transport_checksum
from podwire.proto.packet.errors import PacketError, require
from podwire.proto.packet.icmp import Icmp
from podwire.proto.packet.ipv6 import ICMPV6

HEADER_LENGTH: Final = 8
DESTINATION_UNREACHABLE, PACKET_TOO_BIG, TIME_EXCEEDED, PARAMETER_PROBLEM = 1, 2, 3, 4
ECHO_REQUEST, ECHO_REPLY = 128, 129
ROUTER_SOLICITATION, ROUTER_ADVERTISEMENT, NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT = 133, 134, 135, 136
NO_ROUTE, ADMINISTRATIVELY_PROHIBITED, BEYOND_SCOPE, ADDRESS_UNREACHABLE, PORT_UNREACHABLE = 0, 1, 2, 3, 4
FAILED_POLICY, REJECT_ROUTE = 5, 6
UNKNOWN_NEXT_HEADER: Final = 1
"""A parameter problem's code: nothing here speaks that protocol."""
FIRST_INFORMATIONAL: Final = 128
"""Types below are errors (RFC 4443 section 2.1)."""
SOURCE_LINK_ADDRESS, TARGET_LINK_ADDRESS = 1, 2
ROUTER_FLAG, SOLICITED_FLAG, OVERRIDE_FLAG = 0x80, 0x40, 0x20
_FORMAT: Final = struct.Struct("!BBHI")


def parse_message(source: int, destination: int, octets: bytes) -> tuple[Icmp, int]:
    """The header and where the payload begins; PacketError if truncated or badly summed."""
    require(octets, 0, HEADER_LENGTH, "ICMPv6 header")
    if transport_checksum(source, destination, ICMPV6, octets):
        raise PacketError("bad ICMPv6 checksum")
    kind, code, checksum, rest = _FORMAT.unpack_from(octets)
    return Icmp(kind, code, rest, checksum), HEADER_LENGTH


def build_message(source: int, destination: int, header: Icmp, payload: bytes = b"") -> bytes:
    """The whole message with a right checksum under the IPv6 pseudo-header."""
    message = bytearray(_FORMAT.pack(header.type, header.code, 0, header.rest) + payload)
    message[2:4] = transport_checksum(source, destination, ICMPV6, message).to_bytes(2)
    return bytes(message)


@dataclass(frozen=True, slots=True)
class NeighbourMessage:
    """A solicitation or advertisement: the target, its or the sender's MAC (None: not told), and the flags."""

    type: int
    target: int
    mac: bytes | None = None
    flags: int = 0

    @classmethod
    def parse(cls, header: Icmp, payload: bytes) -> "NeighbourMessage":
        """From an ICMPv6 header and what follows it; PacketError if truncated or an option has length 0."""
        require(payload, 0, 16, "neighbour discovery message")
        wanted = SOURCE_LINK_ADDRESS if header.type == NEIGHBOUR_SOLICITATION else TARGET_LINK_ADDRESS
        return cls(header.type, ipv6_number(payload[:16]), _find_mac(payload, wanted), header.rest >> 24)

    def build(self, source: int, destination: int) -> bytes:
        """The ICMPv6 message, ready to be put in a packet."""
        option = b""
        if self.mac is not None:
            kind = SOURCE_LINK_ADDRESS if self.type == NEIGHBOUR_SOLICITATION else TARGET_LINK_ADDRESS
            option = bytes((kind, 1)) + self.mac
        return build_message(
            source, destination, Icmp(self.type, 0, self.flags << 24), ipv6_octets(self.target) + option
        )


def _find_mac(payload: bytes, wanted: int) -> bytes | None:
    at = 16
    while at + 8 <= len(payload):
        length = payload[at + 1] * 8
        if not length:
            raise PacketError("neighbour discovery option of length 0")
        if payload[at] == wanted and length == 8:
            return payload[at + 2 : at + 8]
        at += length
    return None


def solicited_node(address: int) -> int:
    """The group that an address's neighbour solicitations go to: ff02::1:ffXX:XXXX (RFC 4291 section 2.7.1)."""
    return _SOLICITED | address & 0xFFFFFF


_SOLICITED: Final = ipv6_number(bytes.fromhex("ff0200000000000000000001ff000000"))
