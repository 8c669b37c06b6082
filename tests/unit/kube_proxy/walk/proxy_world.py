"""One node with pods and a network outside, programmed by a mode's rulebook; packets sent, and where they arrive."""

import errno
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from proxy_plan import BRIDGE, CLUSTER_CIDR, ENDPOINTS, LAN, LOCAL, NODE, OUTSIDE, REMOTE, SOURCES, host, of

from podwire.proto.messages import kernel as m
from podwire.proto.packet.addresses import format_address
from podwire.proto.packet.ethernet import TYPE_IPV4, TYPE_IPV6
from podwire.services.kube_proxy.core.family import Family
from podwire.services.kube_proxy.core.fold import Change
from podwire.services.kube_proxy.core.ipvs.book import DUMMY
from podwire.services.kube_proxy.core.modes import MODES
from podwire.services.kube_proxy.core.ports import PortKey, ServicePortState
from podwire.services.kube_proxy.core.rulebook import Observed
from podwire.services.kube_proxy.core.surroundings import Surroundings
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.kernel import Kernel
from podwire.services.node.kernel.packet import Packet
from podwire.services.node.kernel.programming import apply_operation

PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}
ATTEMPTS = {1: 3, 2: 12, 4: 24}
"""By how many endpoints are expected: enough to meet each of them (chance is seeded, so it holds once for all)."""


class Chance:
    """A seeded generator (splitmix64)."""

    def __init__(self, seed: int = 5) -> None:
        self._state = seed

    def getrandbits(self, k: int) -> int:
        self._state = (self._state + 0x9E3779B97F4A7C15) & (1 << 64) - 1
        mixed = (self._state ^ self._state >> 30) * 0xBF58476D1CE4E5B9 & (1 << 64) - 1
        mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & (1 << 64) - 1
        return (mixed ^ mixed >> 31) & (1 << k) - 1 if k <= 64 else mixed << 64


class Arrival(NamedTuple):
    """Where one packet ended: an endpoint's name, `as is`, REJECT or DROP; and whether its source was changed."""

    at: str
    masqueraded: bool


