"""All cached flows of a kernel, by where packets enter and by the bytes that do not vary."""

from typing import TYPE_CHECKING, Final

from podwire.proto.packet.addresses import format_address
from podwire.proto.packet.icmp import ECHO_REPLY, ECHO_REQUEST
from podwire.proto.packet.icmpv6 import ECHO_REPLY as ECHO_REPLY6
from podwire.proto.packet.icmpv6 import ECHO_REQUEST as ECHO_REQUEST6
from podwire.proto.packet.ipv4 import ICMP, TCP, UDP
from podwire.proto.packet.ipv6 import ICMPV6
from podwire.services.node.kernel.flows.flow import ENDS_FLOW, Flow
from podwire.services.node.kernel.flows.flow6 import Flow6
from podwire.services.node.kernel.flows.recording import Recording
from podwire.services.node.kernel.flows.shapes import (
    FRAME,
    NUMBER_BITS,
    PACKET,
    PORT,
    SHAPES,
    SHAPES6,
    TUNNELLED,
    TUNNELLED6,
    Shape,
)
from podwire.services.node.kernel.packet import Packet

if TYPE_CHECKING:
    from podwire.services.node.kernel.devices.device import Device
    from podwire.services.node.kernel.kernel import Kernel
    from podwire.services.node.kernel.namespace import Namespace

LIMIT: Final = 8192
_FRAMES, _PACKETS, _TUNNELLED = SHAPES[FRAME], SHAPES[PACKET], SHAPES[TUNNELLED]
_FRAMES6, _PACKETS6, _TUNNELLED6 = SHAPES6[FRAME], SHAPES6[PACKET], SHAPES6[TUNNELLED6]
_SHORTEST, _SHORTEST_TUNNELLED = FRAME + 28, TUNNELLED + 28
_SHORTEST6, _SHORTEST_TUNNELLED6 = FRAME + 48, TUNNELLED6 + 48
_TYPE_IPV6, _VERSION6 = 0x86, 0x60
"""The first byte of IPv6's EtherType, and of its packets."""
_FIRST6: Final = _PACKETS6[UDP].number
_number = int.from_bytes


