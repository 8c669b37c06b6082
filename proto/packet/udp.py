"""UDP headers (RFC 768)."""

import struct
from typing import Final, NamedTuple

from podwire.proto.packet.checksum import transport_checksum
from podwire.proto.packet.errors import PacketError, require
from podwire.proto.packet.ipv4 import UDP as PROTOCOL

HEADER_LENGTH: Final = 8
_FORMAT: Final = struct.Struct("!HHHH")


class Udp(NamedTuple):
    """A UDP header; `length` counts header and payload, checksum 0 means not computed."""

    source_port: int
    destination_port: int
    length: int
    checksum: int = 0

    @classmethod
    def parse(cls, octets: bytes | memoryview, offset: int = 0) -> tuple["Udp", int]:
        """The header at `offset` and where the payload begins; PacketError if its lengths lie."""
        require(octets, offset, HEADER_LENGTH, "UDP header")
        header = cls._make(_FORMAT.unpack_from(octets, offset))
        if header.length < HEADER_LENGTH or header.length > len(octets) - offset:
            raise PacketError(f"bad UDP length: {header.length}")
        return header, offset + HEADER_LENGTH

    def build(self) -> bytes:
        """The 8 header bytes as they stand."""
        return _FORMAT.pack(self.source_port, self.destination_port, self.length, self.checksum)


def build_datagram(source: int, source_port: int, destination: int, destination_port: int, payload: bytes) -> bytes:
    """A UDP header with checksum and its payload; `source` and `destination` are IPv4 addresses."""
    length = HEADER_LENGTH + len(payload)
    bare = _FORMAT.pack(source_port, destination_port, length, 0) + payload
    checksum = transport_checksum(source, destination, PROTOCOL, bare) or 0xFFFF
    return bare[:6] + checksum.to_bytes(2) + payload