class World:
    """A node of one family in one mode."""

    def __init__(self, mode: str, family: Family, **settings: Any) -> None:
        self.mode, self.family = MODES[mode], family
        self.kernel = Kernel("node-1", "boot", Chance())
        self.around = Surroundings(
            family=family,
            node_ip=of(family, NODE),
            cluster_cidr=of(family, CLUSTER_CIDR),
            node_port_addresses=(of(family, NODE),) if mode == "nftables" else None,
            **settings,
        )
        self.rulebook = self.mode.rulebook(self.around)
        self._port = 20_000
        self.now = 0
        self.do(*self._topology())

    def do(self, *operations: m.Operation) -> list[Any]:
        """Programs the kernel."""
        return [apply_operation(self.kernel, operation) for operation in operations]

    # -- the network

    def _topology(self) -> Iterator[m.Operation]:
        yield m.SysctlWrite(key="net.ipv4.ip_forward", value="1")
        yield m.SysctlWrite(key="net.ipv6.conf.all.forwarding", value="1")
        yield m.LinkSet(name="lo", up=True)
        yield m.LinkAdd(kind="bridge", name="cni0", up=True, address="02:00:00:00:00:99")
        yield m.AddressAdd(device="cni0", address=host(self.family, BRIDGE, 24))
        for name in ("pod", *LOCAL):
            yield from self._pod(name, SOURCES["pod"][1] if name == "pod" else ENDPOINTS[name])
        yield from self._lan()

    def _pod(self, name: str, address: str) -> Iterator[m.Operation]:
        yield m.NetnsAdd(netns=name)
        yield m.LinkSet(netns=name, name="lo", up=True)
        yield m.LinkAdd(kind="veth", name=f"v{name}", peer="eth0", peer_netns=name, up=True)
        yield m.LinkSet(name=f"v{name}", master="cni0", hairpin=True)
        yield m.LinkSet(netns=name, name="eth0", up=True)
        yield m.AddressAdd(netns=name, device="eth0", address=host(self.family, address, 24))
        yield m.RouteAdd(netns=name, destination=self._default, via=of(self.family, BRIDGE))

    @property
    def _default(self) -> str:
        return "::/0" if self.family == "ipv6" else "0.0.0.0/0"

    def _lan(self) -> Iterator[m.Operation]:
        """Everything outside the node is one namespace that owns every address there is and sends all else here."""
        yield m.NetnsAdd(netns="lan")
        yield m.LinkSet(netns="lan", name="lo", up=True)
        yield m.LinkAdd(kind="veth", name="eth0", peer="eth0", peer_netns="lan", up=True)
        yield m.LinkSet(netns="lan", name="eth0", up=True)
        yield m.AddressAdd(device="eth0", address=host(self.family, NODE, 24))
        yield m.AddressAdd(netns="lan", device="eth0", address=host(self.family, LAN, 24))
        for address in (*OUTSIDE, *REMOTE):
            yield m.AddressAdd(netns="lan", device="eth0", address=host(self.family, address, 32))
        yield m.RouteAdd(netns="lan", destination=self._default, via=of(self.family, NODE))
        yield m.RouteAdd(destination=self._default, via=of(self.family, LAN))

    # -- programming

    def observe(self) -> Observed:
        """What the proxier reads back."""
        iptables, nftables, ipsets, services, links, addresses = self.do(
            *(m.Read(kind=kind, family=self.family) for kind in _OBSERVED)  # type: ignore[arg-type]  # of the kinds
        )
        return Observed(
            iptables=iptables,
            nftables=nftables,
            ipsets=ipsets,
            virtual_services=tuple(services),
            addresses={row.address.partition("/")[0]: row.device for row in addresses},
            has_dummy=any(row.name == DUMMY for row in links),
        )

    def write_all(self, states: Mapping[PortKey, ServicePortState]) -> None:
        """A full sync."""
        self.do(*self.rulebook.full(states, self.observe()))

    def update(self, *changes: Change) -> None:
        """A partial sync."""
        self.do(*self.rulebook.update(changes))

    # -- sending

    def send(self, source: str, destination: str, protocol: str, port: int, attempts: int) -> list[Arrival]:
        """What becomes of first packets from someone to somewhere."""
        found = [self._send(source, of(self.family, destination), protocol, port) for _ in range(attempts)]
        return list(dict.fromkeys(found))

    def _send(self, source: str, destination: str, protocol: str, port: int) -> Arrival:
        netns, address = SOURCES[source]
        self.now += 2_000_000_000  # ICMP errors are limited to one a second and peer
        self.kernel.run_timers(self.now)
        taps = [self.kernel.namespace(name).sockets.open_capture("eth0") for name in (*LOCAL, "lan")]
        errors = self.kernel.namespace(netns).sockets.open_capture()
        self._port += 1
        try:
            own, refused = self._start(netns, of(self.family, address), (destination, port), protocol)
            arrived = [packet for tap in taps for packet in _packets(tap) if packet.protocol == PROTOCOLS[protocol]]
            found = next((each for packet in arrived if (each := self._arrival(packet, own, destination, port))), None)
            told = any(packet.protocol in (1, 58) and _is_error(packet) for packet in _packets(errors))
            return found or Arrival("REJECT" if refused or told else "DROP", False)
        finally:
            for tap in (*taps, errors):
                tap.close()

    def _start(self, netns: str, address: str, to: tuple[str, int], protocol: str) -> tuple[tuple[str, int], bool]:
        """Sends one; the socket's own address, and whether it was refused at once."""
        table = self.kernel.namespace(netns).sockets
        if protocol == "sctp":
            association = table.sctp.open()
            association.connect(to)
            local, error = association.local, association.error
            association.abort()
            return (format_address(local[0]), local[1]), bool(error)
        socket = table.open_tcp() if protocol == "tcp" else table.open_udp()
        socket.bind((address or ("::" if self.family == "ipv6" else "0.0.0.0"), self._port))
        try:
            socket.connect(to)
            if protocol == "udp":
                socket.send(b"?")  # type: ignore[union-attr]  # it is a UDP socket
        except KernelError as error:
            return ("", 0), error.errno == errno.ECONNREFUSED
        own, refused = (format_address(socket.local[0]), socket.local[1]), socket.error == errno.ECONNREFUSED
        socket.close()
        return own, refused

    def _arrival(self, packet: Packet, own: tuple[str, int], destination: str, port: int) -> Arrival | None:
        to = format_address(packet.destination), packet.destination_port
        changed = (format_address(packet.source), packet.source_port) != own
        for name, address in ENDPOINTS.items():
            if to[0] == of(self.family, address) and to[1] != own[1]:
                return Arrival(f"{name}:{to[1]}", changed)
        return Arrival("as is", changed) if to == (destination, port) else None


_OBSERVED = ("iptables-save", "nft-ruleset", "ipset-save", "ipvs-services", "links", "addresses")


def _packets(tap: Any) -> Iterator[Packet]:
    """The packets that came in at a device."""
    while (each := tap.receive()) is not None:
        kind = int.from_bytes(each.frame[12:14])
        if not each.is_outgoing and kind in (TYPE_IPV4, TYPE_IPV6):
            packet = Packet(each.frame[14:], kind)
            packet.parse()
            yield packet


def _is_error(packet: Packet) -> bool:
    """Destination unreachable."""
    return packet.payload[0] in (1, 3) and (packet.payload[0] == 1) == (packet.protocol == 58)
