"""The flow cache: what later packets of a flow do is what the first one did, as a byte template.

While an eligible packet walks, its Recording collects the counters it touched, the connections and learned
entries it refreshed, and what bounds the validity of all that. Where the walk ends (a NIC or a socket), the
recording becomes a Flow: new bytes around the old ones, and checksum deltas (RFC 1624).

A hit only adds to the flow's own tallies; `settle` carries them over to the counters before anyone reads those.
Any change of configuration clears the cache. Fragments, IP options, ICMP, TCP's SYN, FIN and RST, and traced
packets always walk, and so does what a `statistic`, `limit`, `recent` or LOG rule was asked about.
"""

import struct
from typing import TYPE_CHECKING, Final

from podwire.proto.packet.checksum import checksum_delta, internet_checksum
from podwire.proto.packet.ipv4 import TCP, UDP
from podwire.proto.packet.vxlan import LINUX_PORT
from podwire.services.node.kernel.packet import Packet

if TYPE_CHECKING:
    from podwire.services.node.kernel.conntrack.entry import Connection
    from podwire.services.node.kernel.counters import Counter
    from podwire.services.node.kernel.devices.bridge import FdbEntry
    from podwire.services.node.kernel.devices.device import Device
    from podwire.services.node.kernel.kernel import Kernel
    from podwire.services.node.kernel.namespace import Namespace

LIMIT: Final = 8192
FOREVER: Final = 1 << 62
TUNNEL: Final = 50
"""Bytes that VXLAN puts before an inner IP packet, inner Ethernet header included, outer one not."""
_PORT: Final = LINUX_PORT.to_bytes(2)
_LENGTHS: Final = struct.Struct("!HHxxxxH")
_PAIR: Final = struct.Struct("!HH")
_ENDS_FLOW: Final = 0x07  # FIN, SYN, RST


class Recording:
    """What one walk of an eligible packet did."""

    __slots__ = (
        "connections",
        "counters",
        "decapsulated",
        "encapsulated",
        "first",
        "generation",
        "key",
        "maximum",
        "offset",
        "refreshes",
        "serial",
        "underlay",
        "valid_until",
    )

    def __init__(self, serial: int, key: bytes, first: bytes, offset: int, generation: int) -> None:
        self.serial = serial
        self.key = key
        self.first = first
        self.offset = offset
        self.generation = generation
        self.counters: list[tuple[Counter, int]] = []
        self.connections: list[Connection] = []
        self.refreshes: list[FdbEntry] = []
        self.valid_until = FOREVER
        self.maximum = 65535
        self.encapsulated = 0
        self.decapsulated = False
        self.underlay: Namespace | None = None

    def limit_length(self, mtu: int) -> None:
        """Packets that would not fit `mtu` at this point must walk."""
        self.maximum = min(self.maximum, mtu - TUNNEL * self.encapsulated)

    def limit_time(self, deadline: int) -> None:
        """From `deadline` (ns) on packets must walk."""
        self.valid_until = min(self.valid_until, deadline)

    def encapsulate(self, underlay: "Namespace") -> None:
        """The packet went into a tunnel over `underlay`."""
        self.encapsulated += 1
        self.underlay = underlay