class FlowCache:
    """Flows take what is theirs; what is eligible and nobody's is recorded."""

    __slots__ = ("_by_entry", "_count", "_kernel", "enabled", "generation")

    def __init__(self, kernel: "Kernel") -> None:
        self._kernel = kernel
        self._by_entry: dict[int, dict[int, Flow]] = {}
        self._count = 0
        self.generation = 0
        self.enabled = True

    def __len__(self) -> int:
        return self._count

    def handle_frame(self, serial: int, frame: bytes) -> "bool | Recording | None":
        """True if a cached flow took the frame; else a Recording to walk with, or None if not eligible."""
        count = len(frame)
        if count < _SHORTEST:
            return None
        if frame[12] == _TYPE_IPV6:
            shape = _shape6(frame, count)
        elif count >= _SHORTEST_TUNNELLED and frame[36:38] == PORT and frame[23] == UDP:
            shape = _TUNNELLED.get(frame[73])
        else:
            shape = _FRAMES.get(frame[23])
        return None if shape is None else self._handle(shape, serial, frame, count)

    def handle_packet(self, serial: int, data: bytes) -> "bool | Recording | None":
        """The same for an IP packet that a socket made."""
        shape = _PACKETS6.get(data[6]) if data[0] >= _VERSION6 else _PACKETS.get(data[9])
        return None if shape is None else self._handle(shape, serial, data, len(data))

    def _handle(self, shape: Shape, serial: int, octets: bytes, count: int) -> "bool | Recording | None":
        value = _number(octets[: shape.span])
        key, entry = value & shape.key, serial << NUMBER_BITS | shape.number
        flows = self._by_entry.get(entry)
        flow = None if flows is None else flows.get(key)
        if flow is not None:
            now = self._kernel.now
            if flow.accepts(value, octets, count, now):
                flow.hits += 1
                flow.octets += count - flow.at
                flow.last_used = now
                self._pass(flow, octets, count)
                return True
            if shape.protocol != TCP or not _ends_flow(shape, octets):
                flow.kill()
        if not self.enabled or not (_is_eligible6 if shape.number >= _FIRST6 else _is_eligible)(shape, value, octets):
            return None
        return Recording(shape, entry, key, octets, self.generation)

    def _pass(self, flow: Flow, octets: bytes, count: int) -> None:
        device = flow.device
        if device is not None:
            self._kernel.transmitted.append((device.name, flow.frame(octets, count), ""))
        elif flow.protocol != UDP or self._kernel.queue or not self._hand_over(flow, octets, count):
            assert flow.namespace is not None
            assert flow.model is not None
            packet = Packet(flow.packet(octets), flow.model.ethertype)
            packet.assume(flow.model)
            self._kernel.deliver_later(flow.namespace, packet)

    def _hand_over(self, flow: Flow, octets: bytes, count: int) -> bool:
        """Give a datagram to its socket at once; false if it has none, no room, or a wrong checksum."""
        assert flow.namespace is not None
        assert flow.model is not None
        sockets = flow.namespace.sockets
        if flow.sockets_version != sockets.udp_version:
            flow.socket, flow.sockets_version = sockets.udp_socket_for(flow.model), sockets.udp_version
        socket = flow.socket
        if socket is None or not (flow.is_verified or flow.is_sound(octets, count)):
            return False
        address, port, destination = flow.endpoint
        return socket.take(octets[flow.payload_at :], (address, port), destination)

    def finish_transmit(self, recording: Recording, device: "Device", packet: Packet) -> None:
        """The walk ended at a NIC: cache the flow."""
        flow = self._begin(recording)
        if flow is None:
            return
        frame, first = packet.frame(), recording.first
        flow.learn(first, frame[FRAME + recording.overhead :], frame[:FRAME])
        flow.device = device
        if recording.encapsulated:
            flow.learn_outer(frame)
        if flow.repeats(first, frame):
            self._install(flow)

    def finish_deliver(self, recording: Recording, namespace: "Namespace", packet: Packet) -> None:
        """The walk ended at a socket of `namespace`: cache the flow up to there."""
        flow = self._begin(recording)
        if flow is None or recording.encapsulated:
            return
        core = bytes(packet.data)
        flow.learn(recording.first, core, packet.link_destination + bytes(8))
        flow.namespace = namespace
        flow.model = packet.copy()
        flow.endpoint = (format_address(packet.source), packet.source_port, format_address(packet.destination))
        if flow.packet(recording.first) == core:
            self._install(flow)

    def _begin(self, recording: Recording) -> Flow | None:
        if recording.generation != self.generation or recording.encapsulated > 1:
            return None
        if (recording.shape.at > FRAME) != recording.decapsulated:
            return None
        return (Flow6 if recording.shape.number >= _FIRST6 else Flow)(self, recording, self._kernel.now)

    def _install(self, flow: Flow) -> None:
        if self._count >= LIMIT:
            self.clear()
        flows = self._by_entry.setdefault(flow.entry, {})
        if flow.key not in flows:
            self._count += 1
        flows[flow.key] = flow
        for connection, _ in flow.connections:
            connection.flows.append(flow)

    def retire(self, flow: Flow) -> None:
        """Take one flow out."""
        flow.settle()
        flows = self._by_entry.get(flow.entry, {})
        if flows.get(flow.key) is flow:
            del flows[flow.key]
            self._count -= 1
        for connection, _ in flow.connections:
            connection.flows = [each for each in connection.flows if each is not flow]

    def settle(self) -> None:
        """Bring every counter and deadline up to date."""
        for flows in self._by_entry.values():
            for flow in flows.values():
                flow.settle()

    def clear(self) -> None:
        """Forget all flows, since something changed that they depend on."""
        self.generation += 1
        if not self._count:
            return
        self.settle()
        for flows in self._by_entry.values():
            for flow in flows.values():
                for connection, _ in flow.connections:
                    connection.flows.clear()
        self._by_entry.clear()
        self._count = 0


def _shape6(frame: bytes, count: int) -> Shape | None:
    if count < _SHORTEST6:
        return None
    if count >= _SHORTEST_TUNNELLED6 and frame[56:58] == PORT and frame[20] == UDP:
        return _TUNNELLED6.get(frame[90])
    return _FRAMES6.get(frame[20])


def _ends_flow(shape: Shape, octets: bytes) -> bool:
    return len(octets) >= shape.shortest and bool(
        octets[shape.at + (53 if shape.number >= _FIRST6 else 33)] & ENDS_FLOW
    )


def _is_eligible(shape: Shape, value: int, octets: bytes) -> bool:
    """Whole IPv4 without options that says its length truly: UDP, an echo, or TCP in the middle of a connection."""
    at, count = shape.at, len(octets)
    if count < shape.shortest or (at and octets[at - 2 : at] != b"\x08\x00"):
        return False
    if octets[at] != 0x45 or octets[at + 6] & 0x3F or octets[at + 7]:
        return False
    if value & shape.lengths != count * shape.factor - shape.base or (at == TUNNELLED and octets[40:42] != b"\0\0"):
        return False
    if shape.protocol == ICMP:
        return octets[at + 20] in (ECHO_REPLY, ECHO_REQUEST) and not octets[at + 21]
    return shape.protocol == UDP or not _ends_flow(shape, octets)


def _is_eligible6(shape: Shape, value: int, octets: bytes) -> bool:
    """The same of IPv6 without extension headers."""
    at, count = shape.at, len(octets)
    if count < shape.shortest or (at and octets[at - 2 : at] != b"\x86\xdd") or octets[at] >> 4 != 6:
        return False
    if value & shape.lengths != count * shape.factor - shape.base:
        return False
    if shape.protocol == ICMPV6:
        return octets[at + 40] in (ECHO_REPLY6, ECHO_REQUEST6) and not octets[at + 41]
    return shape.protocol == UDP or not _ends_flow(shape, octets)
