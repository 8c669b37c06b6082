"""IPv6 bytes and texts: scapy, ipaddress and tcpdump's words are the oracles."""

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
)
from scapy.layers.inet6 import IPv6 as ScapyIPv6
from scapy.packet import Raw

from podwire.proto.packet import icmpv6
from podwire.proto.packet.addresses import (
    IPV6,
    format_address,
    format_mac,
    is_link_local,
    is_multicast,
    multicast_mac,
    parse_address,
    parse_prefix,
    prefix_mask6,
)
from podwire.proto.packet.errors import PacketError
from podwire.proto.packet.icmp import Icmp
from podwire.proto.packet.icmpv6 import NeighbourMessage, build_message, solicited_node
from podwire.proto.packet.internet import build_packet
from podwire.proto.packet.ipv6 import IPv6, find_upper
from podwire.proto.packet.summary import summarize_packet
from podwire.proto.packet.tcp import ACK, SYN, Tcp, build_segment
from podwire.proto.packet.udp import build_datagram

A, B = parse_address("fd00:10:244:1::5"), parse_address("fd00:10:244:2::3")
MAC = b"\x02\0\0\0\0\x01"
ADDRESS = st.integers(1, 2**128 - 1).map(lambda number: IPV6 | number)
PORT = st.integers(1, 65535)


@given(number=st.integers(0, 2**128 - 1))
def test_texts_are_those_of_ipaddress(number: int) -> None:
    assert parse_address(format_address(IPV6 | number)) == IPV6 | number
    if number >> 32 != 0xFFFF:
        assert format_address(IPV6 | number) == ipaddress.IPv6Address(number).compressed


