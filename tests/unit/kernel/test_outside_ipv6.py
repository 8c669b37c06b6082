"""IPv6 from outside is not trusted either: any bytes and any damage are counted or dropped, none harm the kernel."""

from dual import add_ipv6, dual_pod
from hypothesis import given, settings
from hypothesis import strategies as st
from topology import Network

from podwire.proto.messages import kernel as m
from podwire.proto.packet.addresses import ipv6_octets, parse_address
from podwire.proto.packet.ethernet import Ethernet
from podwire.proto.packet.icmp import Icmp
from podwire.proto.packet.icmpv6 import ECHO_REQUEST, build_message
from podwire.proto.packet.internet import build_packet
from podwire.proto.packet.ipv6 import ICMPV6
from podwire.proto.packet.tcp import SYN, Tcp, build_segment
from podwire.proto.packet.udp import build_datagram
from podwire.proto.packet.vxlan import Vxlan

ME, OTHER = bytes((2, 0, 0, 0, 0, 1)), bytes((2, 0, 0, 0, 0, 2))
A, B = parse_address("fd00:10::2"), parse_address("fd00:10::1")
POD = parse_address("fd00:10:244:1::5")
OUTER = Ethernet(ME, OTHER, 0x86DD).build()
SOLICITATION = Icmp(135, 0, 0), ipv6_octets(B)
PACKETS = {
    "udp": build_packet(A, B, 17, build_datagram(A, 5, B, 9, b"hello")),
    "tcp": build_packet(A, POD, 6, build_segment(A, POD, Tcp(5, 80, 7, flags=SYN), b"")),
    "echo": build_packet(A, B, ICMPV6, build_message(A, B, Icmp(ECHO_REQUEST, 0, 7), b"data")),
    "solicitation": build_packet(A, B, ICMPV6, build_message(A, B, *SOLICITATION), ttl=255),
    "advertisement": build_packet(A, B, ICMPV6, build_message(A, B, Icmp(136, 0, 0x60000000), bytes(24)), ttl=255),
    "too big": build_packet(A, B, ICMPV6, build_message(A, B, Icmp(2, 0, 1280), bytes(48))),
    "hop by hop": build_packet(A, B, 0, bytes((17, 0, 1, 4, 0, 0, 0, 0)) + build_datagram(A, 5, B, 9, b"x")),
    "fragment": build_packet(A, B, 44, bytes((17, 0, 0, 1, 0, 0, 0, 9)) + bytes(24)),
    "routing": build_packet(A, B, 43, bytes((59, 2, 0, 1, 0, 0, 0, 0)) + bytes(16)),
}
PACKETS["in vxlan"] = build_packet(
    A, B, 17, build_datagram(A, 5, B, 8472, Vxlan(1).build() + Ethernet(ME, OTHER, 0x86DD).build() + PACKETS["tcp"])
)


def guarded() -> Network:
    network = Network(1)
    add_ipv6(network)
    dual_pod(network[1], "a", 5)
    rules = "-A FORWARD -m conntrack --ctstate INVALID -j DROP\n-A INPUT -p ipv6-icmp -j ACCEPT\n-A INPUT -j REJECT\n"
    network[1].do(m.IptablesRestore(text=f"*filter\n{rules}COMMIT\n", family="ipv6"))
    network[1].sockets("a").listen_tcp(("::", 80))
    return network


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([b"", *PACKETS.values()]), st.integers(0, 120), st.binary(max_size=80))
def test_any_tail(packet: bytes, kept: int, tail: bytes) -> None:
    network = guarded()
    for _ in range(2):
        network[1].kernel.receive("eth0", OUTER + packet[:kept] + tail, 0)
    network.run(2_000_000_000)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(PACKETS)),
    st.lists(st.tuples(st.integers(0, 160), st.integers(0, 255)), max_size=5),
)
def test_any_damage(name: str, damage: list[tuple[int, int]]) -> None:
    frame = bytearray(OUTER + PACKETS[name])
    for position, octet in damage:
        if position < len(frame):
            frame[position] = octet
    network = guarded()
    for _ in range(3):
        network[1].kernel.receive("eth0", bytes(frame), 0)
    network.run(2_000_000_000)
    assert network[1].kernel.depth == 0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0, 43, 44, 50, 51, 60, 135, 59, 17]), st.integers(0, 255)), max_size=60))
def test_any_chain_of_extension_headers(chain: list[tuple[int, int]]) -> None:
    headers, following = b"", 17
    for kind, length in reversed(chain):
        headers = bytes((following, length % 4)) + bytes(6 + 8 * (length % 4)) + headers
        following = kind
    network = guarded()
    network[1].kernel.receive("eth0", OUTER + build_packet(A, B, following, headers + bytes(16)), 0)
    network.settle()