class Flow:
    """A cached flow: where its packets go, and how their bytes change on the way."""

    __slots__ = (
        "addresses",
        "checksum_at",
        "connections",
        "counters",
        "device",
        "head",
        "hits",
        "idle",
        "ip_delta",
        "ip_sum",
        "is_tcp",
        "key",
        "last_used",
        "maximum",
        "model",
        "namespace",
        "octets",
        "offset",
        "outer_fixed",
        "outer_in_sum",
        "outer_out_sum",
        "outer_tail",
        "owner",
        "refreshes",
        "serial",
        "transport_delta",
        "underlay",
        "valid_until",
        "verified_sum",
    )

    def __init__(self, owner: "FlowCache", recording: Recording, now: int) -> None:
        self.owner = owner
        self.serial, self.key = recording.serial, recording.key
        self.offset, self.maximum = recording.offset, recording.maximum
        self.valid_until = recording.valid_until
        self.connections = tuple((each, each.timeout) for each in recording.connections)
        self.idle = min((timeout for _, timeout in self.connections), default=FOREVER)
        self.refreshes = tuple(recording.refreshes)
        self.underlay = recording.underlay
        self.hits = self.octets = 0
        self.last_used = now
        self.device: Device | None = None
        self.namespace: Namespace | None = None
        self.model: Packet | None = None
        self.outer_in_sum = self.outer_out_sum = 0
        self.outer_fixed = self.outer_tail = b""
        first, at = recording.first, recording.offset
        core = len(first) - at
        self.counters = tuple((counter, length - core) for counter, length in recording.counters)
        self.is_tcp = first[at + 9] == TCP
        self.checksum_at = at + (36 if self.is_tcp else 26)
        self.ip_sum = _sum(first, at)
        if at > 14:
            self.outer_in_sum = _sum(first, 14)
        self.verified_sum = 0
        if at and self.connections:
            self.verified_sum = _word32(first, at + 12) + _word32(first, at + 16) + first[at + 9]
            """Connection tracking verifies what comes from outside: the pseudo-header without the length."""

    def kill(self) -> None:
        """Take the flow out of the cache; its tallies are carried over."""
        self.owner.retire(self)

    def settle(self) -> None:
        """Carry the tallies over to the counters, connections and learned entries."""
        hits, octets = self.hits, self.octets
        if not hits:
            return
        self.hits = self.octets = 0
        for counter, extra in self.counters:
            counter.packets += hits
            counter.bytes += octets + hits * extra
        for connection, timeout in self.connections:
            connection.expires = max(connection.expires, self.last_used + timeout)
        for entry in self.refreshes:
            entry.updated = max(entry.updated, self.last_used)

    def learn(self, first: bytes, core: bytes, head: bytes) -> None:
        """Derive the template: `core` is the inner IP packet as it left, `head` what stood before it."""
        at = self.offset
        self.head = head
        self.addresses = core[12:24]
        was = int.from_bytes(first[at + 8 : at + 10]) + _word32(first, at + 12) + _word32(first, at + 16)
        now = int.from_bytes(core[8:10]) + _word32(core, 12) + _word32(core, 16)
        self.ip_delta = checksum_delta(was, now)
        before, after = first[at + 12 : at + 24], core[12:24]
        moved = before != after
        self.transport_delta = checksum_delta(_sum_words(before), _sum_words(after)) if moved else 0

    def inner(self, octets: bytes, total: int, checksum: int, ttl_protocol: bytes) -> bytes | None:
        """The IP packet as it leaves."""
        at = self.offset
        new = 0xFFFF - ((0xFFFF - checksum + self.ip_delta) % 0xFFFF or 0xFFFF)
        delta = self.transport_delta
        if not delta:
            return b"%b%b%b%b%b" % (
                octets[at : at + 8],
                ttl_protocol,
                new.to_bytes(2),
                self.addresses,
                octets[at + 24 :],
            )
        where = self.checksum_at
        transport = int.from_bytes(octets[where : where + 2])
        if transport or self.is_tcp:
            transport = 0xFFFF - ((0xFFFF - transport + delta) % 0xFFFF or 0xFFFF)
            if not transport and not self.is_tcp:
                transport = 0xFFFF
        return b"%b%b%b%b%b%b%b" % (
            octets[at : at + 8],
            ttl_protocol,
            new.to_bytes(2),
            self.addresses,
            octets[at + 24 : where],
            transport.to_bytes(2),
            octets[where + 2 :],
        )


def _word32(octets: bytes, at: int) -> int:
    return int.from_bytes(octets[at : at + 4])


def _sum_words(octets: bytes) -> int:
    return sum(int.from_bytes(octets[at : at + 2]) for at in range(0, len(octets), 2))


def _sum(octets: bytes, at: int) -> int:
    """The header's words without length, identification and checksum."""
    return _sum_words(octets[at : at + 2] + octets[at + 6 : at + 10] + octets[at + 12 : at + 20])


