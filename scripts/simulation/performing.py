"""Does a schedule's actions to a simulated cluster, each at its time, and undoes them."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import count
from typing import Final

from podwire.proto.kube import resources
from podwire.proto.messages.process import Impairment
from podwire.scripts.chaos.actions import (
    Action,
    BadLink,
    CrashLoop,
    Decommission,
    FillStore,
    Kill,
    Pause,
    PowerOff,
    SkewClock,
    StopBus,
    describe,
    ends,
)
from podwire.scripts.chaos.links import BadDirection
from podwire.scripts.simulation.cluster import SimulatedCluster, SimulatedProcess
from podwire.services.chassis.api.client import ApiError, ApiUnavailable
from podwire.services.chassis.clock import SECOND

_AT_ONCE: Final = 0.05


class Performer:
    """Carries out actions on one cluster; several may be in force at a time."""

    def __init__(self, cluster: SimulatedCluster, tell: Callable[[str], None]) -> None:
        self._cluster, self._tell = cluster, tell
        self._links: dict[int, list[BadDirection]] = {}
        self._numbers = count()
        self._without_bus = self._without_room = 0
        self._going: asyncio.Task[None] | None = None

    def schedule(self, actions: Sequence[Action]) -> float:
        """Sets a timer for everything that is to be done; how many seconds from now all of it is over."""
        for action in actions:
            self._at(action.at, lambda action=action: self._begin(action))  # type: ignore[misc]  # mypy cannot type a lambda's default
        return max((ends(action) for action in actions), default=0.0)

    def _at(self, seconds: float, act: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(seconds, act)

    def _begin(self, action: Action) -> None:
        self._tell(describe(action))
        match action:
            case Kill():
                self._kill(action.target, action.back_after)
            case CrashLoop():
                for turn in range(action.times):
                    self._at(turn * action.every, lambda: self._kill(action.target, _AT_ONCE))
            case Pause():
                self._pause(action)
            case PowerOff():
                self._cluster.power_off(action.node)
                self._at(action.seconds, lambda: self._cluster.power_on(action.node))
            case Decommission():
                self._cluster.take_away(action.node)
                self._going = asyncio.get_running_loop().create_task(self._delete_node(action.node))
            case BadLink():
                self._spoil(action)
            case StopBus():
                self._stop_bus(action.seconds)
            case FillStore():
                self._fill_store(action.seconds)
            case SkewClock():
                self._cluster.set_skew(action.node, round(action.skew * SECOND))
                self._at(action.seconds, lambda: self._cluster.set_skew(action.node, 0))

    async def _delete_node(self, node: str) -> None:
        while True:
            try:
                await self._cluster.api.delete(resources.NODES, "", node)
            except ApiError as error:
                if error.code == 404:
                    return
            except ApiUnavailable:
                pass
            else:
                return
            await asyncio.sleep(_AT_ONCE)

    def _find(self, target: str) -> SimulatedProcess | None:
        """The process that the target names at this moment, if there is one."""
        component, slash, index = target.partition("/")
        processes = [entry for entry in self._cluster.processes if entry.alive]
        if slash:
            found = [entry for entry in processes if entry.plan.component == component and entry.claimed]
            return found[int(index)] if int(index) < len(found) else None
        return next((entry for entry in processes if target in (entry.plan.place, entry.plan.component)), None)

    def _kill(self, target: str, back_after: float) -> None:
        if (process := self._find(target)) is not None:
            self._cluster.kill(process, back_after)

    def _pause(self, action: Pause) -> None:
        if (process := self._find(action.target)) is not None:
            self._cluster.pause(process)
            self._at(action.seconds, lambda: self._cluster.resume(process))

    def _spoil(self, action: BadLink) -> None:
        number = next(self._numbers)
        self._links[number] = _directions(action.source, action.target, action.both, action.impairment)
        self._tell_links()

        def mend() -> None:
            del self._links[number]
            self._tell_links()

        self._at(action.seconds, mend)

    def _tell_links(self) -> None:
        self._cluster.set_links([entry for links in self._links.values() for entry in links])

    def _stop_bus(self, seconds: float) -> None:
        self._without_bus += 1
        if self._without_bus == 1:
            self._cluster.broker.kill()

        def restart() -> None:
            self._without_bus -= 1
            if not self._without_bus:
                self._cluster.broker.restart()

        self._at(seconds, restart)

    def _fill_store(self, seconds: float) -> None:
        self._without_room += 1
        self._cluster.broker.stream.full = True

        def make_room() -> None:
            self._without_room -= 1
            self._cluster.broker.stream.full = self._without_room > 0

        self._at(seconds, make_room)


def _directions(source: str, target: str, both: bool, impairment: Impairment) -> list[BadDirection]:
    there = BadDirection(source, target, impairment)
    return [there, BadDirection(target, source, impairment)] if both else [there]
