"""Records of several machines in the order of their times: each machine tells its own in order, but not all at once."""

from heapq import heappop, heappush
from typing import Final, NamedTuple

from podwire.proto.messages.capture import Captured

WINDOW: Final = 300_000_000
"""Nanoseconds for which a record waits for earlier ones of other machines."""
MOST: Final = 65536
"""Records that wait at most; beyond that the oldest go on at once."""


class Placed(NamedTuple):
    """A record and the machine that told it."""

    node: str
    record: Captured


class InOrder:
    """A buffer; `now` is on the records' clock (ns)."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, int, Placed]] = []
        self._taken = 0

    def put(self, node: str, record: Captured) -> None:
        """Takes a record in."""
        self._taken += 1
        heappush(self._waiting, (record.time, self._taken, Placed(node, record)))

    def due(self, now: int) -> list[Placed]:
        """What has waited long enough, in order; everything for a time that is far away."""
        ready = []
        while self._waiting and (self._waiting[0][0] <= now - WINDOW or len(self._waiting) > MOST):
            ready.append(heappop(self._waiting)[2])
        return ready
