"""One seed: boot, be busy, break what the schedule says, and look whether every invariant holds in the end.

What must never happen is looked at all along; what must hold once everything is whole has SETTLE seconds to come true
after the last fault has ended.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from podwire.proto.kube import resources
from podwire.scripts.chaos.actions import Action, describe
from podwire.scripts.simulation.callers import Callers, Counts
from podwire.scripts.simulation.cluster import SimulatedCluster, SimulationFailed
from podwire.scripts.simulation.history import PodHistory
from podwire.scripts.simulation.invariants import CHECKS, Subject
from podwire.scripts.simulation.performing import Performer
from podwire.scripts.simulation.probing import Silent
from podwire.scripts.simulation.scenario import Scenario
from podwire.scripts.simulation.watcher import Watcher
from podwire.scripts.simulation.workload import NAMESPACE, OBJECTS, WEB, Churn
from podwire.services.chassis.api.client import ApiError, ApiUnavailable
from podwire.services.chassis.api.watch import Watching
from podwire.services.chassis.bus.base import BusError
from podwire.services.chassis.chance import derive
from podwire.services.chassis.tasks import OrderedTaskGroup

SETTLE: Final = 330.0
"""Seconds: the kubelet's longest back-off of a container that crashes (5 minutes), and what follows from its end."""
_LOOK_EVERY: Final = 2.0
_UNFORESEEN: Final = "nothing-unforeseen"
_FAILURES: Final = (ApiError, ApiUnavailable, Silent, BusError)
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that was broken."""

    invariant: str
    at: float
    what: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one run came to."""

    seed: int
    digest: str
    virtual_seconds: float
    steps: int
    revision: int
    settled_after: float
    calls: Counts
    violation: Violation | None


class _Broken(Exception):
    def __init__(self, violation: Violation) -> None:
        super().__init__(violation.invariant)
        self.violation = violation


class Exploration:
    """One booted cluster, on which one schedule is performed. `tell` gets a line for each step."""

    def __init__(self, cluster: SimulatedCluster, manifests: Path, tell: Tell) -> None:
        self._cluster, self._tell = cluster, tell
        self._scenario = Scenario(cluster, manifests, tell)
        self._history = PodHistory()

    def boot(self) -> None:
        """Boots the cluster and its workload. Raises SimulationFailed."""
        self._cluster.broker.stream.observers.append(self._history.observe)
        self._cluster.run(self._boot())

    async def _boot(self) -> None:
        await self._scenario.boot()
        for resource, body in OBJECTS:
            await self._cluster.api.create(resource, NAMESPACE if resource.namespaced else "", body)
        await self._cluster.until(self._served, 60, "the workload is Ready")
        self._say("the workload is Ready")

    async def _served(self) -> bool:
        deployment = await self._cluster.api.get(resources.DEPLOYMENTS, NAMESPACE, WEB)
        return bool(deployment.get("status", {}).get("availableReplicas") == deployment["spec"]["replicas"])

    def explore(self, seed: int, schedule: Sequence[Action], busy_seconds: float) -> Finding:
        """Performs the schedule while the cluster is busy. From here on everything follows from `seed`."""
        cluster = self._cluster
        cluster.reseed(seed)
        try:
            violation, settled_after, counts = cluster.run(self._explore(seed, schedule, busy_seconds))
        except SimulationFailed as error:
            violation, settled_after, counts = Violation(_UNFORESEEN, self._now(), (str(error),)), 0.0, Counts()
        return Finding(
            seed=seed,
            digest=cluster.digest(),
            virtual_seconds=cluster.loop.now_ns / 1e9,
            steps=cluster.loop.steps,
            revision=cluster.broker.stream.last,
            settled_after=settled_after,
            calls=counts,
            violation=violation,
        )

    async def _explore(
        self, seed: int, schedule: Sequence[Action], busy_seconds: float
    ) -> tuple[Violation | None, float, Counts]:
        subject: Subject | None = None
        try:
            async with OrderedTaskGroup() as tasks:
                subject = await self._surround(seed, tasks)
                await self._be_busy(subject, tasks, schedule, busy_seconds)
                settled_after = await self._settle(subject)
                self._look(subject)
                tasks.cancel_all()
            return None, settled_after, subject.callers.counts
        except _Broken as broken:
            counts = subject.callers.counts if subject else Counts()
            return broken.violation, 0.0, counts

    def _say(self, text: str) -> None:
        self._tell(f"{self._cluster.loop.now_ns / 1e9:8.3f} s  {text}")

    async def _surround(self, seed: int, tasks: OrderedTaskGroup) -> Subject:
        cluster = self._cluster
        callers = Callers(cluster.api, cluster.prober, self._history, derive(seed, "callers"))
        service = await cluster.api.get(resources.SERVICES, NAMESPACE, WEB)
        callers.service = service["spec"]["clusterIP"]
        watcher = Watcher(Watching(cluster.operator, cluster.clock, cluster.api, tasks))
        return Subject(cluster, Churn(cluster.api, derive(seed, "churn")), callers, watcher)

    async def _be_busy(
        self, subject: Subject, tasks: OrderedTaskGroup, schedule: Sequence[Action], seconds: float
    ) -> None:
        over = Performer(self._cluster, self._say).schedule(schedule)
        churn = tasks.start(subject.churn.run(), name="churn")
        for node in subject.nodes:
            tasks.start(subject.callers.run(node), name=f"caller {node}")
        for _ in range(math.ceil(max(seconds, over) / _LOOK_EVERY)):
            await asyncio.sleep(_LOOK_EVERY)
            self._look(subject)
        churn.cancel()

    def _now(self) -> float:
        return self._cluster.loop.time()

    def _look(self, subject: Subject) -> None:
        """What must never happen."""
        seen = {
            "delivered-where-routed": subject.callers.misdelivered,
            "revisions-only-grow": subject.watcher.shrunk,
            _UNFORESEEN: [*self._cluster.errors, *map(str, self._cluster.loop.failures)],
        }
        for invariant, lines in seen.items():
            if lines:
                raise _Broken(Violation(invariant, self._now(), tuple(lines)))

    async def _settle(self, subject: Subject) -> float:
        """Seconds until every invariant holds."""
        began = self._now()
        while True:
            invariant, wrong = await self._first_that_fails(subject)
            if not wrong:
                return self._now() - began
            self._look(subject)
            if self._now() - began > SETTLE:
                raise _Broken(Violation(invariant, self._now(), tuple(wrong)))
            await asyncio.sleep(_LOOK_EVERY)

    async def _first_that_fails(self, subject: Subject) -> tuple[str, list[str]]:
        for name, check in CHECKS.items():
            try:
                wrong = await check(subject)
            except _FAILURES as error:
                wrong = [f"cannot be looked at: {error}"]
            if wrong:
                return name, wrong
        return "", []


def schedule_lines(schedule: Sequence[Action]) -> list[str]:
    """A schedule for people."""
    return [f"{action.at:8.3f} s  {describe(action)}" for action in schedule]
