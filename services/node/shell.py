"""The kernel's shell: time goes in, frames travel over the bus, deadlines become timers.

Frames that leave in one turn of the loop go as one message a destination; what answers the last frame that has come
leaves at once. While the bus is away frames are dropped and
counted: no packets from the past.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

import msgspec

from podwire.proto import subjects
from podwire.proto.messages import codec, wire
from podwire.proto.messages.telemetry import Hop
from podwire.services.chassis.bus.base import Bus, Message, Subscription
from podwire.services.chassis.clock import SECOND, Clock
from podwire.services.chassis.faults import Faults
from podwire.services.node.kernel.kernel import Kernel
from podwire.services.node.port import SwitchPort

_BATCH: Final = 512
_BATCH_BYTES: Final = 1024 * 1024
_TELL_DROPS_AFTER: Final = 0.1


class KernelShell:
    """Runs one kernel on the running loop."""

    def __init__(self, kernel: Kernel, bus: Bus, clock: Clock, faults: Faults | None = None) -> None:
        self.kernel = kernel
        self.malformed = 0
        self.lost = 0
        self.owner_of_namespace: Callable[[str], str] = lambda name: name
        """Whose a namespace is, for people who read traces: the pod's `namespace/name`."""
        self._bus, self._clock, self._faults = bus, clock, faults
        self._segments: dict[str, str] = {}
        self._subscriptions: list[Subscription] = []
        self._flush_due = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: int | None = None
        self._drops_told = 0
        self._drops_due: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    def plug(self, device: str, segment: str, mac: str) -> None:
        """Connects a NIC to a segment: it hears its own MAC's subject and broadcasts."""
        self._segments[device] = segment

        port = SwitchPort(
            self._faults, self._clock, partial(self._arrive_late, device), partial(self._lost_on_the_link, device)
        )

        def receive(message: Message) -> None:
            self._receive(device, port, message.payload)
            if unicast.waiting:
                self._schedule()
            else:
                self._flush()

        unicast = self._bus.subscribe(subjects.wire(segment, mac), receive)
        self._subscriptions += [unicast, self._bus.subscribe(subjects.wire(segment, subjects.BROADCAST_MAC), receive)]

    def _receive(self, device: str, port: SwitchPort, payload: bytes) -> None:
        try:
            frames, traces = wire.decode(payload)
        except wire.WireError:
            self.malformed += 1
            return
        self._arrive(device, *port.pass_on(frames, traces))

    def _lost_on_the_link(self, device: str, frame: bytes, trace: str) -> None:
        if trace:
            self.kernel.lost_on_the_link(device, frame, self._clock.monotonic_ns(), trace)

    def _arrive_late(self, device: str, frame: bytes, trace: str) -> None:
        self._arrive(device, [frame], {0: trace} if trace else {})
        self._flush()

    def _arrive(self, device: str, frames: list[bytes], traces: dict[int, str]) -> None:
        now = self._clock.monotonic_ns()
        if traces:
            for index, frame in enumerate(frames):
                self.kernel.receive(device, frame, now, traces.get(index, ""))
        else:
            self.kernel.receive_batch(device, frames, now)

    @contextmanager
    def turn(self) -> Iterator[Kernel]:
        """Every use of the kernel from outside: the time is right before it, what it sent leaves after it."""
        self.kernel.set_time(self._clock.monotonic_ns())
        try:
            yield self.kernel
        finally:
            self._schedule()

    def _schedule(self) -> None:
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush_scheduled)

    def _flush_scheduled(self) -> None:
        self._flush_due = False
        self._flush()

    def _flush(self) -> None:
        kernel = self.kernel
        if kernel.transmitted:
            transmitted, kernel.transmitted = kernel.transmitted, []
            self._send(transmitted)
        if kernel.hops:
            hops, kernel.hops = kernel.hops, []
            self._tell(hops)
        if kernel.drops.total > self._drops_told and self._drops_due is None:
            self._drops_due = self._loop.call_later(_TELL_DROPS_AFTER, self._tell_drops)
        self._set_timer()

    def _tell(self, hops: list[Hop]) -> None:
        named = [msgspec.structs.replace(hop, netns=self.owner_of_namespace(hop.netns)) for hop in hops]
        self._bus.publish(subjects.telemetry("hop", self.kernel.hostname), codec.encode(named))

    def _tell_drops(self) -> None:
        """What died in the last tenth of a second; of a flood only the most recent packets."""
        self._drops_due = None
        drops = self.kernel.drops.since(self._drops_told)
        self._drops_told = self.kernel.drops.total
        named = [msgspec.structs.replace(drop, netns=self.owner_of_namespace(drop.netns)) for drop in drops]
        self._bus.publish(subjects.telemetry("drop", self.kernel.hostname), codec.encode(named))

    def _send(self, transmitted: list[tuple[str, bytes, str]]) -> None:
        if not self._bus.connected:
            self.lost += len(transmitted)
            return
        batches: dict[tuple[str, bytes], tuple[list[bytes], dict[int, str]]] = {}
        frames: list[bytes] = []
        last, destination = "", b"-"
        for device, frame, trace in transmitted:
            if device != last or not frame.startswith(destination):  # a run of frames goes the same way
                last, destination = device, frame[:6]
                frames, traces = batches.setdefault((device, destination), ([], {}))
            if trace:
                traces[len(frames)] = trace
            frames.append(frame)
        for (device, destination), (frames, traces) in batches.items():
            self._publish(device, destination, frames, traces)

    def _publish(self, device: str, destination: bytes, frames: list[bytes], traces: dict[int, str]) -> None:
        segment = self._segments.get(device)
        if segment is None:
            self.lost += len(frames)
            return
        address = subjects.BROADCAST_MAC if destination[0] & 1 else destination.hex()
        subject = subjects.wire(segment, address)
        if len(frames) <= _BATCH and sum(map(len, frames)) <= _BATCH_BYTES:
            self._bus.publish(subject, wire.encode(frames, traces))
            return
        half = len(frames) // 2
        early = {index: trace for index, trace in traces.items() if index < half}
        late = {index - half: trace for index, trace in traces.items() if index >= half}
        self._publish(device, destination, frames[:half], early)
        self._publish(device, destination, frames[half:], late)

    def _set_timer(self) -> None:
        deadline = self.kernel.next_deadline()
        if deadline == self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_at = deadline
        if deadline is not None:
            delay = max(0, deadline - self._clock.monotonic_ns())
            self._timer = self._loop.call_later(delay / SECOND, self._run_timers)

    def _run_timers(self) -> None:
        self._timer, self._timer_at = None, None
        self.kernel.run_timers(self._clock.monotonic_ns())
        self._flush()
