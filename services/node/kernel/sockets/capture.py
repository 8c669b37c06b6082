"""Packet sockets: what tcpdump reads (packet(7)). Every frame that a device sends or receives, as it is on the wire."""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from podwire.services.node.kernel.devices.device import Device
    from podwire.services.node.kernel.namespace import Namespace
    from podwire.services.node.kernel.packet import Packet

QUEUE_LIMIT: Final = 8192
QUEUE_BYTES: Final = 4 * 1024 * 1024
"""Frames, and bytes of them, that wait to be read; later ones are dropped and counted, as a full ring does."""


class CapturedFrame(NamedTuple):
    """A frame seen at a device at a time (ns); `trace` is the trace it carried, if any, `order` grows in a machine."""

    time: int
    device: str
    is_outgoing: bool
    frame: bytes
    trace: str
    order: int


class PacketSocket:
    """Frames of one device, or of every device of a namespace that is there when the socket is opened or comes later.

    While it is open no flow that passes its devices is cached.
    """

    def __init__(self, namespace: "Namespace", device: "Device | None" = None) -> None:
        self.namespace = namespace
        self.device = device
        self.on_ready: Callable[[], None] | None = None
        self.dropped = 0
        self.received = 0
        self.by_device: dict[str, list[int]] = {}
        """Of each device, how many frames passed and how many of them found the queue full."""
        self._queue: deque[CapturedFrame] = deque()
        self._waiting = 0
        self._taps().append(self)
        namespace.kernel.changed()

    def _taps(self) -> "list[PacketSocket]":
        return self.namespace.taps if self.device is None else self.device.taps

    def frame_passed(self, device: "Device", packet: "Packet", *, is_outgoing: bool) -> None:
        """Take a copy of a frame."""
        self.received += 1
        counts = self.by_device.setdefault(device.name, [0, 0])
        counts[0] += 1
        if len(self._queue) >= QUEUE_LIMIT or self._waiting >= QUEUE_BYTES:
            self.dropped += 1
            counts[1] += 1
            return
        kernel = self.namespace.kernel
        frame, order = packet.frame(), kernel.next_serial()
        self._waiting += len(frame)
        self._queue.append(CapturedFrame(kernel.now, device.name, is_outgoing, frame, packet.trace, order))
        if self.on_ready is not None:
            self.on_ready()

    def receive(self) -> CapturedFrame | None:
        """The oldest frame that waits, None if there is none."""
        if not self._queue:
            return None
        frame = self._queue.popleft()
        self._waiting -= len(frame.frame)
        return frame

    def close(self) -> None:
        """Stop listening; closing twice does nothing."""
        taps = self._taps()
        if self in taps:
            taps.remove(self)
            self.namespace.kernel.changed()
