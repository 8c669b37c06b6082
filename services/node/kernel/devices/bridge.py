"""Linux bridges: learning, flooding, hairpin, and br_netfilter's detour through the IP hooks.

No spanning tree, no VLANs.
"""

from typing import Final

from podwire.proto.packet.addresses import ZERO_MAC, is_group_mac
from podwire.proto.packet.ethernet import TYPE_IPV4, TYPE_IPV6
from podwire.services.node.kernel import fragments, ip, ipv6
from podwire.services.node.kernel.devices.device import Device
from podwire.services.node.kernel.drops import DropReason
from podwire.services.node.kernel.namespace import Namespace
from podwire.services.node.kernel.netfilter import hooks
from podwire.services.node.kernel.packet import Packet

AGEING: Final = 300_000_000_000
FDB_LIMIT: Final = 4096


class Port:
    """A device's place in a bridge."""

    __slots__ = ("bridge", "device", "hairpin", "learning", "number", "unicast_flood")

    def __init__(self, bridge: "Bridge", device: Device, number: int) -> None:
        self.bridge = bridge
        self.device = device
        self.number = number
        self.hairpin = False
        self.learning = True
        self.unicast_flood = True


class FdbEntry:
    """Where a MAC lives: a port, or the bridge itself (None). Static entries don't age."""

    __slots__ = ("port", "static", "updated")

    def __init__(self, port: Port | None, updated: int, static: bool) -> None:
        self.port = port
        self.updated = updated
        self.static = static