class FlowCache:
    """All cached flows of a kernel, by where packets enter and by the bytes that do not vary."""

    __slots__ = ("_by_entry", "_count", "_kernel", "enabled", "generation")

    def __init__(self, kernel: "Kernel") -> None:
        self._kernel = kernel
        self._by_entry: dict[int, dict[bytes, Flow]] = {}
        self._count = 0
        self.generation = 0
        self.enabled = True

    def __len__(self) -> int:
        return self._count

    def handle_frame(self, serial: int, frame: bytes) -> "bool | Recording | None":
        """True if a cached flow took the frame; else a Recording to walk with, or None if not eligible."""
        key = frame[:16] + frame[20:24] + frame[26:38]
        offset = 14
        if frame[36:38] == _PORT and len(frame) >= 64 + 28 and frame[23] == UDP:
            key += frame[42:66] + frame[70:74] + frame[76:88]
            offset = 64
        return self._handle(serial, key, frame, offset)

    def handle_packet(self, serial: int, data: bytes) -> "bool | Recording | None":
        """The same for an IP packet that a socket made."""
        return self._handle(serial, data[:2] + data[6:10] + data[12:24], data, 0)

    def _handle(self, serial: int, key: bytes, octets: bytes, offset: int) -> "bool | Recording | None":
        entry = self._by_entry.get(serial)
        if entry is not None:
            flow = entry.get(key)
            if flow is not None:
                if self._apply(flow, octets):
                    return True
                if not (flow.is_tcp and octets[offset + 33 : offset + 34] and octets[offset + 33] & _ENDS_FLOW):
                    flow.kill()
        if not self.enabled or not _eligible(octets, offset):
            return None
        return Recording(serial, key, octets, offset, self.generation)

    def _apply(self, flow: Flow, octets: bytes) -> bool:
        at = flow.offset
        length = len(octets) - at
        now = self._kernel.now
        if now >= flow.valid_until or now - flow.last_used >= flow.idle or length > flow.maximum:
            return False
        if length < (40 if flow.is_tcp else 28) or (flow.is_tcp and octets[at + 33] & _ENDS_FLOW):
            return False
        total, identification, checksum = _LENGTHS.unpack_from(octets, at + 2)
        if total != length or (flow.ip_sum + total + identification + checksum) % 0xFFFF:
            return False
        if at > 14 and not _outer_is_sound(octets, flow.outer_in_sum):
            return False
        if flow.verified_sum and not _is_verified(flow, octets, at, length):
            return False
        inner = flow.inner(octets, total, checksum, flow.head[-2:])
        if inner is None:
            return False
        flow.hits += 1
        flow.octets += length
        flow.last_used = now
        self._leave(flow, inner, length)
        return True

    def _leave(self, flow: Flow, inner: bytes, length: int) -> None:
        if flow.device is None:
            assert flow.namespace is not None
            assert flow.model is not None
            packet = Packet(inner)
            packet.assume(flow.model)
            return self._kernel.deliver_later(flow.namespace, packet)
        if flow.underlay is None:
            frame = flow.head[:14] + inner
        else:
            frame = encapsulated(flow, inner, length + TUNNEL, flow.underlay.next_identification())
        return self._kernel.transmitted.append((flow.device.name, frame, ""))

    def finish_transmit(self, recording: Recording, device: "Device", packet: Packet) -> None:
        """The walk ended at a NIC: cache the flow."""
        flow = self._begin(recording)
        if flow is None:
            return
        frame = packet.frame()
        at = 14 + TUNNEL * recording.encapsulated
        core = frame[at:]
        flow.learn(recording.first, core, frame[:14] + core[8:10])
        flow.device = device
        if recording.encapsulated:
            _learn_outer(flow, frame)
        again = self._again(flow, recording.first, core)
        if again is None or again != core:
            return
        if recording.encapsulated and frame != encapsulated(flow, core, len(core) + TUNNEL, _identification(frame)):
            return
        self._install(flow)

    def finish_deliver(self, recording: Recording, namespace: "Namespace", packet: Packet) -> None:
        """The walk ended at a socket of `namespace`: cache the flow up to there."""
        flow = self._begin(recording)
        if flow is None or recording.encapsulated:
            return
        core = bytes(packet.data)
        flow.learn(recording.first, core, packet.link_destination + bytes(8) + core[8:10])
        flow.namespace = namespace
        flow.model = packet.copy()
        if self._again(flow, recording.first, core) == core:
            self._install(flow)

    def _again(self, flow: Flow, first: bytes, core: bytes) -> bytes | None:
        """The template, tried on the packet that it was taken from: it must give the same bytes."""
        checksum = int.from_bytes(first[flow.offset + 10 : flow.offset + 12])
        return flow.inner(first, len(core), checksum, core[8:10])

    def _begin(self, recording: Recording) -> Flow | None:
        if recording.generation != self.generation or recording.encapsulated > 1:
            return None
        if (recording.offset > 14) != recording.decapsulated:
            return None
        return Flow(self, recording, self._kernel.now)

    def _install(self, flow: Flow) -> None:
        if self._count >= LIMIT:
            self.clear()
        entry = self._by_entry.setdefault(flow.serial, {})
        if flow.key not in entry:
            self._count += 1
        entry[flow.key] = flow
        for connection, _ in flow.connections:
            connection.flows.append(flow)

    def retire(self, flow: Flow) -> None:
        """Take one flow out."""
        flow.settle()
        entry = self._by_entry.get(flow.serial, {})
        if entry.get(flow.key) is flow:
            del entry[flow.key]
            self._count -= 1
        for connection, _ in flow.connections:
            connection.flows = [each for each in connection.flows if each is not flow]

    def settle(self) -> None:
        """Bring every counter and deadline up to date."""
        for entry in self._by_entry.values():
            for flow in entry.values():
                flow.settle()

    def clear(self) -> None:
        """Forget all flows, since something changed that they depend on."""
        self.generation += 1
        if not self._count:
            return
        self.settle()
        for entry in self._by_entry.values():
            for flow in entry.values():
                for connection, _ in flow.connections:
                    connection.flows.clear()
        self._by_entry.clear()
        self._count = 0


