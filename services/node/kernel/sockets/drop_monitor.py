"""Whoever wants to see packets that die (Linux's net/core/drop_monitor.c): their bytes, where, and why."""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from podwire.services.node.kernel.kernel import Kernel
    from podwire.services.node.kernel.namespace import Namespace
    from podwire.services.node.kernel.packet import Packet

QUEUE_LIMIT: Final = 1000
QUEUE_BYTES: Final = 4 * 1024 * 1024
"""Packets (net_dm_queue_len), and bytes of them, that wait to be read; later ones are counted only."""


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
        self._waiting = 0
        kernel.drop_monitors.append(self)

    def packet_died(self, packet: "Packet", namespace: "Namespace", reason: str, detail: str, device: str) -> None:
        """Take a copy of a packet."""
        if len(self._queue) >= QUEUE_LIMIT or self._waiting >= QUEUE_BYTES:
            self.dropped += 1
            return
        place = packet.out_device or packet.in_device
        name = device or (place.name if place is not None else "")
        now, order = self._kernel.now, self._kernel.next_serial()
        frame = packet.frame()
        self._waiting += len(frame)
        self._queue.append(DroppedFrame(now, namespace.name, name, frame, packet.trace, reason, detail, order))
        if self.on_ready is not None:
            self.on_ready()

    def receive(self) -> DroppedFrame | None:
        """The oldest packet that waits, None if there is none."""
        if not self._queue:
            return None
        dead = self._queue.popleft()
        self._waiting -= len(dead.frame)
        return dead

    def close(self) -> None:
        """Stop listening; closing twice does nothing."""
        if self in self._kernel.drop_monitors:
            self._kernel.drop_monitors.remove(self)
