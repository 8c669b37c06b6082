"""Nothing that arrives from outside is trusted: any bytes are counted or dropped, none crash or hang the kernel."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from services import FLANNEL, rules
from topology import Network

from podwire.proto.messages import kernel as m
from podwire.proto.packet.arp import Arp
from podwire.proto.packet.ethernet import Ethernet
from podwire.proto.packet.ipv4 import build_packet
from podwire.proto.packet.tcp import Tcp, build_segment
from podwire.proto.packet.udp import build_datagram
from podwire.proto.packet.vxlan import Vxlan
from podwire.services.node.kernel.drops import DropReason

ME, OTHER = bytes((2, 0, 0, 0, 0, 1)), bytes((2, 0, 0, 0, 0, 2))
A, B = 0x0A000002, 0x0A000001
HEADER = Ethernet(ME, OTHER, 0x0800).build()
DATAGRAM = build_packet(A, B, 17, build_datagram(A, 5, B, 9, b"hello"))
INNER = Ethernet(bytes((2, 0, 0, 0, 1, 1)), OTHER, 0x0800).build() + DATAGRAM


def tunnelled(octets: bytes) -> bytes:
    return HEADER + build_packet(A, B, 17, build_datagram(A, 5, B, 8472, octets))


def changed(packet: bytes, position: int, octet: int) -> bytes:
    return packet[:position] + bytes((octet,)) + packet[position + 1 :]


CASES = {
    "empty": (b"", DropReason.DEV_HDR),
    "short": (HEADER[:13], DropReason.DEV_HDR),
    "no packet": (HEADER, DropReason.PKT_TOO_SMALL),
    "cut": (HEADER + DATAGRAM[:-3], DropReason.PKT_TOO_SMALL),
    "version": (HEADER + changed(DATAGRAM, 0, 0x65), DropReason.IP_INHDR),
    "header checksum": (HEADER + changed(DATAGRAM, 8, 9), DropReason.IP_CSUM),
    "udp checksum": (HEADER + changed(DATAGRAM, 30, 1), DropReason.UDP_CSUM),
    "tcp checksum": (
        HEADER + changed(build_packet(A, B, 6, build_segment(A, B, Tcp(1, 2, 3), b"data")), 43, 1),
        DropReason.TCP_CSUM,
    ),
    "other MAC": (Ethernet(OTHER, OTHER, 0x0800).build() + DATAGRAM, DropReason.OTHERHOST),
    "unknown type": (Ethernet(ME, OTHER, 0x88CC).build() + DATAGRAM, DropReason.UNHANDLED_PROTO),
    "arp cut": (Ethernet(ME, OTHER, 0x0806).build() + b"\0\1", DropReason.HDR_TRUNC),
    "no socket": (HEADER + DATAGRAM, DropReason.NO_SOCKET),
    "unknown protocol": (HEADER + build_packet(A, B, 200, b""), DropReason.IP_NOPROTO),
    "source is ours": (HEADER + build_packet(B, B, 17, b""), DropReason.IP_LOCAL_SOURCE),
    "source is multicast": (HEADER + build_packet(0xE0000001, B, 17, b""), DropReason.IP_INVALID_SOURCE),
    "loopback": (HEADER + build_packet(A, 0x7F000001, 17, b""), DropReason.IP_LOCALNET),
    "vni": (tunnelled(Vxlan(9).build() + INNER), DropReason.VXLAN_VNI_NOT_FOUND),
    "vxlan flags": (tunnelled(bytes(8) + INNER), DropReason.VXLAN_INVALID_HDR),
    "vxlan cut": (tunnelled(Vxlan(1).build()[:4]), DropReason.VXLAN_INVALID_HDR),
    "inner cut": (tunnelled(Vxlan(1).build() + INNER[:10]), DropReason.PKT_TOO_SMALL),
}


@pytest.mark.parametrize("name", CASES)
def test_malformed_frames_are_counted_under_the_kernels_own_names(name: str) -> None:
    frame, reason = CASES[name]
    network = Network()
    network[1].kernel.receive("eth0", frame, 0)
    assert network[1].kernel.drops.counts == {("", reason): 1}
    assert network[1].kernel.drops.recent[0].reason == reason.value


def guarded() -> Network:
    network = Network()
    network[1].pod("a", 5)
    text = rules("10.244.1.5:8080")
    network[1].do(
        m.IptablesRestore(text=FLANNEL.format(number=1), noflush=True), m.IptablesRestore(text=text, noflush=True)
    )
    network[1].sockets("a").listen_tcp(("", 8080))
    return network


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.binary(max_size=120), max_size=5),
    st.sampled_from([b"", HEADER, HEADER + DATAGRAM[:20], tunnelled(INNER)]),
)
def test_any_bytes_at_all(tails: list[bytes], head: bytes) -> None:
    network = guarded()
    for tail in tails:
        network[1].kernel.receive("eth0", head + tail, 0)
    network.settle()


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(CASES)),
    st.lists(st.tuples(st.integers(0, 150), st.integers(0, 255)), max_size=4),
)
def test_any_damage(name: str, damage: list[tuple[int, int]]) -> None:
    frame = CASES[name][0]
    for position, octet in damage:
        if position < len(frame):
            frame = changed(frame, position, octet)
    network = guarded()
    for _ in range(3):
        network[1].kernel.receive("eth0", frame, 0)
    network.settle()


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 255),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 65535),
    st.binary(max_size=20),
)
def test_any_segment_at_an_open_port(flags: int, sequence: int, acknowledgement: int, window: int, data: bytes) -> None:
    network = Network()
    network[1].sockets().listen_tcp(("", 80))
    network[1].do(m.NeighbourReplace(device="eth0", address="10.0.0.2", mac="02:00:00:00:00:02"))
    for bits in (2, flags, flags):
        header = Tcp(5, 80, sequence, acknowledgement, bits, window)
        network[1].kernel.receive("eth0", HEADER + build_packet(A, B, 6, build_segment(A, B, header, data)), 0)
    for _ in range(200):
        deadline = network[1].kernel.next_deadline()
        if deadline is None:
            return
        network[1].kernel.run_timers(deadline)


def test_a_flood_of_questions_fills_no_table() -> None:
    network = Network()
    for number in range(3000):
        message = Arp(1, OTHER, A + number + 5, bytes(6), B)
        network[1].kernel.receive("eth0", Ethernet(ME, OTHER, 0x0806).build() + message.build(), 0)
    assert len(network[1].kernel.root.neighbours.entries) <= 1024


def test_a_flood_of_connections_stops_at_the_limit() -> None:
    network = guarded()
    network[1].do(m.SysctlWrite(key="net.netfilter.nf_conntrack_max", value="100"))
    for port in range(1, 300):
        datagram = build_packet(A, B, 17, build_datagram(A, port, B, 9, b""))
        network[1].kernel.receive("eth0", HEADER + datagram, 0)
    connections = network[1].kernel.root.netfilter.connections
    assert len(connections) == 100
    assert network[1].kernel.drops.recent[-1].detail.startswith("nf_conntrack: table full")
