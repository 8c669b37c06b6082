"""The kernel alone: nanoseconds a packet, cached and walking, and what the number of Services changes."""

import time
from collections.abc import Iterator

from tests.bench.table import Row
from tests.unit.kernel.dual import add_ipv6, dual_pod
from tests.unit.kernel.topology import Network

from podwire.proto.messages import kernel as messages
from podwire.proto.packet.addresses import parse_ipv4, parse_ipv6
from podwire.proto.packet.ipv4 import UDP, build_packet
from podwire.proto.packet.ipv6 import IPv6
from podwire.proto.packet.udp import build_datagram
from podwire.services.kube_proxy.core.endpoints import Endpoint
from podwire.services.kube_proxy.core.iptables.book import full_text
from podwire.services.kube_proxy.core.ports import ServicePortName, ServicePortState
from podwire.services.kube_proxy.core.surroundings import Surroundings
from podwire.services.node.kernel.sockets.udp import UdpSocket

PAYLOAD = bytes(200)
PORT = 9000
SERVICES = (10, 1_000, 10_000)


def udp_frame(
    link: bytes, source: str, destination: str, source_port: int, port: int, payload: bytes = PAYLOAD
) -> bytes:
    """An Ethernet frame as a pod sends it; `link` is both MACs."""
    own, other = parse_ipv4(source), parse_ipv4(destination)
    datagram = build_datagram(own, source_port, other, port, payload)
    return link + b"\x08\x00" + build_packet(own, other, UDP, datagram, identification=1)


def link_to(network: Network, node: int, pod: str, device: str, netns: str = "") -> bytes:
    """Destination and source MAC of a pod's frame to a device of its machine."""
    kernel = network[node].kernel
    to = kernel.namespace(netns).devices[device].mac
    return bytes(to) + bytes(kernel.namespace(pod).devices["eth0"].mac)


class Counting:
    """A UDP socket in a pod that takes what arrives at once."""

    def __init__(self, network: Network, node: int, pod: str) -> None:
        self.count = 0
        self._socket: UdpSocket = network[node].sockets(pod).open_udp()
        self._socket.bind(("0.0.0.0", PORT))
        self._socket.on_ready = self._take

    def _take(self) -> None:
        while self._socket.receive() is not None:
            self.count += 1


def per_packet(network: Network, node: int, pod: str, frames: list[bytes], count: int) -> float:
    """Nanoseconds that a frame sent from a pod costs its machine."""
    kernel, now = network[node].kernel, network.now
    for frame in frames:
        kernel.send_frame(pod, "eth0", frame, now)
    network.settle()
    began = time.perf_counter_ns()
    for index in range(count):
        kernel.send_frame(pod, "eth0", frames[index % len(frames)], now)
        if kernel.transmitted:
            kernel.transmitted.clear()
    return (time.perf_counter_ns() - began) / count


def same_node(cached: bool) -> tuple[float, Counting]:
    """Pod to pod over the bridge, received by a socket."""
    network = Network(2, cached=cached)
    one, two = network[1].pod("one", 2), network[1].pod("two", 3)
    socket = Counting(network, 1, "two")
    back = udp_frame(link_to(network, 1, "two", "eth0", "one"), two, one, PORT, 4000)
    network[1].kernel.send_frame("two", "eth0", back, network.now)  # the bridge learns where it is
    frame = udp_frame(link_to(network, 1, "one", "eth0", "two"), one, two, 4000, PORT)
    return per_packet(network, 1, "one", [frame], 60_000 if cached else 6_000), socket


def encapsulating(cached: bool) -> float:
    """Pod to another machine's pod: bridge, route, VXLAN, the outer packet out of the NIC."""
    network = Network(2, cached=cached)
    one, two = network[1].pod("one", 2), network[2].pod("two", 2)
    Counting(network, 2, "two")
    frame = udp_frame(link_to(network, 1, "one", "cni0"), one, two, 4000, PORT)
    return per_packet(network, 1, "one", [frame], 60_000 if cached else 4_000)


