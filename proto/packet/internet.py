"""IP packets of either family: the addresses decide which."""

from podwire.proto.packet import ipv4
from podwire.proto.packet.ipv6 import IPv6


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
    """A whole packet around `payload`; PacketError if it would not fit.

    `identification` and `fragment` have no place in an IPv6 header and are left out there.
    """
    if destination > 0xFFFFFFFF:
        return IPv6(source, destination, protocol, len(payload), ttl, tos).build() + payload
    return ipv4.build_packet(
        source, destination, protocol, payload, ttl=ttl, tos=tos, identification=identification, fragment=fragment
    )
