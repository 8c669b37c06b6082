"""Ethernet II frames (IEEE 802.3)."""

from dataclasses import dataclass
from typing import Final

from podwire.proto.packet.errors import require

HEADER_LENGTH: Final = 14
TYPE_IPV4: Final = 0x0800
TYPE_ARP: Final = 0x0806
TYPE_IPV6: Final = 0x86DD


@dataclass(frozen=True, slots=True)
class Ethernet:
    """An Ethernet header; addresses are six bytes."""

    destination: bytes
    source: bytes
    ethertype: int

    @classmethod
    def parse(cls, octets: bytes | memoryview, offset: int = 0) -> tuple["Ethernet", int]:
        """The header at `offset` and where its payload begins; PacketError if truncated."""
        require(octets, offset, HEADER_LENGTH, "Ethernet header")
        view = bytes(octets[offset : offset + HEADER_LENGTH])
        return cls(view[:6], view[6:12], int.from_bytes(view[12:])), offset + HEADER_LENGTH

    def build(self) -> bytes:
        """The 14 header bytes."""
        return self.destination + self.source + self.ethertype.to_bytes(2)
