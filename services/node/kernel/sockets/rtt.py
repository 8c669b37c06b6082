"""Retransmission timeout (RFC 6298) with Linux's bounds, in integer ns."""

from typing import Final

INITIAL: Final = 1_000_000_000
MINIMUM: Final = 200_000_000
MAXIMUM: Final = 120_000_000_000


class RttEstimator:
    """Smoothed round-trip time and variation; `timeout` includes back-off. `least_variation` is Linux's for TCP."""

    __slots__ = ("_backoff", "_base", "_least_variation", "_maximum", "_minimum", "_smoothed", "_variation")

    def __init__(
        self,
        initial: int = INITIAL,
        minimum: int = MINIMUM,
        maximum: int = MAXIMUM,
        least_variation: int = MINIMUM,
    ) -> None:
        self._minimum, self._maximum, self._least_variation = minimum, maximum, least_variation
        self._smoothed: int | None = None
        self._variation = 0
        self._base = initial
        self._backoff = 0

    @property
    def timeout(self) -> int:
        """How long to wait for an acknowledgement now."""
        return min(self._base << self._backoff, self._maximum)

    def measured(self, sample: int) -> None:
        """Take in one round trip, of a segment that was sent once (Karn)."""
        if self._smoothed is None:
            self._smoothed, self._variation = sample, sample // 2
        else:
            self._variation += (abs(self._smoothed - sample) - self._variation) // 4
            self._smoothed += (sample - self._smoothed) // 8
        wanted = self._smoothed + max(4 * self._variation, self._least_variation)
        self._base = min(max(wanted, self._minimum), self._maximum)
        self._backoff = 0

    def backed_off(self) -> None:
        """The timeout struck: wait twice as long next time."""
        self._backoff = min(self._backoff + 1, 20)

    def progressed(self) -> None:
        """New data was acknowledged: no longer back off."""
        self._backoff = 0
