"""ARP for IPv4 over Ethernet (RFC 826)."""

import struct
from dataclasses import dataclass
from typing import Final

from podwire.proto.packet.errors import PacketError, require

LENGTH: Final = 28
REQUEST: Final = 1
REPLY: Final = 2
_FORMAT: Final = struct.Struct("!HHBBH6sI6sI")
_ETHERNET_IPV4: Final = (1, 0x0800, 6, 4)


@dataclass(frozen=True, slots=True)
class Arp:
    """An ARP message; hardware addresses are six bytes, protocol addresses numbers."""

    operation: int
    sender_mac: bytes
    sender_address: int
    target_mac: bytes
    target_address: int

    @classmethod
    def parse(cls, octets: bytes | memoryview, offset: int = 0) -> tuple["Arp", int]:
        """The message at `offset` and where it ends; PacketError if truncated or not IPv4 over Ethernet."""
        require(octets, offset, LENGTH, "ARP message")
        *kind, operation, sender, sender_ip, target, target_ip = _FORMAT.unpack_from(octets, offset)
        if tuple(kind) != _ETHERNET_IPV4:
            raise PacketError("ARP that is not IPv4 over Ethernet")
        return cls(operation, sender, sender_ip, target, target_ip), offset + LENGTH

    def build(self) -> bytes:
        """The 28 message bytes."""
        return _FORMAT.pack(
            *_ETHERNET_IPV4,
            self.operation,
            self.sender_mac,
            self.sender_address,
            self.target_mac,
            self.target_address,
        )