class Bridge(Device):
    """A bridge, which is itself a device with a MAC and addresses."""

    kind = "bridge"

    def __init__(self, namespace: Namespace, name: str, mac: bytes, mtu: int = 1500) -> None:
        super().__init__(namespace, name, mac, mtu)
        self.ports: dict[str, Port] = {}
        self.fdb: dict[bytes, FdbEntry] = {}
        self.fixed_mac = mac != ZERO_MAC
        self._last_port = 0

    @property
    def carrier(self) -> bool:
        """A bridge has a carrier while one of its ports forwards."""
        return self.up and any(port.device.carrier for port in self.ports.values())

    def enslave(self, device: Device) -> None:
        """Make a device a port."""
        self._last_port += 1
        port = Port(self, device, self._last_port)
        device.port = port
        self.ports[device.name] = port
        self.fdb[device.mac] = FdbEntry(port, 0, static=True)
        self.recompute_mac()

    def release(self, device: Device) -> None:
        """Take a port out, and all that was learned on it."""
        port = device.port
        device.port = None
        self.ports = {name: each for name, each in self.ports.items() if each is not port}
        self.fdb = {mac: entry for mac, entry in self.fdb.items() if entry.port is not port or port is None}
        self.recompute_mac()

    def recompute_mac(self) -> None:
        """Without an address of its own a bridge takes the lowest of its ports' (br_stp_recalculate_bridge_id)."""
        if not self.fixed_mac:
            self.mac = min((port.device.mac for port in self.ports.values()), default=self.mac)

    def input(self, port: Port, packet: Packet) -> None:
        """A frame came in at a port."""
        if not self.up:
            return port.device.discard(packet, DropReason.DEV_READY, f"{self.name} is down")
        if is_group_mac(packet.link_source) or packet.link_source == ZERO_MAC:
            return port.device.discard(packet, DropReason.MAC_INVALID_SOURCE, "group address as source")
        if port.learning:
            self._learn(port, packet)
        packet.physical_in = port.device
        if self._calls_iptables(packet):
            whole = self._pre_routing(port, packet)
            if whole is None:
                return None
            packet = whole
        if packet.link_destination == self.mac:
            return self._up(packet)
        return self._forward(port, packet)

    def _learn(self, port: Port, packet: Packet) -> None:
        now = self.namespace.kernel.now
        entry = self.fdb.get(packet.link_source)
        if entry is None:
            if len(self.fdb) < FDB_LIMIT or self._forget_old(now):
                self.fdb[packet.link_source] = FdbEntry(port, now, static=False)
            return
        if entry.static:
            return
        if entry.port is not port:
            entry.port = port
            self.namespace.kernel.changed()
        entry.updated = now
        if packet.recording is not None:
            packet.recording.refreshes.append(entry)

    def _forget_old(self, now: int) -> bool:
        fresh = {mac: entry for mac, entry in self.fdb.items() if entry.static or now - entry.updated < AGEING}
        changed = len(fresh) < len(self.fdb)
        self.fdb = fresh
        return changed

    def _up(self, packet: Packet) -> None:
        packet.count(self.received, len(packet.data) + 14)
        packet.in_device = self
        packet.largest_fragment = 0  # ip_rcv forgets it
        if self.taps or self.namespace.taps:
            self._show(packet, is_outgoing=False)
        if packet.trace:
            self.namespace.kernel.hop(packet, "bridge", self.namespace, device=self.name, detail="to this host")
        self.deliver(packet)

    def _calls_iptables(self, packet: Packet) -> bool:
        if packet.ethertype == TYPE_IPV4:
            return self.namespace.bridge_calls_iptables
        return packet.ethertype == TYPE_IPV6 and self.namespace.bridge_calls_ip6tables

    def _pre_routing(self, port: Port, packet: Packet) -> Packet | None:
        """PREROUTING for a bridged packet, put together if need be; None if it went elsewhere (br_nf_pre_routing)."""
        reason = None if packet.parsed else packet.parse()
        if reason is not None:
            port.device.discard(packet, reason, "bad IP header")
            return None
        packet.in_device = self
        before = packet.destination
        whole = self._whole(packet)
        if whole is None or not hooks.run(self.namespace, "PREROUTING", whole):
            return None
        whole.bridged = True
        if whole.destination == before:
            return whole
        self._redirect(port, whole)
        return None

    def _whole(self, packet: Packet) -> Packet | None:
        if packet.ethertype == TYPE_IPV6:
            return ipv6.defragment(self.namespace, packet)
        return ip.defragment(self.namespace, packet)

    def _redirect(self, port: Port, packet: Packet) -> None:
        """After DNAT on a bridge: stay on it, TTL and source MAC untouched, if the route does; else go up."""
        route = self.namespace.fib_for(packet.destination).route(packet)
        if route is None or route.kind != "unicast" or route.device is not self:
            packet.link_destination = self.mac
            return self._up(packet)
        packet.bridged_from = port, packet.link_source
        next_hop = packet.destination if route.gateway is None else route.gateway
        return self.namespace.neighbours.output(self, next_hop, packet)

    def send_resolved(self, packet: Packet) -> None:
        """A packet whose next hop is known: from this host's stack, or one that DNAT moved while it was bridged."""
        if packet.bridged_from is None:
            return self.send(packet)
        port, packet.link_source = packet.bridged_from
        packet.bridged_from = None
        return self._forward(port, packet)

    def _forward(self, port: Port, packet: Packet) -> None:
        entry = None if is_group_mac(packet.link_destination) else self._find(packet)
        if entry is not None and entry.port is None:
            return self._up(packet)
        if entry is not None and entry.port is not None:
            return self._forward_to(port, entry.port, packet)
        packet.recording = None
        self._flood(port, packet)
        if is_group_mac(packet.link_destination):
            self._up(packet)
        return None

    def _find(self, packet: Packet) -> FdbEntry | None:
        entry = self.fdb.get(packet.link_destination)
        if entry is None or entry.static:
            return entry
        if self.namespace.kernel.now - entry.updated >= AGEING:
            self.namespace.kernel.settle()
        if self.namespace.kernel.now - entry.updated >= AGEING:
            del self.fdb[packet.link_destination]
            return None
        if packet.recording is not None:
            packet.recording.limit_time(entry.updated + AGEING)
        return entry

    def _forward_to(self, source: Port, target: Port, packet: Packet) -> None:
        kernel = self.namespace.kernel
        if target is source and not source.hairpin:
            return kernel.drop(packet, self.namespace, DropReason.NOT_SPECIFIED, "no hairpin", device=self.name)
        if packet.trace:
            kernel.hop(packet, "bridge", self.namespace, device=self.name, detail=f"to port {target.device.name}")
        if self._calls_iptables(packet) and not self._bridged_hooks(target, packet):
            return None
        if not packet.reassembled or len(packet.data) <= target.device.mtu:
            return target.device.send(packet)
        for piece in fragments.split_any(self.namespace, packet, packet.largest_fragment or target.device.mtu):
            target.device.send(piece)
        return None

    def _bridged_hooks(self, target: Port, packet: Packet) -> bool:
        packet.physical_out = target.device
        packet.in_device = packet.out_device = self
        if not hooks.run(self.namespace, "FORWARD", packet):
            return False
        packet.in_device = None
        return hooks.run(self.namespace, "POSTROUTING", packet)

    def _flood(self, source: Port | None, packet: Packet) -> None:
        known_group = is_group_mac(packet.link_destination)
        targets = [
            port
            for port in self.ports.values()
            if (port is not source or port.hairpin) and (known_group or port.unicast_flood) and port.device.carrier
        ]
        if packet.trace and targets:
            names = ", ".join(port.device.name for port in targets)
            self.namespace.kernel.hop(packet, "bridge", self.namespace, device=self.name, detail=f"flooded to {names}")
        for port in targets:
            twin = packet.copy()
            if source is None or not self._calls_iptables(twin) or self._bridged_hooks(port, twin):
                port.device.send(twin)

    def transmit(self, packet: Packet) -> None:
        """A frame from this host's own stack: to the port that is known, else to all."""
        entry = None if is_group_mac(packet.link_destination) else self._find(packet)
        if entry is not None and entry.port is not None:
            if packet.trace:
                self.namespace.kernel.hop(
                    packet,
                    "bridge",
                    self.namespace,
                    device=self.name,
                    detail=f"to port {entry.port.device.name}",
                )
            return entry.port.device.send(packet)
        packet.recording = None
        return self._flood(None, packet)

    def detach(self) -> None:
        """Free every port."""
        for port in list(self.ports.values()):
            self.release(port.device)
        super().detach()
