"""What a person reads of a frame, in the manner of tcpdump."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podwire.proto.packet.addresses import format_ipv4, parse_ipv4, parse_mac, parse_prefix
from podwire.proto.packet.arp import Arp
from podwire.proto.packet.errors import PacketError
from podwire.proto.packet.ethernet import Ethernet
from podwire.proto.packet.icmp import Icmp
from podwire.proto.packet.ipv4 import build_packet
from podwire.proto.packet.sctp import Chunk, Data, Init, Sack, Sctp
from podwire.proto.packet.summary import summarize_frame
from podwire.proto.packet.tcp import ACK, PSH, SYN, Tcp, build_segment
from podwire.proto.packet.udp import build_datagram
from podwire.proto.packet.vxlan import Vxlan

A, B = parse_ipv4("10.244.1.2"), parse_ipv4("10.244.2.3")
ETHERNET = Ethernet(b"\x02" * 6, b"\x06" * 6, 0x0800).build()
QUERY = build_packet(A, B, 17, build_datagram(A, 40000, B, 53, b"hello"))
DENIED = build_packet(B, A, 1, Icmp(3, 3).build(QUERY))
TOO_BIG = build_packet(B, A, 1, Icmp(3, 4, 1450).build(QUERY))


def segment(header: Tcp, payload: bytes = b"") -> bytes:
    return ETHERNET + build_packet(A, B, 6, build_segment(A, B, header, payload))


CASES = {
    "syn": (
        segment(Tcp(40000, 80, 5, flags=SYN, window=64240, maximum_segment_size=1410, window_scale=7)),
        "IP 10.244.1.2.40000 > 10.244.2.3.80: Flags [S], seq 5, win 64240, options [mss 1410,wscale 7], length 0",
    ),
    "data": (
        segment(Tcp(40000, 80, 6, 9, PSH | ACK, 502), b"GET"),
        "IP 10.244.1.2.40000 > 10.244.2.3.80: Flags [P.], seq 6:9, ack 9, win 502, length 3",
    ),
    "udp": (ETHERNET + QUERY, "IP 10.244.1.2.40000 > 10.244.2.3.53: UDP, length 5"),
    "ping": (
        ETHERNET + build_packet(A, B, 1, Icmp(8, 0, 7 << 16 | 1).build(bytes(56))),
        "IP 10.244.1.2 > 10.244.2.3: ICMP echo request, id 7, seq 1, length 64",
    ),
    "port unreachable": (
        ETHERNET + DENIED,
        "IP 10.244.2.3 > 10.244.1.2: ICMP 10.244.2.3 udp port 53 unreachable, length 41",
    ),
    "fragmentation needed": (
        ETHERNET + TOO_BIG,
        "IP 10.244.2.3 > 10.244.1.2: ICMP 10.244.2.3 unreachable - need to frag (mtu 1450), length 41",
    ),
    "who-has": (
        Ethernet(b"\xff" * 6, b"\x06" * 6, 0x0806).build() + Arp(1, b"\x06" * 6, A, bytes(6), B).build(),
        "ARP, Request who-has 10.244.2.3 tell 10.244.1.2, length 28",
    ),
    "vxlan": (
        ETHERNET + build_packet(A, B, 17, build_datagram(A, 5, B, 8472, Vxlan(1).build() + ETHERNET + QUERY)),
        "IP 10.244.1.2.5 > 10.244.2.3.8472: OTV/VXLAN, flags [I] (0x08), vni 1: "
        "IP 10.244.1.2.40000 > 10.244.2.3.53: UDP, length 5",
    ),
    "sctp": (
        ETHERNET + build_packet(A, B, 132, Sctp(40000, 38412, 0, (Chunk(1, 0, Init(9, 4, 2, 3, 7).build()),)).build()),
        "IP 10.244.1.2.40000 > 10.244.2.3.38412: sctp (1) [INIT] [init tag: 9] [rwnd: 4] [OS: 2] [MIS: 3] "
        "[init TSN: 7]",
    ),
    "sctp data": (
        ETHERNET
        + build_packet(A, B, 132, Sctp(1, 2, 3, (Sack(8, 100).chunk(), Data(3, 5, 1, 6, 0, b"hello").chunk())).build()),
        "IP 10.244.1.2.1 > 10.244.2.3.2: sctp (1) [SACK] [cum ack 8] [a_rwnd 100] [#gap acks 0] [#dup tsns 0] "
        "(2) [DATA] (B)(E) [TSN: 5] [SID: 1] [SSEQ 6] [PPID 0x0]",
    ),
    "nothing": (b"", "[truncated Ethernet header: 0 of 14 bytes]"),
}


@pytest.mark.parametrize("name", CASES)
def test_summary(name: str) -> None:
    frame, line = CASES[name]
    assert summarize_frame(frame) == line


@given(frame=st.binary(max_size=120))
def test_any_bytes_have_a_summary(frame: bytes) -> None:
    assert "\n" not in summarize_frame(frame)
    assert "\n" not in summarize_frame(ETHERNET + frame)


@given(cut=st.integers(0, 200), name=st.sampled_from(sorted(CASES)))
def test_cut_frames_have_a_summary(cut: int, name: str) -> None:
    assert summarize_frame(CASES[name][0][:cut])


@given(st.integers(0, 2**32 - 1))
def test_addresses_round_trip(address: int) -> None:
    assert parse_ipv4(format_ipv4(address)) == address


@pytest.mark.parametrize("text", ["", "1.2.3", "1.2.3.256", "01.2.3.4", "1.2.3.-4", "a.b.c.d", "1.2.3.4.5", "١.1.1.1"])
def test_what_is_not_an_address(text: str) -> None:
    with pytest.raises(PacketError):
        parse_ipv4(text)


@pytest.mark.parametrize("text", ["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/a", "/8"])
def test_what_is_not_a_prefix(text: str) -> None:
    with pytest.raises(PacketError):
        parse_prefix(text)


@pytest.mark.parametrize("text", ["", "02:00:00:00:00", "02:00:00:00:00:0g", "02:00:00:00:00:001", "2::"])
def test_what_is_not_a_mac(text: str) -> None:
    with pytest.raises(PacketError):
        parse_mac(text)