def encapsulating6(cached: bool) -> float:
    """The same over IPv6, where the tunnel's UDP checksum is computed."""
    network = Network(2, cached=cached)
    add_ipv6(network)
    own, other = (parse_ipv6(dual_pod(network[node], name, 2)) for node, name in ((1, "one"), (2, "two")))
    datagram = build_datagram(own, 4000, other, PORT, PAYLOAD)
    frame = link_to(network, 1, "one", "cni0") + b"\x86\xdd" + IPv6(own, other, UDP, len(datagram)).build() + datagram
    return per_packet(network, 1, "one", [frame], 60_000 if cached else 4_000)


def decapsulating(cached: bool) -> float:
    """The other side: from the NIC to the pod's socket."""
    network = Network(2, cached=cached)
    one, two = network[1].pod("one", 2), network[2].pod("two", 2)
    Counting(network, 2, "two")
    inner = udp_frame(link_to(network, 1, "one", "cni0"), one, two, 4000, PORT)
    network[1].kernel.send_frame("one", "eth0", inner, network.now)
    network.settle()
    outer = network.frames[-1]
    kernel, count = network[2].kernel, 40_000 if cached else 4_000
    for _ in range(3):
        kernel.receive("eth0", outer, network.now)
    began = time.perf_counter_ns()
    for _ in range(count):
        kernel.receive("eth0", outer, network.now)
    return (time.perf_counter_ns() - began) / count


def _states(count: int) -> list[ServicePortState]:
    endpoint = Endpoint("10.244.2.2", PORT, False, True, True, False)
    return [
        ServicePortState(
            name=ServicePortName("default", f"s{number}", ""),
            protocol="udp",
            cluster_ip=f"10.{100 + (number >> 16)}.{number >> 8 & 255}.{number & 255}",
            port=80,
            cluster_endpoints=(endpoint,),
        )
        for number in range(count)
    ]


def through_services(count: int) -> tuple[float, float]:
    """First packets of flows, and packets of one cached flow, to the last of so many Services."""
    network = Network(2)
    one = network[1].pod("one", 2)
    network[2].pod("two", 2)
    Counting(network, 2, "two")
    states = _states(count)
    text = full_text(states, Surroundings(cluster_cidr="10.244.0.0/16"))
    network[1].do(messages.IptablesRestore(text=text, noflush=True))
    for chain in ("PREROUTING", "OUTPUT"):
        network[1].do(messages.IptablesCommand(arguments=("-t", "nat", "-A", chain, "-j", "KUBE-SERVICES")))
    link, last = link_to(network, 1, "one", "cni0"), states[-1].cluster_ip
    frames = [udp_frame(link, one, last, port, 80) for port in range(10_000, 13_000)]
    kernel = network[1].kernel
    kernel.send_frame("one", "eth0", frames[0], network.now)
    network.settle()
    began = time.perf_counter_ns()
    for frame in frames[1:]:
        kernel.send_frame("one", "eth0", frame, network.now)
        kernel.transmitted.clear()
    first = (time.perf_counter_ns() - began) / (len(frames) - 1)
    return first, per_packet(network, 1, "one", frames[:1], 40_000)


def measure() -> Iterator[Row]:
    """All rows."""
    cached, socket = same_node(True)
    assert socket.count > 60_000, "packets were lost on the way"
    walked, _ = same_node(False)
    yield Row("same node, pod to pod's socket, packets/s a core", f"{1e9 / cached:,.0f}")
    yield Row("  cached / walked, ns a packet", f"{cached:,.0f} / {walked:,.0f}")
    yield Row("encapsulation cached / walked, ns", f"{encapsulating(True):,.0f} / {encapsulating(False):,.0f}")
    yield Row("  over IPv6", f"{encapsulating6(True):,.0f} / {encapsulating6(False):,.0f}")
    yield Row(
        "decapsulation to a socket cached / walked, ns", f"{decapsulating(True):,.0f} / {decapsulating(False):,.0f}"
    )
    figures = {count: through_services(count) for count in SERVICES}
    smallest, largest = figures[SERVICES[0]], figures[SERVICES[-1]]
    for count, (first, later) in figures.items():
        yield Row(f"through {count:,} Services: first of a flow / cached, ns", f"{first:,.0f} / {later:,.0f}")
    grown = f"{largest[0] / smallest[0]:.2f} / {largest[1] / smallest[1]:.2f}"
    yield Row("  10,000 Services over 10", grown, "1.2 at most")
