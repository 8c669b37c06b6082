"""The kubelet's crash-loop back-off (client-go flowcontrol.Backoff): the first restart at once, then 10 s up to 5 min.

It is memory only: a restarted kubelet begins anew, as the real one does.
"""

from dataclasses import dataclass
from typing import Final

from podwire.services.chassis.clock import SECOND

FIRST: Final = 10 * SECOND
LONGEST: Final = 300 * SECOND
FORGET_AFTER: Final = 2 * LONGEST


@dataclass(slots=True)
class _Entry:
    delay: int
    updated: int


class Backoff:
    """Delays by key; times in nanoseconds."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}

    def wait_until(self, key: str, failed_at: int) -> int:
        """The time before which it must not be tried again (0: at once)."""
        entry = self._entries.get(key)
        if entry is None or failed_at - entry.updated > FORGET_AFTER:
            return 0
        return failed_at + entry.delay

    def next(self, key: str, now: int) -> None:
        """Notes a try: the following delay is twice the last."""
        entry = self._entries.get(key)
        if entry is None or now - entry.updated > FORGET_AFTER:
            self._entries[key] = _Entry(FIRST, now)
            return
        entry.delay = min(2 * entry.delay, LONGEST)
        entry.updated = now

    def delay(self, key: str) -> int:
        """The present delay."""
        entry = self._entries.get(key)
        return entry.delay if entry is not None else 0

    def forget(self, prefix: str) -> None:
        """Drops the keys of a pod that is gone."""
        for key in [key for key in self._entries if key.startswith(prefix)]:
            del self._entries[key]
