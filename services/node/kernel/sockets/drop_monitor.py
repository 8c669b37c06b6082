"""Whoever wants to see packets that die (Linux's net/core/drop_monitor.c): their bytes, where, and why."""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from podwire.services.node.kernel.kernel import Kernel
    from podwire.services.node.kernel.namespace import Namespace
    from podwire.services.node.kernel.packet import Packet

QUEUE_LIMIT: Final = 1000
"""Packets that wait to be read (net_dm_queue_len); later ones are counted only."""


class DroppedFrame(NamedTuple):
    """A packet as it was when it died at a time (ns); `device` is "" where it was at none, `order` as
    captured frames have it."""

    time: int
    netns: str
    device: str
    frame: bytes
    trace: str
    reason: str
    detail: str
    order: int


class DropMonitor:
    """The packets that die in a machine while it is open."""

    def __init__(self, kernel: "Kernel") -> None:
        self.on_ready: Callable[[], None] | None = None
        self.dropped = 0
        self._kernel = kernel
        self._queue: deque[DroppedFrame] = deque()
        kernel.drop_monitors.append(self)

    def packet_died(self, packet: "Packet", namespace: "Namespace", reason: str, detail: str, device: str) -> None:
        """Take a copy of a packet."""
        if len(self._queue) >= QUEUE_LIMIT:
            self.dropped += 1
            return
        place = packet.out_device or packet.in_device
        name = device or (place.name if place is not None else "")
        now, order = self._kernel.now, self._kernel.next_serial()
        dead = DroppedFrame(now, namespace.name, name, packet.frame(), packet.trace, reason, detail, order)
        self._queue.append(dead)
        if self.on_ready is not None:
            self.on_ready()

    def receive(self) -> DroppedFrame | None:
        """The oldest packet that waits, None if there is none."""
        return self._queue.popleft() if self._queue else None

    def close(self) -> None:
        """Stop listening; closing twice does nothing."""
        if self in self._kernel.drop_monitors:
            self._kernel.drop_monitors.remove(self)
