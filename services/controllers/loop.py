"""One controller's loop: changed objects mark work, work is decided on current state, decisions are carried out.

Work is decided again only once the own watches show what was written before, so that a view that lags never makes a
controller act twice (upstream's expectations).
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from podwire.proto.kube.resources import Resource
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.api.watch import Watch
from podwire.services.chassis.chance import RandomBits
from podwire.services.chassis.clock import SECOND
from podwire.services.chassis.context import Context
from podwire.services.controllers.core.cluster import Cluster
from podwire.services.controllers.core.writes import Json, Plan
from podwire.services.controllers.hand import Hand

type Decide = Callable[[ObjectKey, Cluster, int, RandomBits], Plan]
type Route = Callable[[ObjectKey, Cluster], list[ObjectKey]]

WHOLE: Final = ObjectKey("", "", "", "")
"""The only piece of work of a controller that decides about everything at once."""
_REFUSED: Final = SECOND // 2
_LAG: Final = 5.0


@dataclass(frozen=True, slots=True)
class Controller:
    """A name, a decision, and which work a change of which resource means."""

    name: str
    decide: Decide
    routes: Mapping[Resource, Route]
    everything: Callable[[Cluster], list[ObjectKey]]


class Loop:
    """Runs one controller."""

    def __init__(
        self,
        context: Context,
        controller: Controller,
        cluster: Cluster,
        watches: Mapping[Resource, Watch[Json]],
        hand: Hand,
    ) -> None:
        self._context, self._controller, self._cluster = context, controller, cluster
        self._watches, self._hand = watches, hand
        self._due: dict[ObjectKey, None] = {}
        self._later: dict[ObjectKey, int] = {}
        self._written: dict[ObjectKey, dict[Resource, int]] = {}
        self._woken = asyncio.Event()
        self._lagging = False
        self.carried_out = 0

    def on_change(self, resource: Resource, key: ObjectKey | None) -> None:
        """Marks the work that a change means (key None: everything)."""
        route = self._controller.routes.get(resource)
        if route is not None:
            work = self._controller.everything(self._cluster) if key is None else route(key, self._cluster)
            self._due.update(dict.fromkeys(work))
        if self._due or self._lagging:
            self._woken.set()

    async def run(self) -> None:
        """Works until cancelled."""
        while True:
            await self._until_synced()
            for key in await self._next_work():
                await self._until_synced()
                await self._until_seen(key)
                await self._work(key)

    async def _until_synced(self) -> None:
        for resource in self._controller.routes:
            await self._watches[resource].synced.wait()

    async def _next_work(self) -> list[ObjectKey]:
        while True:
            now = self._context.clock.now_ns()
            for key in [key for key, moment in self._later.items() if moment <= now]:
                del self._later[key]
                self._due[key] = None
            if self._due:
                work = sorted(self._due)
                self._due.clear()
                return work
            await self._sleep(min(self._later.values(), default=0), now)

    async def _sleep(self, until: int, now: int) -> None:
        self._woken.clear()
        try:
            await asyncio.wait_for(self._woken.wait(), (until - now) / SECOND if until else None)
        except TimeoutError:
            pass

    async def _until_seen(self, key: ObjectKey) -> None:
        """Waits until the watches show what was written for this work; gives up after a while (a new log)."""
        wanted = self._written.pop(key, {})
        watched = {self._watches[resource]: number for resource, number in wanted.items() if resource in self._watches}
        if not _lag_behind(watched):
            return
        self._lagging = True
        try:
            async with asyncio.timeout(_LAG):
                while _lag_behind(watched):
                    self._woken.clear()
                    await self._woken.wait()
        except TimeoutError:
            self._context.log.warning("the watches lag behind", controller=self._controller.name)
        finally:
            self._lagging = False

    async def _work(self, key: ObjectKey) -> None:
        self._due.pop(key, None)
        now = self._context.clock.now_ns()
        plan = self._controller.decide(key, self._cluster, now, self._context.random)
        self._later.pop(key, None)
        if plan.look_again:
            self._later[key] = plan.look_again
        if not plan.writes:
            return
        self.carried_out += len(plan.writes)
        written, refused = await self._hand.carry_out(plan.writes)
        self._written[key] = written
        if refused:
            again = self._context.clock.now_ns() + _REFUSED
            self._later[key] = min(self._later.get(key, again), again)


def _lag_behind(watched: Mapping[Watch[Json], int]) -> bool:
    return any(watch.revision < revision for watch, revision in watched.items())
