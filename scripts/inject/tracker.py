"""Injected packets while their hops arrive: what is known of each, and which of them are done. Bounded."""

from dataclasses import dataclass, field
from typing import Final

from podwire.proto.messages.telemetry import Hop
from podwire.scripts.inject.fate import Fate, fate, is_settled

MOST_HOPS: Final = 512
"""Hops of one packet that are kept; a forwarding loop makes more."""
QUIET: Final = 0.2
"""Seconds without a hop after which a packet that came to its end has no more to tell."""


@dataclass(slots=True)
class Watched:
    """One packet under way; `heard` is when its last hop came (seconds, as all times here)."""

    index: int
    heard: float
    until: float
    hops: list[Hop] = field(default_factory=list)


class Tracker:
    """Packets by the name of their trace."""

    def __init__(self) -> None:
        self._watched: dict[str, Watched] = {}

    def __len__(self) -> int:
        return len(self._watched)

    def watch(self, trace: str, index: int, now: float, patience: float) -> None:
        """A packet is about to be sent."""
        self._watched[trace] = Watched(index, now, now + patience)

    def forget(self, trace: str) -> None:
        """It was not sent."""
        self._watched.pop(trace, None)

    def hear(self, hop: Hop, now: float) -> None:
        """A hop; those of other traces are ignored."""
        watched = self._watched.get(hop.trace)
        if watched is None:
            return
        watched.heard = now
        if len(watched.hops) < MOST_HOPS:
            watched.hops.append(hop)

    def done(self, now: float) -> list[tuple[int, Fate]]:
        """Index and fate of each packet that has nothing more to tell, or was given up; they are forgotten."""
        ended = [trace for trace, each in self._watched.items() if _is_over(each, now)]
        found = []
        for trace in ended:
            watched = self._watched.pop(trace)
            found.append((watched.index, fate(watched.hops)))
        return found


def _is_over(watched: Watched, now: float) -> bool:
    return now >= watched.until or (now - watched.heard >= QUIET and is_settled(watched.hops))
