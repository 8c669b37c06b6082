"""The processes of a cluster as tasks of a seeded loop: started, killed, paused and restarted as a supervisor would."""

import asyncio
import io
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog

from podwire.scripts.cluster.addressing import addressing
from podwire.scripts.cluster.components import COMPONENTS, serve
from podwire.scripts.cluster.layout import OPERATOR, Layout, ProcessPlan, layout
from podwire.scripts.cluster.permissions import operator, permissions
from podwire.services.chassis import logs
from podwire.services.chassis.api.client import ApiClient
from podwire.services.chassis.bus.memory import Broker, MemoryBus
from podwire.services.chassis.bus.permissions import Permissions
from podwire.services.chassis.chance import RandomStream, derive, hexadecimal
from podwire.services.chassis.clock import MILLISECOND
from podwire.services.chassis.context import Context
from podwire.services.chassis.faults import Faults, FaultyBus
from podwire.services.chassis.health import local_subjects
from podwire.services.chassis.settings import load
from podwire.services.chassis.simulation.guard import guarded
from podwire.services.chassis.simulation.loop import SimulatedClock, SimulationLoop
from podwire.services.chassis.tasks import OrderedTaskGroup

RESTART_AFTER: Final = 0.05
DELAY_NS: Final = MILLISECOND


class SimulationFailed(AssertionError):
    """Something that must not happen did: a task failed unseen, a condition never came true."""


@dataclass(slots=True, eq=False)
class SimulatedProcess:
    """One process: its plan, its connection, whether it serves a container."""

    plan: ProcessPlan
    name: str
    instance: str
    bus: MemoryBus
    claimed: bool = False
    alive: bool = True


class SimulatedCluster:
    """A cluster on one loop. Everything that it does follows from the seed."""

    def __init__(self, seed: int, workers: int, static_pods: Path, ip_family: str = "ipv4") -> None:
        self.seed = seed
        self.loop = SimulationLoop(seed)  # type: ignore[abstract]  # what it does not have raises Forbidden
        self.broker = Broker(derive(seed, "broker"), DELAY_NS)
        key = hexadecimal(derive(seed, "service account key"), 64)
        self.addressing = addressing(ip_family)
        self.layout: Layout = layout(
            workers, str(static_pods), {"service_account_seed": key}, {}, addressing=self.addressing
        )
        self.processes: list[SimulatedProcess] = []
        self.clock = SimulatedClock(self.loop)
        self._names = derive(seed, "instances")
        self._started = 0
        self._set_users()
        self.operator = self.broker.connect("operator.cli", OPERATOR)
        self.api = ApiClient(self.operator, OPERATOR)
        logs.configure("critical", "simulation", "", io.StringIO())

    def _set_users(self) -> None:
        for plan in self.layout.processes:
            self.broker.users[plan.user] = Permissions(*permissions(plan, self.layout))
        self.broker.users[OPERATOR] = Permissions(*operator(OPERATOR))

    # -- processes

    def start_all(self) -> None:
        """Starts every process of the plan."""
        for plan in self.layout.processes:
            self.start(plan)

    def start(self, plan: ProcessPlan) -> SimulatedProcess:
        """Starts one process."""
        self._started += 1
        instance = hexadecimal(self._names, 8)
        bus = self.broker.connect(f"{plan.component}.{instance}", plan.user)
        process = SimulatedProcess(plan, f"{plan.place}#{self._started}", instance, bus)
        self.processes.append(process)
        random = derive(self.seed, plan.component, plan.node, str(self._started))
        self.loop.spawn(process.name, self._run(process, random))
        return process

    async def _run(self, process: SimulatedProcess, random: RandomStream) -> None:
        try:
            async with OrderedTaskGroup() as tasks:
                await serve(process.plan.component, self._context(process, random, tasks), self._settings(process))
        except Exception as error:
            self._note(process, error)
        finally:
            self._ended(process)

    def _note(self, process: SimulatedProcess, error: Exception) -> None:
        structlog.get_logger().info("process ended", process=process.name, reason=str(error))

    def _context(self, process: SimulatedProcess, random: RandomStream, tasks: OrderedTaskGroup) -> Context:
        plan = process.plan
        faults = Faults(random, local_subjects(plan.component, process.instance, plan.node))
        return Context(
            component=plan.component,
            instance=process.instance,
            node=plan.node,
            bus=FaultyBus(process.bus, faults),
            clock=self.clock,
            random=random,
            tasks=tasks,
            log=structlog.get_logger(),
            faults=faults,
            on_claim=lambda: self._claimed(process),
        )

    def _settings(self, process: SimulatedProcess) -> Any:
        plan = process.plan
        given = {"instance": process.instance, "node": plan.node, **plan.settings}
        return load(COMPONENTS[plan.component].settings, given, {})

    def _claimed(self, process: SimulatedProcess) -> None:
        process.claimed = True
        if process.plan.spare:
            self._later(0.0, process.plan)

    def _ended(self, process: SimulatedProcess) -> None:
        if not process.alive:
            return
        process.alive = False
        process.bus.cut()
        self.processes.remove(process)
        others = [entry for entry in self.processes if entry.plan is process.plan and not entry.claimed]
        if not (process.plan.spare and others):
            self._later(RESTART_AFTER, process.plan)

    def _later(self, delay: float, plan: ProcessPlan) -> None:
        self.loop.call_later(delay, self.start, plan)

    # -- breaking things

    def find(self, place: str) -> SimulatedProcess:
        """The process of a component, or `component@node`. Raises SimulationFailed."""
        found = [entry for entry in self.processes if place in (entry.plan.place, entry.plan.component)]
        if len(found) != 1:
            raise SimulationFailed(f"{place}: {len(found)} such processes")
        return found[0]

    def kill(self, process: SimulatedProcess) -> None:
        """kill -9: nothing that it does from now on leaves it."""
        process.bus.cut()
        self.loop.kill(process.name)

    def pause(self, process: SimulatedProcess) -> None:
        """SIGSTOP."""
        self.loop.pause(process.name)

    def resume(self, process: SimulatedProcess) -> None:
        """SIGCONT."""
        self.loop.resume(process.name)

    # -- running

    def run[T](self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine as the operator, in virtual time. Raises SimulationFailed for failures nobody saw."""
        with guarded():
            result = self.loop.run_until_complete(self.loop.spawn("operator", work))
        if self.loop.failures:
            first = self.loop.failures[0]
            raise SimulationFailed(f"{first.get('message')}: {first.get('exception')!r}")
        return result

    async def until(self, condition: Callable[[], Awaitable[bool]], seconds: float, what: str) -> float:
        """Waits in virtual time; the seconds it took. Raises SimulationFailed."""
        began = self.loop.now_ns
        while not await condition():
            if self.loop.now_ns - began > seconds * 1_000_000_000:
                raise SimulationFailed(f"not within {seconds:g} s: {what}")
            await asyncio.sleep(0.05)
        return (self.loop.now_ns - began) / 1_000_000_000

    def close(self) -> None:
        """Ends every process without a word."""
        self.broker.down = True
        for process in list(self.processes):
            process.alive = False
            self.loop.kill(process.name)
        self.loop.kill("operator")
        self.loop.run_until_complete(self.loop.spawn("end", asyncio.sleep(0.001)))
        self.loop.close()

    def digest(self) -> str:
        """The hash of everything that was ever appended to the event log."""
        return self.broker.stream.history.hexdigest()
