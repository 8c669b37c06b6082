"""The kernel of one machine: namespaces, the queue that packets travel through, and what the shell drains.

Everything happens inside one call: `receive`, `run_timers`, a socket's method, or a turn of programming. The
queue and a bound on the devices a packet may cross keep forwarding loops from running away.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal, Protocol

from podwire.proto.messages.telemetry import Drop, Hop, HopKind
from podwire.proto.packet.ethernet import TYPE_IPV4, TYPE_IPV6
from podwire.proto.packet.icmpv6 import DESTINATION_UNREACHABLE as UNREACHABLE6
from podwire.proto.packet.ipv4 import ICMP, SCTP, TCP, UDP
from podwire.proto.packet.ipv6 import ICMPV6
from podwire.services.node.kernel import icmp, icmpv6, internet, unreachable
from podwire.services.node.kernel.conntrack.entry import attach
from podwire.services.node.kernel.devices import geneve, ipip, vxlan
from podwire.services.node.kernel.devices.device import Device, Loopback
from podwire.services.node.kernel.drops import LOST_ON_THE_LINK, DropLog, DropReason
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.fib import Route
from podwire.services.node.kernel.flows.cache import FlowCache
from podwire.services.node.kernel.flows.recording import Recording
from podwire.services.node.kernel.namespace import Namespace
from podwire.services.node.kernel.netfilter.evaluation import Evaluation
from podwire.services.node.kernel.packet import Packet
from podwire.services.node.kernel.sockets.base import Socket
from podwire.services.node.kernel.sockets.drop_monitor import DropMonitor
from podwire.services.node.kernel.timers import Timer, TimerWheel

BACKLOG: Final = 1000
"""Packets that may wait inside the machine (net.core.netdev_max_backlog)."""
HOP_LIMIT: Final = 65536
LOG_LIMIT: Final = 1024


class RandomSource(Protocol):
    """All the chance that a kernel may have."""

    def getrandbits(self, k: int, /) -> int:
        """k random bits."""
        ...


class Turn:
    """`with kernel.turn():` does something and then lets every packet it sent travel."""

    __slots__ = ("_kernel",)

    def __init__(self, kernel: "Kernel") -> None:
        self._kernel = kernel

    def __enter__(self) -> None:
        self._kernel.depth += 1

    def __exit__(self, *_: object) -> None:
        kernel = self._kernel
        if kernel.depth == 1:
            kernel.drain()
        kernel.depth -= 1


class Kernel:
    """An emulated Linux network stack. Times are integer ns; `set_time` before calling sockets.

    The shell empties `transmitted` (NIC, frame, trace id), `hops` and reads `drops`.
    """

    def __init__(self, hostname: str, boot_id: str, random: RandomSource) -> None:
        self.hostname = hostname
        self.boot_id = boot_id
        self.random = random
        self.now = 0
        self.depth = 0
        self.transmitted: list[tuple[str, bytes, str]] = []
        self.hops: list[Hop] = []
        self.drops = DropLog()
        self.drop_monitors: list[DropMonitor] = []
        self.namespace_listeners: list[Callable[[Namespace], None]] = []
        """Who is told of every new namespace."""
        self.log: deque[str] = deque(maxlen=LOG_LIMIT)
        self.flows = FlowCache(self)
        self.namespaces: dict[str, Namespace] = {}
        self._turn = Turn(self)
        self._wheel = TimerWheel()
        self.queue: deque[tuple[Callable[[Any], None], Any]] = deque()
        self._serial = 0
        self._hop_sequence = 0
        self.root = self.add_namespace("")

    # Namespaces

    def add_namespace(self, name: str) -> Namespace:
        """A new namespace with a `lo` that is down; KernelError EEXIST."""
        if name in self.namespaces:
            raise KernelError(17, f'Cannot create namespace file "/var/run/netns/{name}": File exists')
        namespace = self.namespaces[name] = Namespace(self, name, self.next_serial())
        loopback = Loopback(namespace, "lo", bytes(6), 65536)
        self.attach(namespace, loopback)
        for listener in self.namespace_listeners:
            listener(namespace)
        return namespace

    def namespace(self, name: str) -> Namespace:
        """A namespace by name; KernelError ENOENT."""
        try:
            return self.namespaces[name]
        except KeyError:
            raise KernelError(2, f'Cannot open network namespace "{name}": No such file or directory') from None

    def attach(self, namespace: Namespace, device: Device) -> None:
        """Give a device an index in a namespace."""
        device.namespace = namespace
        device.index = namespace.next_index()
        device.ingress_serial, device.egress_serial = self.next_serial(), self.next_serial()
        namespace.devices[device.name] = device

    def next_serial(self) -> int:
        """A number that this kernel never gave before."""
        self._serial += 1
        return self._serial

    # Time

    def set_time(self, now: int) -> None:
        """Tell what time it is; time never goes back."""
        self.now = max(self.now, now)

    def timer(self, callback: Callable[[], None]) -> Timer:
        """A timer of this kernel, not armed."""
        return Timer(self._wheel, callback)

    def next_deadline(self) -> int | None:
        """When `run_timers` is to be called next (ns), None if nothing waits."""
        return self._wheel.next_deadline()

    def run_timers(self, now: int) -> None:
        """Fire what is due, in order of deadline."""
        self.set_time(now)
        with self._turn:
            while (timer := self._wheel.pop_due(self.now)) is not None:
                timer.callback()
                self.drain()

    def turn(self) -> Turn:
        """A scope at whose end all packets that were sent inside it travel."""
        return self._turn

    # Packets in and out

    def receive(self, device_name: str, frame: bytes, now: int, trace: str = "") -> None:
        """A frame came in at a NIC. Any bytes will do; malformed ones are counted and dropped."""
        self.set_time(now)
        device = self.root.devices.get(device_name)
        if device is None:
            return
        with self._turn:
            self._enter(device, device.ingress_serial, frame, trace, device.receive)

    def receive_batch(self, device_name: str, frames: Iterable[bytes], now: int) -> None:
        """Untraced frames that came in at a NIC at once; each travels to its end before the next, as with `receive`."""
        self.set_time(now)
        device = self.root.devices.get(device_name)
        if device is None:
            return
        serial, then, queue, handle = device.ingress_serial, device.receive, self.queue, self.flows.handle_frame
        self.depth += 1
        try:
            for frame in frames:
                recording = handle(serial, frame) if device.up else None
                if recording is not True:
                    self._walk(device, frame, "", then, recording)
                if queue and self.depth == 1:
                    self.drain()
        finally:
            self.depth -= 1

    def lost_on_the_link(self, device_name: str, frame: bytes, now: int, trace: str) -> None:
        """A traced frame did not make it through the cable to this NIC: no kernel sees that, but a trace can tell."""
        self.set_time(now)
        packet = Packet(frame[14:], int.from_bytes(frame[12:14]), trace)
        sender = f"from {frame[6:12].hex(':')}"
        self.hop(packet, "drop", self.root, reason=LOST_ON_THE_LINK, detail=sender, device=device_name)

    def send_frame(self, netns: str, device_name: str, frame: bytes, now: int, trace: str = "") -> None:
        """Send a raw frame out of a device, as a packet socket does; KernelError ENOENT, ENODEV."""
        self.set_time(now)
        device = self.namespace(netns).device(device_name)
        self.depth += 1
        try:
            self._enter(device, device.egress_serial, frame, trace, device.send)
            if self.queue and self.depth == 1:
                self.drain()
        finally:
            self.depth -= 1

    def _enter(self, device: Device, serial: int, frame: bytes, trace: str, then: Callable[[Packet], None]) -> None:
        recording = None if trace or not device.up else self.flows.handle_frame(serial, frame)
        if recording is not True:
            self._walk(device, frame, trace, then, recording)

    def _walk(
        self,
        device: Device,
        frame: bytes,
        trace: str,
        then: Callable[[Packet], None],
        recording: bool | Recording | None,
    ) -> None:
        if len(frame) < 14:
            packet = Packet(frame, 0, trace)
            return device.discard(packet, DropReason.DEV_HDR, "truncated Ethernet header")
        packet = Packet(frame[14:], int.from_bytes(frame[12:14]), trace)
        packet.link_destination, packet.link_source = frame[:6], frame[6:12]
        if isinstance(recording, Recording):
            packet.recording = recording
        self.queue.append((then, packet))
        return None

    def send_made(self, namespace: Namespace, data: bytes, trace: str, socket: Socket | None = None) -> None:
        """Send a whole IP packet that this machine, or a socket on it, made, after everything else that waits."""
        with self._turn:
            self.queue.append((self._send_now, (namespace, data, trace, socket)))

    def send_answer(self, namespace: Namespace, data: bytes, cause: Packet) -> None:
        """Send a whole packet that answers another and belongs to its connection."""
        answer = icmp.made(data, cause.trace)
        attach(answer, cause)
        self.enqueue_output(namespace, answer)

    def _send_now(self, made: tuple[Namespace, bytes, str, Socket | None]) -> None:
        namespace, data, trace, socket = made
        recording = None if trace else self.flows.handle_packet(namespace.serial, data)
        if recording is True:
            return
        packet = icmp.made(data, trace)
        packet.socket = socket
        if isinstance(recording, Recording):
            packet.recording = recording
        internet.output(namespace, packet)

    def deliver_later(self, namespace: Namespace, packet: Packet) -> None:
        """Hand a packet to the protocols after everything else that waits."""
        self._push(namespace, lambda each: self.deliver_now(namespace, each), packet)

    def send_icmp_error(self, namespace: Namespace, packet: Packet, code: int) -> None:
        """Answer a packet with destination unreachable."""
        icmp.send_error(namespace, packet, code)

    def send_by(self, namespace: Namespace, packet: Packet, route: Route) -> None:
        """Send a packet that is routed already, from OUTPUT on (NF_INET_LOCAL_OUT and dst_output)."""
        internet.output_by(namespace, packet, route)

    def send_unreachable(self, namespace: Namespace, packet: Packet, what: Literal["host", "port"]) -> None:
        """Answer a packet of either family with destination unreachable."""
        if what == "host":
            return unreachable.host_unreachable(namespace, packet)
        return unreachable.port_unreachable(namespace, packet)

    def send_time_exceeded(self, namespace: Namespace, packet: Packet) -> None:
        """Answer a packet of either family whose hops are used up."""
        unreachable.time_exceeded(namespace, packet)

    def send_icmpv6_error(self, namespace: Namespace, packet: Packet, code: int) -> None:
        """The same for an IPv6 packet."""
        icmpv6.send_error(namespace, packet, UNREACHABLE6, code)

    def enqueue(self, device: Device, packet: Packet) -> None:
        """Have a device receive a packet after everything else that waits (netif_rx)."""
        self._push(device.namespace, device.receive, packet)

    def enqueue_output(self, namespace: Namespace, packet: Packet) -> None:
        """Send a packet from a namespace after everything else that waits."""
        self._push(namespace, lambda each: internet.output(namespace, each), packet)

    def _push(self, namespace: Namespace, then: Callable[[Packet], None], packet: Packet) -> None:
        if len(self.queue) >= BACKLOG:
            return self.drop(packet, namespace, DropReason.CPU_BACKLOG, "too many packets wait")
        return self.queue.append((then, packet))

    def drain(self) -> None:
        """Let every waiting packet travel."""
        queue = self.queue
        while queue:
            then, what = queue.popleft()
            then(what)

    def deliver(self, namespace: Namespace, packet: Packet) -> None:
        """Hand a packet that passed INPUT to its protocol; a tunnel's packet goes on from there."""
        if packet.protocol == UDP and namespace.tunnels and vxlan.receive(namespace, packet):
            return None
        if packet.protocol == UDP and namespace.geneve_tunnels and geneve.receive(namespace, packet):
            return None
        if packet.recording is not None:
            self.flows.finish_deliver(packet.recording, namespace, packet)
            packet.recording = None
        return self.deliver_now(namespace, packet)

    def deliver_now(self, namespace: Namespace, packet: Packet) -> None:
        """The protocols that sockets have."""
        if packet.protocol == TCP:
            return namespace.sockets.tcp_input(packet)
        if packet.protocol == UDP:
            return namespace.sockets.udp_input(packet)
        if packet.protocol == ICMP and packet.ethertype == TYPE_IPV4:
            return icmp.receive(namespace, packet)
        if packet.protocol == ICMPV6 and packet.ethertype == TYPE_IPV6:
            return icmpv6.receive(namespace, packet)
        if packet.protocol == SCTP:
            return namespace.sockets.sctp.input(packet)
        if packet.protocol == ipip.PROTOCOL and namespace.ipip_tunnels and packet.ethertype == TYPE_IPV4:
            return self._deliver_tunnelled(namespace, packet)
        self.drop(packet, namespace, DropReason.IP_NOPROTO, f"protocol {packet.protocol}")
        return unreachable.protocol_unreachable(namespace, packet)

    def _deliver_tunnelled(self, namespace: Namespace, packet: Packet) -> None:
        """IP in IP, where there are such tunnels (tunnel4_rcv)."""
        if not ipip.receive(namespace, packet):
            self.drop(packet, namespace, DropReason.NOT_SPECIFIED, "no ipip device for these addresses")
            unreachable.port_unreachable(namespace, packet)

    # What is told about packets

    def hop(self, packet: Packet, kind: HopKind, namespace: Namespace, **details: Any) -> None:
        """Record a step of a traced packet."""
        if len(self.hops) >= HOP_LIMIT:
            return
        self._hop_sequence += 1
        self.hops.append(
            Hop(
                trace=packet.trace,
                node=self.hostname,
                netns=namespace.name,
                sequence=self._hop_sequence,
                time=self.now,
                kind=kind,
                summary=packet.summary(),
                **details,
            )
        )

    def drop(
        self,
        packet: Packet,
        namespace: Namespace,
        reason: DropReason,
        detail: str = "",
        device: str = "",
        owner: str = "",
    ) -> None:
        """Count a dead packet, and say so if it was traced; `owner` is for whom the drop was ordered."""
        self._count_drop(packet, namespace, reason, detail, device)
        if packet.trace:
            self.hop(packet, "drop", namespace, reason=reason.value, detail=detail, device=device, owner=owner)

    def _count_drop(self, packet: Packet, namespace: Namespace, reason: DropReason, detail: str, device: str) -> None:
        packet.recording = None
        for monitor in self.drop_monitors:
            monitor.packet_died(packet, namespace, reason.value, detail, device)
        key = (namespace.name, reason)
        self.drops.counts[key] = self.drops.counts.get(key, 0) + 1
        self.drops.total += 1
        self.drops.recent.append(
            Drop(
                node=self.hostname,
                netns=namespace.name,
                time=self.now,
                reason=reason.value,
                device=device,
                detail=detail,
                summary=packet.summary(),
            )
        )

    def drop_by_rule(
        self, packet: Packet, at: Evaluation, chain: str, rule: int, text: str, detail: str, owner: str
    ) -> None:
        """Count a packet that netfilter dropped, with the rule and its owner."""
        self._count_drop(packet, at.namespace, DropReason.NETFILTER_DROP, detail, at.in_name)
        if packet.trace:
            self.hop(
                packet,
                "drop",
                at.namespace,
                reason=DropReason.NETFILTER_DROP.value,
                detail=detail,
                hook=at.hook,
                table=at.table,
                chain=chain,
                rule=rule,
                rule_text=text,
                rules_passed=at.rules_passed,
                owner=owner,
            )

    # The flow cache

    def changed(self) -> None:
        """Something that packets' ways depend on changed."""
        self.flows.clear()

    def settle(self) -> None:
        """Bring counters and deadlines up to date before reading them."""
        self.flows.settle()