@pytest.mark.parametrize("text", ["", ":", ":::", "fe80::1%eth0", "1::2::3", "12345::", "fd00::/64", "::1.2.3", "g::"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(PacketError, match="not an IPv"):
        parse_address(text)


def test_prefixes_keep_the_family() -> None:
    address, length = parse_prefix("fd00:10:244:1::5/64")
    assert format_address(address & prefix_mask6(length)) == "fd00:10:244:1::"
    assert prefix_mask6(0) & A == IPV6
    with pytest.raises(PacketError, match="prefix length"):
        parse_prefix("fd00::/129")


@pytest.mark.parametrize(
    ("text", "multicast", "link_local"),
    [
        ("ff02::1", True, False),
        ("fe80::1", False, True),
        ("febf::1", False, True),
        ("fec0::1", False, False),
        ("::", False, False),
        ("224.0.0.1", True, False),
        ("239.255.255.255", True, False),
        ("240.0.0.1", False, False),
    ],
)
def test_kinds_of_addresses(text: str, multicast: bool, link_local: bool) -> None:
    number = parse_address(text)
    assert (is_multicast(number), is_link_local(number)) == (multicast, link_local)


def test_groups() -> None:
    group = solicited_node(parse_address("fd00::12:3456"))
    assert format_address(group) == "ff02::1:ff12:3456"
    assert format_mac(multicast_mac(group)) == "33:33:ff:12:34:56"
    assert format_mac(multicast_mac(parse_address("224.0.0.251"))) == "01:00:5e:00:00:fb"


@settings(max_examples=40)
@given(source=ADDRESS, destination=ADDRESS, sport=PORT, dport=PORT, payload=st.binary(max_size=50))
def test_udp_and_tcp(source: int, destination: int, sport: int, dport: int, payload: bytes) -> None:
    base = ScapyIPv6(src=format_address(source), dst=format_address(destination))
    ours = build_packet(source, destination, 17, build_datagram(source, sport, destination, dport, payload))
    theirs = base / UDP(sport=sport, dport=dport) / Raw(payload)
    assert ours == bytes(ScapyIPv6(bytes(theirs)))
    segment = build_segment(source, destination, Tcp(sport, dport, 7, 9, SYN | ACK, 512), payload)
    assert build_packet(source, destination, 6, segment) == bytes(
        base / TCP(sport=sport, dport=dport, seq=7, ack=9, flags="SA", window=512) / Raw(payload)
    )


@given(hops=st.integers(0, 255), traffic=st.integers(0, 255), label=st.integers(0, 0xFFFFF))
def test_header_fields(hops: int, traffic: int, label: int) -> None:
    theirs = bytes(ScapyIPv6(src="fd00::1", dst="fd00::2", hlim=hops, tc=traffic, fl=label, nh=59))
    header, at = IPv6.parse(theirs)
    assert (header.hop_limit, header.traffic_class, header.flow_label, at) == (hops, traffic, label, 40)
    assert header.build() == theirs


def test_echo_and_neighbour_discovery() -> None:
    base = ScapyIPv6(src=format_address(A), dst=format_address(B))
    echo = build_message(A, B, Icmp(icmpv6.ECHO_REQUEST, 0, 7 << 16 | 3), b"ping")
    assert build_packet(A, B, 58, echo) == bytes(base / ICMPv6EchoRequest(id=7, seq=3, data=b"ping"))
    asked = NeighbourMessage(icmpv6.NEIGHBOUR_SOLICITATION, B, MAC).build(A, B)
    theirs = base / ICMPv6ND_NS(tgt=format_address(B)) / ICMPv6NDOptSrcLLAddr(lladdr=format_mac(MAC))
    assert build_packet(A, B, 58, asked, ttl=255) == bytes(theirs)
    flags = icmpv6.SOLICITED_FLAG | icmpv6.OVERRIDE_FLAG
    told = NeighbourMessage(icmpv6.NEIGHBOUR_ADVERTISEMENT, A, MAC, flags).build(A, B)
    answer = ICMPv6ND_NA(tgt=format_address(A), R=0, S=1, O=1) / ICMPv6NDOptDstLLAddr(lladdr=format_mac(MAC))
    assert build_packet(A, B, 58, told, ttl=255) == bytes(base / answer)
    header, at = icmpv6.parse_message(A, B, told)
    assert NeighbourMessage.parse(header, told[at:]) == NeighbourMessage(136, A, MAC, flags)


def test_extension_headers_are_walked() -> None:
    chain = IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / IPv6ExtHdrFragment(offset=3, m=1, id=9) / Raw(bytes(16))
    octets = bytes(ScapyIPv6(src="fd00::1", dst="fd00::2") / chain)
    found = find_upper(octets)
    assert (found.at, found.fragment, found.identification, found.fragment_at) == (64, 0x2003, 9, 56)
    assert octets[found.next_header_at] == 44


@given(st.binary(max_size=120))
def test_foreign_bytes_raise_nothing_but_packet_errors(octets: bytes) -> None:
    data = b"\x60" + octets
    assert summarize_packet(data).startswith("IP6 ")
    try:
        find_upper(data.ljust(40, b"\0"))
    except PacketError:
        pass


@pytest.mark.parametrize(
    ("payload", "protocol", "line"),
    [
        (
            build_message(A, B, Icmp(icmpv6.ECHO_REQUEST, 0, 1 << 16 | 2), bytes(56)),
            58,
            "IP6 fd00:10:244:1::5 > fd00:10:244:2::3: ICMP6, echo request, id 1, seq 2, length 64",
        ),
        (
            NeighbourMessage(icmpv6.NEIGHBOUR_SOLICITATION, B, MAC).build(A, B),
            58,
            "IP6 fd00:10:244:1::5 > fd00:10:244:2::3: "
            "ICMP6, neighbor solicitation, who has fd00:10:244:2::3, length 32",
        ),
        (
            build_datagram(A, 1024, B, 53, b"abc"),
            17,
            "IP6 fd00:10:244:1::5.1024 > fd00:10:244:2::3.53: UDP, length 3",
        ),
        (b"", 59, "IP6 fd00:10:244:1::5 > fd00:10:244:2::3: no next header"),
    ],
)
def test_summaries(payload: bytes, protocol: int, line: str) -> None:
    assert summarize_packet(build_packet(A, B, protocol, payload)) == line
