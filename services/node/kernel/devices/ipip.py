"""IP-in-IP devices (RFC 2003; Linux net/ipv4/ipip.c and ip_tunnel.c): IPv4 packets as the payload of IPv4 packets.

Without a remote the other end is each packet's next hop, as Calico uses tunl0. Path MTU discovery is on, which is what
`ip link add` asks for: outer packets are never cut.
"""

from typing import TYPE_CHECKING, Final

from podwire.proto.packet.addresses import ZERO_MAC, format_address
from podwire.proto.packet.ethernet import TYPE_IPV4
from podwire.proto.packet.icmp import FRAGMENTATION_NEEDED
from podwire.proto.packet.ipv4 import DONT_FRAGMENT, build_packet
from podwire.services.node.kernel import icmp, internet
from podwire.services.node.kernel.devices.device import Device
from podwire.services.node.kernel.drops import DropReason
from podwire.services.node.kernel.packet import Packet

if TYPE_CHECKING:
    from podwire.services.node.kernel.namespace import Namespace

PROTOCOL: Final = 4
OVERHEAD: Final = 20
MTU: Final = 1480
_ECN: Final = 3
_ECT_0: Final = 2


class IpipDevice(Device):
    """A tunnel between two addresses; 0 stands for any. Its link addresses are IPv4 addresses."""

    kind = "ipip"
    resolves = False
    link_header = 0

    def __init__(self, namespace: "Namespace", name: str, local: int, remote: int) -> None:
        super().__init__(namespace, name, ZERO_MAC, MTU)
        self.underlay = namespace
        self.local, self.remote = local, remote
        self.link: Device | None = None
        self.ttl = 0

    @property
    def key(self) -> tuple[int, int]:
        """What packets find the device by."""
        return self.local, self.remote

    def address_link(self, packet: Packet, next_hop: int) -> None:
        """The next hop's link address is its IPv4 address."""
        packet.link_destination = b"\0\0" + (next_hop & 0xFFFFFFFF).to_bytes(4)

    def transmit(self, packet: Packet) -> None:
        """Wrap the packet and send it through the underlay's IP output."""
        if packet.ethertype != TYPE_IPV4:
            return self.refuse(packet, DropReason.INVALID_PROTO, "ipip carries IPv4 only")
        remote = self.remote or int.from_bytes(packet.link_destination[2:])
        route = internet.route_to(self.underlay, remote) if remote else None
        source = self.local or internet.source_for(self.underlay, remote)
        if route is None or route.device is None or source is None:
            return self.refuse(packet, DropReason.IP_OUTNOROUTES, f"no route to {format_address(remote)}")
        fitting = route.device.mtu - OVERHEAD
        if packet.length > fitting and packet.data[6] & 0x40:
            self.refuse(packet, DropReason.PKT_TOO_BIG, f"{packet.length} > {fitting} that fit into {self.name}")
            return icmp.send_error(self.namespace, packet, FRAGMENTATION_NEEDED, rest=fitting)
        packet.recording = None
        if packet.trace:
            self._trace("encapsulate", packet, source, remote)
        outer = icmp.made(self._wrap(packet, source, remote), packet.trace)
        outer.transits = packet.transits
        return self.namespace.kernel.enqueue_output(self.underlay, outer)

    def _wrap(self, packet: Packet, source: int, remote: int) -> bytes:
        """Without a TTL of its own the outer packet has the inner one's; congestion marks are copied (RFC 6040)."""
        ecn = packet.tos & _ECN
        return build_packet(
            source,
            remote,
            PROTOCOL,
            bytes(packet.data),
            ttl=self.ttl or packet.ttl,
            tos=_ECT_0 if ecn == _ECN else ecn,
            identification=self.underlay.next_identification(),
            fragment=DONT_FRAGMENT,
        )

    def _trace(self, kind: str, packet: Packet, source: int, remote: int) -> None:
        self.namespace.kernel.hop(
            packet,
            "encapsulate" if kind == "encapsulate" else "decapsulate",
            self.namespace,
            device=self.name,
            outer_source=format_address(source),
            outer_destination=format_address(remote),
            bytes_added=OVERHEAD if kind == "encapsulate" else -OVERHEAD,
        )

    def decapsulate(self, packet: Packet) -> None:
        """Receive the packet inside another that has passed the underlay's checks."""
        inner = Packet(bytes(packet.payload), TYPE_IPV4, packet.trace)
        inner.link_destination = self.mac
        inner.transits = packet.transits
        if inner.trace and inner.parse() is None:
            self._trace("decapsulate", inner, packet.source, packet.destination)
        self.namespace.kernel.enqueue(self, inner)

    def detach(self) -> None:
        """Give the pair of addresses back."""
        self.underlay.ipip_tunnels.pop(self.key, None)
        super().detach()


def receive(namespace: "Namespace", packet: Packet) -> bool:
    """Take a packet of protocol 4 if a tunnel fits it, the closest first (ip_tunnel_lookup); whether one did."""
    tunnels = namespace.ipip_tunnels
    for key in ((packet.destination, packet.source), (0, packet.source), (packet.destination, 0), (0, 0)):
        device = tunnels.get(key)
        if device is not None and device.up:
            device.decapsulate(packet)
            return True
    return False