def _eligible(octets: bytes, offset: int) -> bool:
    """Whole IPv4 UDP, or TCP in the middle of a connection, without IP options."""
    if len(octets) < offset + 28 or (offset and octets[offset - 2 : offset] != b"\x08\x00"):
        return False
    if octets[offset] != 0x45 or octets[offset + 6] & 0x3F or octets[offset + 7]:
        return False
    if len(octets) - offset != int.from_bytes(octets[offset + 2 : offset + 4]):
        return False
    protocol = octets[offset + 9]
    if protocol == TCP:
        return len(octets) >= offset + 40 and not octets[offset + 33] & _ENDS_FLOW
    return protocol == UDP


def _is_verified(flow: Flow, octets: bytes, at: int, length: int) -> bool:
    if not flow.is_tcp and octets[at + 26 : at + 28] == b"\0\0":
        return True
    return not internet_checksum(octets[at + 20 :], flow.verified_sum + length - 20)


def _outer_is_sound(octets: bytes, fixed: int) -> bool:
    total, identification, checksum = _LENGTHS.unpack_from(octets, 16)
    length, udp_checksum = _PAIR.unpack_from(octets, 38)
    sound = total == len(octets) - 14 and length == total - 20 and not udp_checksum
    return sound and not (fixed + total + identification + checksum) % 0xFFFF


def _learn_outer(flow: Flow, frame: bytes) -> None:
    flow.outer_out_sum = _sum(frame, 14)
    flow.outer_fixed = frame[:16] + frame[20:24] + frame[26:38]
    flow.outer_tail = frame[42:64]


def _identification(frame: bytes) -> int:
    return int.from_bytes(frame[18:20])


def encapsulated(flow: Flow, inner: bytes, total: int, identification: int) -> bytes:
    """The whole outer frame; `total` is the outer IP packet's length."""
    checksum = 0xFFFF - ((flow.outer_out_sum + total + identification) % 0xFFFF or 0xFFFF)
    fixed = flow.outer_fixed
    return b"%b%b%b%b%b%b%b%b" % (
        fixed[:16],
        _PAIR.pack(total, identification),
        fixed[16:20],
        checksum.to_bytes(2),
        fixed[20:32],
        _PAIR.pack(total - 20, 0),
        flow.outer_tail,
        inner,
    )
