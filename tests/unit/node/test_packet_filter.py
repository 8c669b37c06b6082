"""Which frames a capture wants: by host and port, of the frame or of what it carries in a tunnel."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.layers.vxlan import VXLAN

from podwire.proto.packet.errors import PacketError
from podwire.services.node.traffic.packet_filter import PacketFilter, headers

INNER = Ether() / IP(src="10.244.1.2", dst="10.244.2.3") / TCP(sport=4000, dport=8080)
OUTER = IP(src="172.18.0.3", dst="172.18.0.4") / UDP(sport=5, dport=8472, chksum=0) / VXLAN(vni=1)
FRAMES = {
    "tcp": bytes(INNER),
    "tunnel": bytes(Ether() / OUTER / INNER),
    "arp": bytes(Ether() / ARP(psrc="10.244.1.2", pdst="10.244.1.1")),
    "six": bytes(Ether() / IPv6(src="fd00::1", dst="fd00::2") / UDP(sport=53, dport=99)),
    "fragment": bytes(Ether() / IP(src="10.244.1.2", dst="10.0.0.1", frag=5, proto=6) / b"\x1f\x90\x1f\x90"),
}


@pytest.mark.parametrize(
    ("hosts", "ports", "wanted"),
    [
        ([], [], "tcp tunnel arp six fragment"),
        (["10.244.1.2"], [], "tcp tunnel arp fragment"),
        (["172.18.0.4"], [], "tunnel"),
        ([], [8080], "tcp tunnel"),
        ([], [8472], "tunnel"),
        (["172.18.0.4"], [8080], ""),
        (["10.244.2.3", "fd00::2"], [8080, 53], "tcp tunnel six"),
        (["fd00:0::0002"], [], "six"),
        (["10.9.9.9"], [], ""),
    ],
)
def test_what_is_wanted(hosts: list[str], ports: list[int], wanted: str) -> None:
    packets = PacketFilter(hosts, ports)
    assert [name for name, frame in FRAMES.items() if packets.wants(frame)] == wanted.split()


@given(st.sampled_from(list(FRAMES.values())), st.data())
def test_frames_that_lie_are_looked_at_without_harm(frame: bytes, data: st.DataObject) -> None:
    changed = bytearray(frame)
    for at in data.draw(st.lists(st.integers(0, len(frame) - 1), max_size=6)):
        changed[at] = data.draw(st.integers(0, 255))
    assert len(list(headers(bytes(changed[: data.draw(st.integers(0, len(frame)))])))) <= 3


def test_tunnels_in_tunnels_end() -> None:
    frame = bytes(INNER)
    for _ in range(9):
        frame = bytes(Ether() / OUTER / Ether(frame))
    assert len(list(headers(frame))) == 3


def test_a_host_that_is_no_address() -> None:
    with pytest.raises(PacketError, match="not an IPv4 address: 'web'"):
        PacketFilter(["web"], [])
