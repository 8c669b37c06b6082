"""Generated packets for the router: sound ones, odd ones and broken ones."""

import random
from typing import Final

from tests.oracle.frames import IDENTIFICATION
from tests.oracle.router import host_mac, router_mac

from podwire.proto.packet.addresses import parse_address, parse_mac
from podwire.proto.packet.checksum import internet_checksum
from podwire.proto.packet.icmp import Icmp
from podwire.proto.packet.icmpv6 import build_message
from podwire.proto.packet.internet import build_packet
from podwire.proto.packet.ipv4 import IPv4
from podwire.proto.packet.tcp import Tcp, build_segment
from podwire.proto.packet.udp import build_datagram

SOURCES: Final = (*["10.1.0.2"] * 8, "10.1.0.77", "10.7.7.7", "127.0.0.1", "224.0.0.5", "0.0.0.0", "255.255.255.255")
OWN: Final = ("10.1.0.1", "10.2.0.1", "10.3.0.1")
DESTINATIONS: Final = (
    *["10.2.0.2"] * 6,
    *["10.3.0.2"] * 3,
    *["10.96.0.10"] * 4,
    *OWN,
    "10.96.0.11",
    "10.4.1.1",
    "10.4.8.1",
    "10.9.1.1",
    "10.9.2.1",
    "10.9.3.1",
    "10.2.0.255",
    "10.1.0.255",
    "192.0.2.1",
    "127.0.0.1",
    "0.0.0.0",
    "255.255.255.255",
    "240.0.0.1",
    "224.0.0.1",
    "224.0.0.77",
)
PORTS: Final = (53, 80, 443, 8080, 30080, 1024, 65535)
TCP_FLAGS: Final = (0x02, 0x02, 0x02, 0x10, 0x18, 0x04, 0x14, 0x11, 0x12, 0x00, 0x29, 0x3F, 0x03)
SOURCES6: Final = (*["fd01::2"] * 8, "fd01::77", "fd07::7", "::1", "ff02::5", "::", "fe80::77")
DESTINATIONS6: Final = (
    *["fd02::2"] * 6,
    *["fd03::2"] * 3,
    *["fd96::a"] * 4,
    "fd01::1",
    "fd02::1",
    "fd96::b",
    "fd09:1::1",
    "fd09:2::1",
    "fd09:3::1",
    "2001:db8::1",
    "::1",
    "::",
    "ff02::77",
)


class PacketGenerator:
    """Frames from the client to its router, each decided by the seed."""

    def __init__(self, seed: int, *, family: str) -> None:
        self._random = random.Random(seed)
        self._is_ipv6 = family == "ipv6"

    def frame(self) -> bytes:
        """One frame."""
        packet = self._packet6() if self._is_ipv6 else self._packet4()
        return ethernet(packet, self._is_ipv6)

    def _pick[T](self, choices: tuple[T, ...]) -> T:
        return self._random.choice(choices)

    def _packet4(self) -> bytes:
        chance = self._random
        source, destination = parse_address(self._pick(SOURCES)), parse_address(self._pick(DESTINATIONS))
        if chance.random() < 0.05:
            source = parse_address(self._pick(OWN))
        protocol, payload = self._transport(source, destination)
        header = IPv4(
            source,
            destination,
            protocol,
            20 + len(payload),
            ttl=self._pick((64,) * 8 + (0, 1, 2, 255)),
            tos=self._pick((0, 0, 0, 0x10, 0xB8)),
            identification=IDENTIFICATION,
            fragment=self._pick((0, 0, 0x4000, 0x4000, 0x4000)),
        )
        return self._damaged(bytearray(header.build() + payload))

    def _transport(self, source: int, destination: int) -> tuple[int, bytes]:
        ports = self._pick(PORTS), self._pick(PORTS)
        size = self._pick((0, 1, 20, 64, 64, 64, 500, 1300, 1400))
        payload = bytes(self._random.getrandbits(8) for _ in range(size))
        kind = self._pick(("udp", "udp", "udp", "tcp", "tcp", "tcp", "icmp", "icmp", "other"))
        if kind == "udp":
            return 17, build_datagram(source, ports[0], destination, ports[1], payload)
        if kind == "tcp":
            flags = self._pick(TCP_FLAGS)
            return 6, build_segment(source, destination, Tcp(*ports, 1000, 2000, flags, 4096), payload)
        if kind == "icmp":
            return self._icmp(source, destination, payload)
        return self._pick((200, 89, 50)), payload

    def _icmp(self, source: int, destination: int, payload: bytes) -> tuple[int, bytes]:
        if self._is_ipv6:
            kind, code = self._pick(((128, 0), (128, 0), (129, 0), (1, 4), (3, 0), (200, 0)))
            quoted = self._quoted(destination, source) if kind < 128 else payload
            return 58, build_message(source, destination, Icmp(kind, code, 7 << 16 | 1), quoted)
        kind, code = self._pick(((8, 0), (8, 0), (8, 0), (0, 0), (3, 3), (3, 1), (11, 0), (13, 0), (42, 0)))
        quoted = self._quoted(destination, source) if kind in (3, 11) else payload
        return 1, Icmp(kind, code, (0 if kind in (3, 11) else 7 << 16 | 1)).build(quoted)

    def _quoted(self, source: int, destination: int) -> bytes:
        datagram = build_datagram(source, self._pick(PORTS), destination, self._pick(PORTS), b"quoted")
        return build_packet(source, destination, 17, datagram, identification=IDENTIFICATION)

    def _damaged(self, data: bytearray) -> bytes:
        """Most packets as they are; some with a wrong checksum, length, version or cut short."""
        fate = self._random.random()
        if fate < 0.90:
            return bytes(data)
        if fate < 0.92:
            data[10] ^= 0x55
        elif fate < 0.94 and len(data) > 30:
            data[-1] ^= 0xFF
        elif fate < 0.96:
            data[2:4] = self._pick((10, len(data) + 40, 19)).to_bytes(2)
            data[10:12] = b"\0\0"
            data[10:12] = internet_checksum(data[:20]).to_bytes(2)
        elif fate < 0.98:
            return bytes(data) + bytes(10)  # padding behind the packet
        else:
            data[0] = self._pick((0x55, 0x44, 0x4F))
        return bytes(data)

    def _packet6(self) -> bytes:
        source, destination = parse_address(self._pick(SOURCES6)), parse_address(self._pick(DESTINATIONS6))
        protocol, payload = self._transport(source, destination)
        hops = self._pick((64,) * 8 + (0, 1, 2, 255))
        data = bytearray(build_packet(source, destination, protocol, payload, ttl=hops))
        fate = self._random.random()
        if fate > 0.98:
            data[4:6] = (len(data) + 7).to_bytes(2)
        elif fate > 0.96:
            return bytes(data) + bytes(9)
        elif fate > 0.94 and len(data) > 50:
            data[-1] ^= 0xFF
        return bytes(data)


def ethernet(packet: bytes, is_ipv6: bool) -> bytes:
    """The packet in a frame from the client to its router."""
    ethertype = b"\x86\xdd" if is_ipv6 else b"\x08\x00"
    return parse_mac(router_mac(1)) + parse_mac(host_mac(1)) + ethertype + packet
