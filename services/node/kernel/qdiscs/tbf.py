"""tbf: a token bucket, with a second one for the peak rate (net/sched/sch_tbf.c). Tokens are ns of sending time."""

from collections import deque

from podwire.proto.messages.kernel import Qdisc as Wanted
from podwire.services.node.kernel.devices.device import Device
from podwire.services.node.kernel.packet import Packet
from podwire.services.node.kernel.qdiscs.qdisc import Qdisc

_SECOND = 1_000_000_000


class Tbf(Qdisc):
    """Lets packets pass at a rate; the others wait, as long as there is room."""

    kind = "tbf"

    def __init__(self, device: Device, wanted: Wanted, major: int) -> None:
        super().__init__(device, wanted, major)
        kernel = device.namespace.kernel
        self._most = wanted.burst * _SECOND // wanted.rate
        self._most_peak = wanted.minimum_burst * _SECOND // wanted.peak_rate if wanted.peak_rate else 0
        self._tokens, self._peak = self._most, self._most_peak
        self._since = kernel.now
        self._queue: deque[Packet] = deque()
        self._backlog = 0
        self._timer = kernel.timer(self._run)

    def enqueue(self, packet: Packet) -> None:
        size = _size(packet)
        if size > self.wanted.burst or (self._most_peak and size > self.wanted.minimum_burst):
            return self.discard(packet, f"has a burst of less than {size} bytes")
        if self._backlog + size > self.wanted.limit:
            return self.discard(packet, f"is full: {self.wanted.limit} bytes wait")
        self._queue.append(packet)
        self._backlog += size
        return self._run()

    def _run(self) -> None:
        while self._queue and self.is_attached:
            missing = self._missing(_size(self._queue[0]))
            if missing > 0:
                self._timer.set(self.device.namespace.kernel.now + missing)
                return
            packet = self._queue.popleft()
            self._backlog -= _size(packet)
            self.pass_on(packet)

    def _missing(self, size: int) -> int:
        """How long (ns) until there are tokens for so many bytes; 0 takes them."""
        now = self.device.namespace.kernel.now
        passed, self._since = now - self._since, now
        self._tokens = min(self._tokens + passed, self._most)
        self._peak = min(self._peak + passed, self._most_peak)
        cost = size * _SECOND // self.wanted.rate
        peak_cost = size * _SECOND // self.wanted.peak_rate if self._most_peak else 0
        missing = max(cost - self._tokens, peak_cost - self._peak)
        if missing <= 0:
            self._tokens -= cost
            self._peak -= peak_cost
        return max(missing, 0)


def _size(packet: Packet) -> int:
    return len(packet.data) + 14
