"""Packets through two nodes with bridges, a VXLAN and kube-proxy's rules go as they go through Linux.

Every sender to every kind of destination, TCP, UDP and echo, of sizes around the MTUs, each twice: the second packet
meets what the first one left in connection tracking, neighbour tables and FDBs.
"""

import random
from collections.abc import Iterator
from itertools import product
from typing import Any, Final

import pytest
from tests.oracle import cluster
from tests.oracle.canonical import KNOWN_IDENTIFIER, canonical_frame
from tests.oracle.test_router import counters
from tests.oracle.worlds import Arrival, LinuxWorld, PodwireWorld, why_not

from podwire.proto.packet.addresses import parse_address, parse_mac
from podwire.proto.packet.icmp import Icmp
from podwire.proto.packet.internet import build_packet
from podwire.proto.packet.summary import summarize_frame
from podwire.proto.packet.tcp import SYN, Tcp, build_segment
from podwire.proto.packet.udp import build_datagram

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(why_not()), reason=why_not() or "-")]

SENDERS: Final = {
    "a": (cluster.A, cluster.pod_mac("a"), cluster.bridge_mac(1)),
    "c": (cluster.C, cluster.pod_mac("c"), cluster.bridge_mac(2)),
    "outside": (cluster.OUTSIDE, cluster.OUTSIDE_MAC, cluster.node_mac(1)),
}
DESTINATIONS: Final = (
    cluster.B,
    cluster.C,
    cluster.A,
    "10.244.1.1",
    "10.0.0.1",
    "10.0.0.2",
    cluster.OUTSIDE,
    cluster.LOCAL_SERVICE,
    cluster.FAR_SERVICE,
    cluster.DNS,
    cluster.HAIRPIN,
    cluster.EMPTY,
    "10.96.0.99",
    "10.244.1.77",
)
MTUS: Final = {"a": 1450, "c": 1450, "outside": 1500}
SIZES: Final = (0, 64, 1372, 1410, 1422, 1423, 1460)


def packets(sender: str) -> Iterator[bytes]:
    """Frames from a machine to its router."""
    source_text, source_mac, router_mac = SENDERS[sender]
    source = parse_address(source_text)
    for destination_text, size in product(DESTINATIONS, SIZES):
        destination = parse_address(destination_text)
        if destination == source:
            continue
        for protocol, payload in transports(source, destination, size):
            for fragment in (0x4000, 0) if size > 1400 else (0x4000,):
                data = build_packet(source, destination, protocol, payload, identification=0x1234, fragment=fragment)
                if len(data) > MTUS[sender]:
                    continue
                yield parse_mac(router_mac) + parse_mac(source_mac) + b"\x08\x00" + data


def transports(source: int, destination: int, size: int) -> Iterator[tuple[int, bytes]]:
    octets = bytes(index & 0xFF for index in range(size))
    for port in (80, cluster.NODE_PORT):
        yield 6, build_segment(source, destination, Tcp(5555, port, 1000, 0, SYN, 4096), octets)
    yield 17, build_datagram(source, 5555, destination, 53, octets)
    yield 1, Icmp(8, 0, KNOWN_IDENTIFIER << 16 | 1).build(octets)


def twice(frames: Iterator[bytes]) -> Iterator[bytes]:
    """Each frame two times."""
    return (frame for each in frames for frame in (each, each))


def canonical(arrivals: list[Arrival]) -> list[tuple[Any, ...]]:
    """IPv4 arrivals by place, in order within each."""
    ours = [each for each in arrivals if each.frame[12:14] == b"\x08\x00" and each.frame[:6] == MACS[each.netns]]
    return sorted(((each.netns, canonical_frame(each.frame)) for each in ours), key=lambda each: each[0])


MACS: Final = {
    **{pod: parse_mac(cluster.pod_mac(pod)) for pod in cluster.PODS},
    **{f"node{number}": parse_mac(cluster.node_mac(number)) for number in (1, 2)},
    "outside": parse_mac(cluster.OUTSIDE_MAC),
}


def service_counters(text: str) -> list[str]:
    """What the filter table and the chains of Services counted.

    The rest of the nat table also counts the first packets of the VXLAN's own flows, whose ports are a hash of each
    kernel's own.
    """
    return [
        line
        for line in counters(text)
        if line.startswith("*filter") or ("-A KUBE-S" in line and "nodeports" not in line)
    ]


@pytest.mark.parametrize("sender", ["outside", *(pytest.param(pod, marks=pytest.mark.slow) for pod in ("a", "c"))])
def test_every_way_through_the_cluster(sender: str) -> None:
    ours, theirs = PodwireWorld(random.Random(1)), LinuxWorld()
    try:
        for world in (ours, theirs):
            world.build(cluster.build(), cluster.POINTS)
        for number, frame in enumerate(twice(packets(sender))):
            got, wanted = (canonical(world.send(sender, "eth0", frame)) for world in (ours, theirs))
            assert got == wanted, f"packet {number}: {summarize_frame(frame)}"
        for node in ("node1", "node2"):
            assert service_counters(ours.rules(node, "ipv4")) == service_counters(theirs.rules(node, "ipv4"))
    finally:
        ours.close()
        theirs.close()
