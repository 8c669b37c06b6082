"""Which change broke reachability: candidates are started as simulated clusters and probed, by halves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from podwire.scripts.errors import UserError
from podwire.scripts.history.changes import change
from podwire.scripts.history.difference import differences
from podwire.scripts.history.log import Log
from podwire.scripts.reach.checking import Verdict, check
from podwire.scripts.reach.expectation import Judgement, Rule
from podwire.scripts.reach.matrix import Probe
from podwire.scripts.simulation.replay import Replay
from podwire.scripts.trace.cause import cause
from podwire.scripts.trace.exchange import follow
from podwire.scripts.trace.flights import Flight, flights
from podwire.scripts.trace.resolve import Destination
from podwire.services.apiserver.core.json_types import Json
from podwire.services.chassis.eventlog.compaction import LAST_STATE_ONLY

_TIMEOUT: Final = 1.0
"""Seconds (virtual) of an exchange."""


@dataclass(frozen=True, slots=True)
class Broken:
    """How the rules fail at a revision: the verdict, and what became of the packets of the first probe that differs."""

    verdict: Verdict
    packets: tuple[Flight, ...] = ()

    @property
    def probe(self) -> Judgement | None:
        """The probe that was traced; None where rules name no probe at all."""
        return next(iter(self.verdict.differing), None)


@dataclass(frozen=True, slots=True)
class Found:
    """The first revision at which the rules fail, the last at which they hold, and how many were tried."""

    good: int
    bad: int
    broken: Broken
    steps: int

    def as_json(self, log: Log) -> Json:
        """All that is found, for machines."""
        packets = self.broken.packets
        return {
            "good": self.good,
            "bad": self.bad,
            "tried": self.steps,
            "change": change(log.at(self.bad)).as_json(),
            "objects": [each.as_json() for each in differences(log, self.good, self.bad)],
            "differences": self.broken.verdict.lines(),
            "cause": cause(packets) if packets else "",
            "hops": [msgspec.to_builtins(hop) for flight in packets for hop in flight.hops],
        }


@dataclass(slots=True)
class Bisection:
    """A search over the changes of a log."""

    log: Log
    rules: Sequence[Rule]
    static_pods: Path
    via: str = ""
    tell: Callable[[str], None] = lambda line: None
    _known: dict[int, Broken | None] = field(default_factory=dict)

    def run(self, good: int | None, bad: int) -> Found:
        """The change. Without `good`, ever earlier revisions are tried until one holds. Raises UserError."""
        changes = [
            event.revision
            for event in self.log.until(bad)
            if (event.key.group, event.key.resource) not in LAST_STATE_ONLY and event.revision >= self.log.first
        ]
        if not changes:
            raise UserError(f"--bad {bad}: the log has no change up to it")
        high = len(changes) - 1
        if self.at(changes[high]) is None:
            raise UserError(f"--bad {bad}: all is as the rules want it there; name one at which it is not")
        low = self._low(changes, good, high)
        while high - low > 1:
            middle = (low + high) // 2
            if self.at(changes[middle]) is None:
                low = middle
            else:
                high = middle
        broken = self._known[changes[high]]
        assert broken is not None
        return Found(changes[low], changes[high], broken, len(self._known))

    def _low(self, changes: list[int], good: int | None, high: int) -> int:
        """The index of a change at which the rules hold."""
        if good is not None:
            low = max((index for index, each in enumerate(changes) if each <= good), default=-1)
            if low < 0 or low >= high:
                raise UserError(f"--good {good}: a revision from {changes[0]} to before {changes[high]} is needed")
            if (broken := self.at(changes[low])) is not None:
                raise UserError(f"--good {good}: the rules do not hold there either: {broken.verdict.lines()[0]}")
            return low
        step = 1
        while high - step > 0:
            if self.at(changes[high - step]) is None:
                return high - step
            step *= 2
        raise UserError(f"the rules hold at no revision that was tried back to {changes[0]}; name one with --good")

    def at(self, revision: int) -> Broken | None:
        """How the rules fail at a revision (None: they hold)."""
        if revision not in self._known:
            self._known[revision] = self._tried(revision)
            broken = self._known[revision]
            self.tell(
                f"revision {revision}: " + ("as the rules want it" if broken is None else broken.verdict.lines()[0])
            )
        return self._known[revision]

    def _tried(self, revision: int) -> Broken | None:
        replay = Replay(self.log.cut(revision), self.static_pods)
        try:
            return replay.cluster.run(self._look(replay))
        finally:
            replay.cluster.close()

    async def _look(self, replay: Replay) -> Broken | None:
        await replay.settle()
        client = replay.cluster.client
        verdict = await check(client, self.rules, _TIMEOUT, self.via)
        if verdict.holds:
            return None
        if not verdict.differing:
            return Broken(verdict)
        probe = verdict.differing[0].result.probe
        if not (probe.origin.has_address and probe.target.address):
            return Broken(verdict)
        _, hops = await follow(client, probe.origin.source, _destination(probe), _TIMEOUT, self.via)
        return Broken(verdict, tuple(flights(hops)))


def _destination(probe: Probe) -> Destination:
    target = probe.target
    return Destination(target.protocol, target.address, target.port)
