"""Scapy, written by others, reads what we build and builds what we read."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

from podwire.proto.packet.addresses import format_ipv4, format_mac, parse_ipv4
from podwire.proto.packet.arp import Arp
from podwire.proto.packet.ethernet import Ethernet
from podwire.proto.packet.icmp import Icmp
from podwire.proto.packet.ipv4 import IPv4, build_packet
from podwire.proto.packet.tcp import ACK, SYN, Tcp, build_segment
from podwire.proto.packet.udp import Udp, build_datagram
from podwire.proto.packet.vxlan import Vxlan

A, B = parse_ipv4("10.244.1.5"), parse_ipv4("10.244.2.3")
MAC_A, MAC_B = b"\x02\0\0\0\0\x01", b"\x02\0\0\0\0\x02"
ADDRESS = st.integers(1, 2**32 - 2)
PORT = st.integers(1, 65535)


@settings(max_examples=30)
@given(source=ADDRESS, destination=ADDRESS, sport=PORT, dport=PORT, payload=st.binary(max_size=50))
def test_udp(source: int, destination: int, sport: int, dport: int, payload: bytes) -> None:
    ours = build_packet(source, destination, 17, build_datagram(source, sport, destination, dport, payload))
    theirs = IP(src=format_ipv4(source), dst=format_ipv4(destination), id=0) / UDP(sport=sport, dport=dport)
    assert ours == bytes(theirs / Raw(payload) if payload else theirs)


@settings(max_examples=30)
@given(source=ADDRESS, destination=ADDRESS, sport=PORT, dport=PORT, payload=st.binary(max_size=50))
def test_tcp(source: int, destination: int, sport: int, dport: int, payload: bytes) -> None:
    header = Tcp(sport, dport, 7, 9, SYN | ACK, 512, maximum_segment_size=1410, window_scale=7, sack_permitted=True)
    ours = build_packet(source, destination, 6, build_segment(source, destination, header, payload))
    options = [("MSS", 1410), ("SAckOK", b""), ("NOP", None), ("WScale", 7), ("NOP", None), ("NOP", None)]
    theirs = IP(src=format_ipv4(source), dst=format_ipv4(destination), id=0) / TCP(
        sport=sport, dport=dport, seq=7, ack=9, flags="SA", window=512, options=options
    )
    assert ours == bytes(theirs / Raw(payload) if payload else theirs)
    parsed, at = Tcp.parse(bytes(theirs)[20:])
    assert (parsed.maximum_segment_size, parsed.window_scale, parsed.sack_permitted) == (1410, 7, True)
    assert at == header.build().__len__()


def test_arp_and_ethernet() -> None:
    ours = Ethernet(MAC_B, MAC_A, 0x0806).build() + Arp(1, MAC_A, A, bytes(6), B).build()
    theirs = Ether(src=format_mac(MAC_A), dst=format_mac(MAC_B)) / ARP(
        op=1, hwsrc=format_mac(MAC_A), psrc=format_ipv4(A), hwdst="00:00:00:00:00:00", pdst=format_ipv4(B)
    )
    assert ours == bytes(theirs)
    assert Arp.parse(bytes(theirs), 14)[0].target_address == B


def test_icmp_echo() -> None:
    ours = build_packet(A, B, 1, Icmp(8, 0, 7 << 16 | 3).build(b"ping"))
    theirs = IP(src=format_ipv4(A), dst=format_ipv4(B), id=0) / ICMP(type=8, id=7, seq=3) / Raw(b"ping")
    assert ours == bytes(theirs)


def test_vxlan_is_read_back_layer_by_layer() -> None:
    inner = Ethernet(MAC_B, MAC_A, 0x0800).build() + build_packet(A, B, 17, build_datagram(A, 1, B, 2, b"x"))
    datagram = build_datagram(B, 40000, A, 8472, Vxlan(1).build() + inner)
    outer = Ethernet(MAC_A, MAC_B, 0x0800).build() + build_packet(B, A, 17, datagram)
    read = Ether(outer)
    assert read[VXLAN].vni == 1
    assert bytes(read[VXLAN].payload) == inner


@pytest.mark.parametrize("flags", ["S", "SA", "FA", "R", "PA"])
def test_we_read_what_scapy_builds(flags: str) -> None:
    frame = bytes(
        Ether(src=format_mac(MAC_A), dst=format_mac(MAC_B))
        / IP(src=format_ipv4(A), dst=format_ipv4(B), ttl=3, tos=4)
        / TCP(sport=1234, dport=80, flags=flags, seq=99)
    )
    ethernet, at = Ethernet.parse(frame)
    ip, at = IPv4.parse(frame, at)
    segment, _ = Tcp.parse(frame, at)
    assert (ethernet.source, ip.source, ip.ttl, ip.tos) == (MAC_A, A, 3, 4)
    assert (segment.source_port, segment.destination_port, segment.sequence) == (1234, 80, 99)
    assert segment.flags == int(TCP(flags=flags).flags)


def test_udp_of_scapy() -> None:
    octets = bytes(UDP(sport=5, dport=53) / Raw(b"abc"))
    assert Udp.parse(octets)[0].length == 11
