"""How often rules are synced: at once, but no more than two in a row faster than the minimal period
(pkg/util/async BoundedFrequencyRunner with a burst of 2)."""

from typing import Final

from podwire.services.chassis.clock import SECOND

BURST: Final = 2


class Pace:
    """A bucket that holds two syncs and fills by one each period (seconds)."""

    def __init__(self, period: float, now: int) -> None:
        self._period = int(period * SECOND)
        self._full_at = now

    def wait(self, now: int) -> int:
        """Nanoseconds until the next sync may run."""
        return max(0, self._full_at - (BURST - 1) * self._period - now)

    def take(self, now: int) -> None:
        """A sync runs."""
        self._full_at = max(self._full_at, now) + self._period
