"""What a bad link does to the frames that pass it, in the manner of tc-netem(8) (the kernel's net/sched/sch_netem.c).

Synchronous and without a clock: the caller says what time it is and delivers each frame when it is due.
"""

from podwire.proto.messages.process import Impairment
from podwire.services.chassis.chance import RandomBits, below
from podwire.services.chassis.clock import SECOND

_MILLION = 1_000_000


def happens(random: RandomBits, probability: float) -> bool:
    """Whether something of this probability (0 to 1, to the millionth) happens now."""
    return probability > 0 and below(random, _MILLION) < probability * _MILLION


class _Correlated:
    """Draws of which each follows the one before by a share (get_crandom)."""

    def __init__(self, random: RandomBits, correlation: float) -> None:
        self._random, self._correlation = random, correlation
        self._last = 0.0

    def below(self, limit: int) -> int:
        """A number from 0 to less than `limit`."""
        drawn = below(self._random, limit)
        if not self._correlation:
            return drawn
        self._last = drawn / limit * (1 - self._correlation) + self._last * self._correlation
        return int(self._last * limit)

    def happens(self, probability: float) -> bool:
        """Whether something of this probability happens now."""
        return probability > 0 and self.below(_MILLION) < probability * _MILLION


class ImpairedLink:
    """One direction of a link."""

    def __init__(self, impairment: Impairment, random: RandomBits) -> None:
        self.impairment = impairment
        self._random = random
        self._delay = _Correlated(random, impairment.delay_correlation)
        self._loss = _Correlated(random, impairment.loss_correlation)
        self._duplicate = _Correlated(random, impairment.duplicate_correlation)
        self._reorder = _Correlated(random, impairment.reorder_correlation)
        self._corrupt = _Correlated(random, impairment.corrupt_correlation)
        self._in_order = 0
        self._due: list[int] = []
        self._free_at = 0

    def carry(self, frame: bytes, now: int) -> list[tuple[int, bytes]]:
        """When the frame arrives (ns), and with what bytes: not at all, once, or twice."""
        link = self.impairment
        copies = 1 + self._duplicate.happens(link.duplicate) - self._loss.happens(link.loss)
        self._due = [due for due in self._due if due > now]
        arrivals = []
        for _ in range(min(copies, link.limit - len(self._due))):
            due = self._arrival(len(frame), now)
            self._due.append(due)
            arrivals.append((due, self._maybe_corrupted(frame)))
        return arrivals

    def _arrival(self, size: int, now: int) -> int:
        link = self.impairment
        if link.reorder and self._in_order >= link.gap - 1 and self._reorder.happens(link.reorder):
            self._in_order = 0
            return now
        self._in_order += 1
        late = link.delay + (self._delay.below(2 * link.jitter) - link.jitter if link.jitter else 0)
        sent = max(now, self._free_at)
        if link.rate:
            sent += size * 8 * SECOND // link.rate
            self._free_at = sent
        return sent + max(0, late)

    def _maybe_corrupted(self, frame: bytes) -> bytes:
        if not frame or not self._corrupt.happens(self.impairment.corrupt):
            return frame
        changed = bytearray(frame)
        changed[below(self._random, len(frame))] ^= 1 << below(self._random, 8)
        return bytes(changed)
