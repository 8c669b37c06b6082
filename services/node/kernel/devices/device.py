"""What every network device has, and the receive side that they share."""

from typing import TYPE_CHECKING, Final

from podwire.proto.packet.addresses import BROADCAST_MAC, is_group_mac
from podwire.proto.packet.ethernet import TYPE_ARP, TYPE_IPV4, TYPE_IPV6
from podwire.services.node.kernel import arp, ip, ipv6
from podwire.services.node.kernel.counters import Counter
from podwire.services.node.kernel.drops import DropReason

if TYPE_CHECKING:
    from podwire.services.node.kernel.devices.bridge import Bridge, Port
    from podwire.services.node.kernel.namespace import Namespace
    from podwire.services.node.kernel.packet import Packet
    from podwire.services.node.kernel.qdiscs.qdisc import Qdisc
    from podwire.services.node.kernel.sockets.capture import PacketSocket

TRANSIT_LIMIT: Final = 64
"""How many devices a packet may cross in one machine: what stops loops that no TTL counts."""


class Address:
    """An address on a device; `length` is its prefix length. Broadcast and label (the device's name) are IPv4's."""

    __slots__ = ("address", "broadcast", "label", "length", "noprefixroute", "scope")

    def __init__(
        self, address: int, length: int, scope: str, broadcast: int | None, label: str, noprefixroute: bool
    ) -> None:
        self.address = address
        self.length = length
        self.scope = scope
        self.broadcast = broadcast
        self.label = label
        self.noprefixroute = noprefixroute


class Device:
    """A network device. Subclasses say what happens to a frame that is sent out of it."""

    kind = "dummy"
    default_discipline = "noqueue"
    """What `ip link` names where nobody has put another there."""
    resolves = True
    """Whether neighbours must be resolved before sending (false for NOARP devices)."""
    link_header = 14
    """Bytes that stand before a packet on this link, and are counted with it."""

    def __init__(self, namespace: "Namespace", name: str, mac: bytes, mtu: int = 1500) -> None:
        self.namespace = namespace
        self.name = name
        self.mac = mac
        self.mtu = mtu
        self.index = 0
        self.ingress_serial = self.egress_serial = 0
        self.up = False
        self.addresses: list[Address] = []
        self.addresses6: list[Address] = []
        self.port: Port | None = None
        self.qdisc: Qdisc | None = None
        """What packets wait in before they leave; None where they do not."""
        self.taps: list[PacketSocket] = []
        self.received = Counter()
        self.sent = Counter()
        self.receive_drops = 0
        self.send_drops = 0

    @property
    def master(self) -> "Bridge | None":
        """The bridge that this device is a port of."""
        return self.port.bridge if self.port else None

    @property
    def carrier(self) -> bool:
        """Whether there is a link to speak of."""
        return self.up

    def send(self, packet: "Packet") -> None:
        """Send a packet whose link header is filled in; drops are counted, never raised."""
        if not self.up or not self.carrier:
            return self.refuse(packet, DropReason.DEV_READY, f"{self.name} is down")
        if len(packet.data) > self.mtu:
            return self.refuse(packet, DropReason.PKT_TOO_BIG, f"{len(packet.data)} > mtu {self.mtu}")
        packet.transits += 1
        if packet.transits > TRANSIT_LIMIT:
            return self.refuse(packet, DropReason.RECURSION_LIMIT, "forwarding loop")
        if self.qdisc is not None:
            packet.recording = None
            return self.qdisc.enqueue(packet)
        if packet.recording is not None:
            packet.recording.limit_length(self.mtu)
        return self.leave(packet)

    @property
    def queue_discipline(self) -> str:
        """The kind of the root discipline."""
        return self.default_discipline if self.qdisc is None else self.qdisc.kind

    def leave(self, packet: "Packet") -> None:
        """Hand a packet to the link: it has waited for nothing, or long enough (dev_hard_start_xmit)."""
        packet.count(self.sent, len(packet.data) + self.link_header)
        if packet.trace:
            self.namespace.kernel.hop(packet, "device-transmit", self.namespace, device=self.name)
        if self.taps or self.namespace.taps:
            self._show(packet, is_outgoing=True)
        self.transmit(packet)

    def address_link(self, packet: "Packet", next_hop: int) -> None:
        """Fill in the link address of a next hop that need not be resolved."""
        packet.link_destination = self.mac

    def send_resolved(self, packet: "Packet") -> None:
        """Send a packet whose next hop's MAC has just been filled in."""
        self.send(packet)

    def _show(self, packet: "Packet", *, is_outgoing: bool) -> None:
        """Let packet sockets see the frame; a flow that is looked at is not cached."""
        packet.recording = None
        for tap in (*self.taps, *self.namespace.taps):
            tap.frame_passed(self, packet, is_outgoing=is_outgoing)

    def transmit(self, packet: "Packet") -> None:
        """Put the frame on whatever the device stands for; a dummy device swallows it."""

    def refuse(self, packet: "Packet", reason: DropReason, detail: str, owner: str = "") -> None:
        """Drop on the sending side; `owner` is whose doing it is."""
        self.send_drops += 1
        self.namespace.kernel.drop(packet, self.namespace, reason, detail, device=self.name, owner=owner)

    def receive(self, packet: "Packet") -> None:
        """A frame came in: hand it to the bridge that has this port, or to the protocols."""
        if not self.up:
            return self.discard(packet, DropReason.DEV_READY, f"{self.name} is down")
        packet.count(self.received, len(packet.data) + self.link_header)
        packet.in_device, packet.socket = self, None
        if packet.trace:
            self.namespace.kernel.hop(packet, "device-receive", self.namespace, device=self.name)
        if self.taps or self.namespace.taps:
            self._show(packet, is_outgoing=False)
        if self.port is not None:
            return self.port.bridge.input(self.port, packet)
        return self.deliver(packet)

    def deliver(self, packet: "Packet") -> None:
        """Hand a frame that is for this machine's own stack to its protocol."""
        destination = packet.link_destination
        if destination != self.mac and destination != BROADCAST_MAC and not is_group_mac(destination):
            return self.discard(packet, DropReason.OTHERHOST, "frame for another MAC")
        if packet.ethertype == TYPE_IPV4:
            return ip.receive(self.namespace, self, packet)
        if packet.ethertype == TYPE_ARP:
            return arp.receive(self.namespace, self, packet)
        if packet.ethertype == TYPE_IPV6:
            return ipv6.receive(self.namespace, self, packet)
        return self.discard(packet, DropReason.UNHANDLED_PROTO, f"ethertype {packet.ethertype:#06x}")

    def discard(self, packet: "Packet", reason: DropReason, detail: str) -> None:
        """Drop on the receiving side."""
        self.receive_drops += 1
        self.namespace.kernel.drop(packet, self.namespace, reason, detail, device=self.name)

    def ignore(self, packet: "Packet", detail: str) -> None:
        """A packet for others that had to be looked at: gone without being counted as lost."""
        if packet.trace:
            reason = DropReason.OTHERHOST.value
            self.namespace.kernel.hop(packet, "drop", self.namespace, reason=reason, detail=detail, device=self.name)

    def detach(self) -> None:
        """Let go of other devices before deletion."""
        if self.port is not None:
            self.port.bridge.release(self)


class Dummy(Device):
    """A device that swallows what is sent."""

    resolves = False


class Loopback(Device):
    """`lo`: what goes out comes in."""

    kind = "loopback"
    resolves = False

    def transmit(self, packet: "Packet") -> None:
        """Receive it again, after everything else that waits."""
        packet.link_destination = packet.link_source = self.mac
        self.namespace.kernel.enqueue(self, packet)
