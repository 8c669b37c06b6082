"""Geneve headers (RFC 8926). Options are skipped; what marks them as critical is told."""

from dataclasses import dataclass
from typing import Final

from podwire.proto.packet.errors import PacketError, require

HEADER_LENGTH: Final = 8
PORT: Final = 6081
ETHERNET: Final = 0x6558
"""Trans Ether Bridging, the protocol type of an inner Ethernet frame."""
_CRITICAL: Final = 0x40


@dataclass(frozen=True, slots=True)
class Geneve:
    """A Geneve header; `vni` is a 24-bit network identifier, `protocol` an ethertype."""

    vni: int
    protocol: int = ETHERNET
    is_critical: bool = False

    @classmethod
    def parse(cls, octets: bytes | memoryview, offset: int = 0) -> tuple["Geneve", int]:
        """The header at `offset` and where what it carries begins; PacketError if truncated or of another version."""
        require(octets, offset, HEADER_LENGTH, "Geneve header")
        if octets[offset] >> 6:
            raise PacketError(f"Geneve version {octets[offset] >> 6}")
        length = HEADER_LENGTH + (octets[offset] & 0x3F) * 4
        require(octets, offset, length, "Geneve options")
        protocol = int.from_bytes(octets[offset + 2 : offset + 4])
        vni = int.from_bytes(octets[offset + 4 : offset + 7])
        return cls(vni, protocol, bool(octets[offset + 1] & _CRITICAL)), offset + length

    def build(self) -> bytes:
        """The 8 header bytes, without options."""
        return (
            bytes((0, _CRITICAL if self.is_critical else 0)) + self.protocol.to_bytes(2) + (self.vni << 8).to_bytes(4)
        )
