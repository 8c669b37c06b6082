"""Which frames a capture wants: by addresses and ports, of the frame itself or of what it carries in a tunnel."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from podwire.proto.packet.addresses import ipv6_number, parse_address
from podwire.proto.packet.arp import Arp
from podwire.proto.packet.errors import PacketError
from podwire.proto.packet.ethernet import HEADER_LENGTH, TYPE_ARP, TYPE_IPV4, TYPE_IPV6
from podwire.proto.packet.ipv4 import OFFSET_MASK, SCTP, TCP, UDP
from podwire.proto.packet.ipv6 import find_upper
from podwire.proto.packet.vxlan import LINUX_PORT

_WITH_PORTS: Final = (TCP, UDP, SCTP)
_TUNNEL_HEADERS: Final = 16
"""UDP and VXLAN."""
_DEPTH: Final = 3


class Ends(NamedTuple):
    """The addresses of one header, and the ports of what follows it."""

    addresses: tuple[int, ...]
    ports: tuple[int, ...] = ()


class PacketFilter:
    """Hosts and ports that are wanted; none of a kind means any. Raises PacketError for a host that is no address."""

    def __init__(self, hosts: list[str], ports: list[int]) -> None:
        self._hosts = tuple(parse_address(host) for host in hosts)
        self._ports = tuple(ports)

    def wants(self, frame: bytes) -> bool:
        """Whether a frame is to be shown; bytes that cannot be read have neither hosts nor ports."""
        if not self._hosts and not self._ports:
            return True
        return any(self._fits(ends) for ends in headers(frame))

    def _fits(self, ends: Ends) -> bool:
        is_host = not self._hosts or any(address in self._hosts for address in ends.addresses)
        return is_host and (not self._ports or any(port in self._ports for port in ends.ports))


def headers(frame: bytes, depth: int = _DEPTH) -> Iterator[Ends]:
    """The ends of a frame's headers, then of the frame in its tunnel."""
    if len(frame) < HEADER_LENGTH or not depth:
        return
    ethertype, packet = int.from_bytes(frame[12:14]), frame[HEADER_LENGTH:]
    if ethertype == TYPE_ARP:
        yield from _arp(packet)
    elif ethertype in (TYPE_IPV4, TYPE_IPV6):
        yield from _internet(packet, depth, is_ipv6=ethertype == TYPE_IPV6)


def _arp(packet: bytes) -> Iterator[Ends]:
    try:
        message, _ = Arp.parse(packet)
    except PacketError:
        return
    yield Ends((message.sender_address, message.target_address))


def _internet(packet: bytes, depth: int, *, is_ipv6: bool) -> Iterator[Ends]:
    if len(packet) < (40 if is_ipv6 else 20):
        return
    if is_ipv6:
        addresses = ipv6_number(packet[8:24]), ipv6_number(packet[24:40])
        try:
            upper = find_upper(packet)
        except PacketError:
            yield Ends(addresses)
            return
        protocol, at, later = upper.protocol, upper.at, upper.fragment & OFFSET_MASK
    else:
        addresses = int.from_bytes(packet[12:16]), int.from_bytes(packet[16:20])
        protocol, at = packet[9], (packet[0] & 15) * 4
        later = int.from_bytes(packet[6:8]) & OFFSET_MASK
    if later or protocol not in _WITH_PORTS or len(packet) < at + 4:
        yield Ends(addresses)
        return
    ports = int.from_bytes(packet[at : at + 2]), int.from_bytes(packet[at + 2 : at + 4])
    yield Ends(addresses, ports)
    if protocol == UDP and ports[1] == LINUX_PORT:
        yield from headers(packet[at + _TUNNEL_HEADERS :], depth - 1)
