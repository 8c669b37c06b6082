"""The neighbour table of a namespace, both families' (RFC 826, RFC 4861 section 7.3; Linux net/core/neighbour.c).

A state goes INCOMPLETE → REACHABLE → STALE → DELAY → PROBE → FAILED. Packets wait, bounded, while an address
is being resolved: three requests, one second apart.
"""

from collections import deque
from typing import TYPE_CHECKING, Final

from podwire.proto.packet.addresses import (
    BROADCAST_MAC,
    ZERO_MAC,
    format_address,
    is_ipv6,
    is_multicast,
    multicast_mac,
)
from podwire.services.node.kernel import arp, ndisc, unreachable
from podwire.services.node.kernel.drops import DropReason

if TYPE_CHECKING:
    from podwire.services.node.kernel.devices.device import Device
    from podwire.services.node.kernel.namespace import Namespace
    from podwire.services.node.kernel.packet import Packet
    from podwire.services.node.kernel.timers import Timer

SECOND: Final = 1_000_000_000
RETRANSMIT: Final = SECOND
REACHABLE_TIME: Final = 30 * SECOND
DELAY_TIME: Final = 5 * SECOND
SOLICITATIONS: Final = 3
QUEUE_LIMIT: Final = 101
TABLE_LIMIT: Final = 1024
USABLE: Final = ("PERMANENT", "NOARP", "REACHABLE", "STALE", "DELAY", "PROBE")


class Neighbour:
    """One neighbour; `confirmed` is when it last answered (ns)."""

    __slots__ = ("address", "attempts", "confirmed", "device", "mac", "queue", "state", "timer")

    def __init__(self, device: "Device", address: int, timer: "Timer") -> None:
        self.device = device
        self.address = address
        self.mac = ZERO_MAC
        self.state = "NONE"
        self.confirmed = 0
        self.attempts = 0
        self.queue: deque[Packet] = deque()
        self.timer = timer

    def age(self, now: int) -> None:
        """What was confirmed too long ago is only stale (neigh_timer_handler; here when somebody looks)."""
        if self.state == "REACHABLE" and now >= self.confirmed + REACHABLE_TIME:
            self.state = "STALE"


