"""VXLAN headers (RFC 7348)."""

from dataclasses import dataclass
from typing import Final

from podwire.proto.packet.errors import PacketError, require

HEADER_LENGTH: Final = 8
LINUX_PORT: Final = 8472  # the Linux kernel's default, which Flannel keeps; IANA gave 4789 later
OVERHEAD: Final = 50  # outer Ethernet 14, IPv4 20, UDP 8, VXLAN 8
_VALID_VNI: Final = 0x08


@dataclass(frozen=True, slots=True)
class Vxlan:
    """A VXLAN header; `vni` is a 24-bit network identifier."""

    vni: int

    @classmethod
    def parse(cls, octets: bytes | memoryview, offset: int = 0) -> tuple["Vxlan", int]:
        """The header at `offset` and where the inner frame begins; PacketError if truncated or without a VNI.

        Reserved bits are ignored on receipt, as RFC 7348 section 5 asks.
        """
        require(octets, offset, HEADER_LENGTH, "VXLAN header")
        if not octets[offset] & _VALID_VNI:
            raise PacketError("VXLAN header without a valid VNI")
        return cls(int.from_bytes(octets[offset + 4 : offset + 7])), offset + HEADER_LENGTH

    def build(self) -> bytes:
        """The 8 header bytes."""
        return bytes((_VALID_VNI, 0, 0, 0)) + (self.vni << 8).to_bytes(4)
