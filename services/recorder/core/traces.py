"""Hops by trace, bounded: the oldest traces are forgotten first."""

from collections.abc import Iterable
from typing import Final

from podwire.proto.messages.telemetry import Hop

MOST_TRACES: Final = 512
MOST_HOPS: Final = 4096


class Traces:
    """What is known of recent traces."""

    def __init__(self) -> None:
        self._hops: dict[str, list[Hop]] = {}
        self.lost = 0

    def add(self, hops: Iterable[Hop]) -> None:
        """Takes hops as they arrive; of one machine they arrive in order."""
        for hop in hops:
            known = self._hops.setdefault(hop.trace, [])
            if len(known) < MOST_HOPS:
                known.append(hop)
            else:
                self.lost += 1
        while len(self._hops) > MOST_TRACES:
            del self._hops[next(iter(self._hops))]

    def of(self, trace: str) -> list[Hop]:
        """The hops of one trace, in order of arrival; of all, trace by trace, for ""."""
        if not trace:
            return [hop for hops in self._hops.values() for hop in hops]
        return self._hops.get(trace, [])

    def __len__(self) -> int:
        return len(self._hops)