class NeighbourTable:
    """All neighbours of one namespace, keyed by (device, address)."""

    __slots__ = ("_namespace", "entries", "proxies")

    def __init__(self, namespace: "Namespace") -> None:
        self._namespace = namespace
        self.entries: dict[tuple[Device, int], Neighbour] = {}
        self.proxies: dict[tuple[Device, int], None] = {}
        """What `ip neigh add proxy` names: addresses to answer for on a device."""

    def all(self) -> list[Neighbour]:
        """Every entry, in the state that it has by now."""
        for entry in self.entries.values():
            entry.age(self._namespace.kernel.now)
        return list(self.entries.values())

    def known_mac(self, device: "Device", address: int) -> bytes | None:
        """A usable MAC, without asking for one."""
        entry = self.entries.get((device, address))
        return entry.mac if entry is not None and entry.state in USABLE else None

    def output(self, device: "Device", next_hop: int, packet: "Packet") -> None:
        """Send a packet to a next hop, now or once it is resolved (neigh_resolve_output)."""
        packet.link_source = device.mac
        if not device.resolves:
            device.address_link(packet, next_hop)
            return device.send(packet)
        mac = self._group_mac(device, next_hop)
        if mac is not None:
            packet.link_destination = mac
            return device.send(packet)
        entry = self.entries.get((device, next_hop)) or self._create(device, next_hop)
        if entry is None:
            return self._drop(packet, DropReason.NEIGH_CREATEFAIL, "neighbour table full")
        if entry.state in USABLE:
            return self._send(entry, packet)
        return self._wait(entry, packet)

    def _group_mac(self, device: "Device", address: int) -> bytes | None:
        if is_multicast(address):
            return multicast_mac(address)
        if address == 0xFFFFFFFF or any(address == each.broadcast for each in device.addresses):
            return BROADCAST_MAC
        return None

    def _send(self, entry: Neighbour, packet: "Packet") -> None:
        now = self._namespace.kernel.now
        entry.age(now)
        if entry.state == "STALE":
            entry.state, entry.attempts = "DELAY", 0
            entry.timer.set(now + DELAY_TIME)
        if packet.recording is not None and entry.state == "REACHABLE":
            packet.recording.limit_time(entry.confirmed + REACHABLE_TIME)
        packet.link_destination = entry.mac
        if packet.trace:
            detail = f"{format_address(entry.address)} lladdr {entry.mac.hex(':')} {entry.state}"
            self._namespace.kernel.hop(packet, "neighbour", self._namespace, device=entry.device.name, detail=detail)
        entry.device.send_resolved(packet)

    def _create(self, device: "Device", address: int) -> Neighbour | None:
        if len(self.entries) >= TABLE_LIMIT and not self._collect():
            return None
        timer = self._namespace.kernel.timer(lambda: self._expired(entry))
        entry = self.entries[device, address] = Neighbour(device, address, timer)
        return entry

    def _collect(self) -> bool:
        kept = [entry for entry in self.all() if entry.state not in ("STALE", "FAILED", "NONE")]
        keep = {(entry.device, entry.address): entry for entry in kept}
        freed = len(keep) < len(self.entries)
        self.entries = keep
        return freed

    def _wait(self, entry: Neighbour, packet: "Packet") -> None:
        packet.recording = None
        if len(entry.queue) >= QUEUE_LIMIT:
            self._drop(entry.queue.popleft(), DropReason.NEIGH_QUEUEFULL, format_address(entry.address))
        entry.queue.append(packet)
        if packet.trace:
            self._namespace.kernel.hop(
                packet,
                "neighbour",
                self._namespace,
                device=entry.device.name,
                detail=f"{format_address(entry.address)} INCOMPLETE: waiting for {_protocol(entry)}",
            )
        if entry.state != "INCOMPLETE":
            entry.state, entry.attempts = "INCOMPLETE", 0
            self._solicit(entry)

    def _solicit(self, entry: Neighbour) -> None:
        entry.attempts += 1
        entry.timer.set(self._namespace.kernel.now + RETRANSMIT)
        ask = ndisc.solicit if is_ipv6(entry.address) else arp.request
        known_mac = entry.mac if entry.state == "PROBE" else None
        ask(self._namespace, entry.device, entry.address, known_mac, entry.queue[0] if entry.queue else None)

    def _expired(self, entry: Neighbour) -> None:
        if entry.state == "DELAY":
            entry.state, entry.attempts = "PROBE", 0
        if entry.state not in ("INCOMPLETE", "PROBE"):
            return
        if entry.attempts < SOLICITATIONS:
            self._solicit(entry)
        else:
            self._fail(entry)

    def _fail(self, entry: Neighbour) -> None:
        entry.state = "FAILED"
        self._namespace.kernel.changed()
        waiting, entry.queue = entry.queue, deque()
        for packet in waiting:
            detail = f"{format_address(entry.address)} did not answer {_protocol(entry)}"
            self._drop(packet, DropReason.NEIGH_FAILED, detail)
            unreachable.host_unreachable(self._namespace, packet)

    def _drop(self, packet: "Packet", reason: DropReason, detail: str) -> None:
        self._namespace.kernel.drop(packet, self._namespace, reason, detail)

    def learn(self, device: "Device", address: int, mac: bytes, *, confirmed: bool, create: bool) -> None:
        """Take in a sender's addresses from ARP; `confirmed` if it answered a question of ours."""
        entry = self.entries.get((device, address))
        if entry is None and create:
            entry = self._create(device, address)
        if entry is None or entry.state in ("PERMANENT", "NOARP"):
            return
        if entry.mac != mac or entry.state not in USABLE:
            if entry.mac != mac and entry.state in USABLE:
                self._namespace.kernel.changed()
            entry.mac = mac
            entry.state = "STALE"
        if confirmed:
            entry.state, entry.confirmed = "REACHABLE", self._namespace.kernel.now
            entry.timer.cancel()
        self._release(entry)

    def _release(self, entry: Neighbour) -> None:
        waiting, entry.queue = entry.queue, deque()
        for packet in waiting:
            self._send(entry, packet)

    def replace(self, device: "Device", address: int, mac: bytes, state: str) -> None:
        """What `ip neigh replace` does; raises nothing, a full table gives way."""
        entry = self.entries.get((device, address)) or self._create(device, address)
        if entry is None:
            self.entries.pop(next(iter(self.entries)))
            return self.replace(device, address, mac, state)
        entry.mac, entry.state, entry.confirmed = mac, state.upper(), self._namespace.kernel.now
        entry.timer.cancel()
        return self._release(entry)

    def delete(self, device: "Device", address: int) -> bool:
        """Take an entry out, dropping what waits for it; whether it was there."""
        entry = self.entries.pop((device, address), None)
        if entry is not None:
            self._bury(entry)
        return entry is not None

    def forget_device(self, device: "Device") -> None:
        """Drop everything about a device that goes down or away."""
        for key in [key for key in self.entries if key[0] is device]:
            self._bury(self.entries.pop(key))
        self.proxies = {key: None for key in self.proxies if key[0] is not device}

    def proxied(self, device: "Device") -> list[int]:
        """The IPv6 addresses that a device answers for; it is in their groups (pndisc_constructor)."""
        return [address for other, address in self.proxies if other is device and is_ipv6(address)]

    def is_proxy(self, device: "Device", address: int) -> bool:
        """Whether the machine answers for an address on a device although it is not its own."""
        return (device, address) in self.proxies

    def _bury(self, entry: Neighbour) -> None:
        entry.timer.cancel()
        entry.state = "NONE"
        for packet in entry.queue:
            self._drop(packet, DropReason.NEIGH_DEAD, format_address(entry.address))


def _protocol(entry: Neighbour) -> str:
    return "neighbour discovery" if is_ipv6(entry.address) else "ARP"
