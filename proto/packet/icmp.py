"""ICMP messages (RFC 792, RFC 1191)."""

import struct
from dataclasses import dataclass
from typing import Final

from podwire.proto.packet.checksum import internet_checksum
from podwire.proto.packet.errors import PacketError, require

HEADER_LENGTH: Final = 8
ECHO_REPLY, DESTINATION_UNREACHABLE, REDIRECT, ECHO_REQUEST, TIME_EXCEEDED, PARAMETER_PROBLEM = (
    0,
    3,
    5,
    8,
    11,
    12,
)
NET_UNREACHABLE, HOST_UNREACHABLE, PROTOCOL_UNREACHABLE, PORT_UNREACHABLE, FRAGMENTATION_NEEDED = (
    0,
    1,
    2,
    3,
    4,
)
NET_PROHIBITED, HOST_PROHIBITED, ADMINISTRATIVELY_PROHIBITED = 9, 10, 13
ERRORS: Final = (DESTINATION_UNREACHABLE, 4, REDIRECT, TIME_EXCEEDED, PARAMETER_PROBLEM)
_FORMAT: Final = struct.Struct("!BBHI")


@dataclass(frozen=True, slots=True)
class Icmp:
    """An ICMP header; `rest` is its second word (identifier and sequence, or unused and MTU)."""

    type: int
    code: int = 0
    rest: int = 0
    checksum: int = 0

    @classmethod
    def parse(cls, octets: bytes | memoryview, offset: int = 0) -> tuple["Icmp", int]:
        """The header at `offset` and where the payload begins; PacketError if truncated or badly summed.

        The checksum covers everything up to the end of `octets`.
        """
        require(octets, offset, HEADER_LENGTH, "ICMP header")
        if internet_checksum(octets[offset:]):
            raise PacketError("bad ICMP checksum")
        kind, code, checksum, rest = _FORMAT.unpack_from(octets, offset)
        return cls(kind, code, rest, checksum), offset + HEADER_LENGTH

    def build(self, payload: bytes = b"") -> bytes:
        """The whole message around `payload`, with a right checksum."""
        message = bytearray(_FORMAT.pack(self.type, self.code, 0, self.rest) + payload)
        message[2:4] = internet_checksum(message).to_bytes(2)
        return bytes(message)

    @property
    def identifier(self) -> int:
        """The echo identifier."""
        return self.rest >> 16

    @property
    def sequence(self) -> int:
        """The echo sequence number."""
        return self.rest & 0xFFFF
