"""The processes of a cluster as tasks of a seeded loop: started, killed, paused and restarted as a supervisor would."""

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Never

import structlog

from podwire.proto.packet.addresses import mac_of
from podwire.scripts.chaos.links import BadDirection, faults_of
from podwire.scripts.cluster.addressing import addressing
from podwire.scripts.cluster.components import COMPONENTS, preload
from podwire.scripts.cluster.layout import CONTROL_PLANE, MACHINE, OPERATOR, OUTSIDE, Layout, ProcessPlan, layout
from podwire.scripts.cluster.operator import Operator
from podwire.scripts.cluster.permissions import operator, permissions
from podwire.scripts.simulation.probing import Prober
from podwire.services.chassis.api.client import ApiClient
from podwire.services.chassis.bus.memory import Broker, MemoryBus
from podwire.services.chassis.bus.permissions import Permissions
from podwire.services.chassis.chance import RandomStream, derive, hexadecimal
from podwire.services.chassis.clock import MILLISECOND
from podwire.services.chassis.context import Context, Placement, ProcessEnd
from podwire.services.chassis.disk import MemoryDisk
from podwire.services.chassis.faults import Faults, FaultyBus, SkewedClock
from podwire.services.chassis.health import local_subjects
from podwire.services.chassis.serving import serve
from podwire.services.chassis.settings import load
from podwire.services.chassis.simulation.guard import guarded
from podwire.services.chassis.simulation.loop import EPOCH, SimulatedClock, SimulationLoop, current_process
from podwire.services.chassis.tasks import OrderedTaskGroup

RESTART_AFTER: Final = 0.05
DELAY_NS: Final = MILLISECOND


class SimulationFailed(AssertionError):
    """Something that must not happen did: a task failed unseen, a condition never came true."""


@dataclass(slots=True, eq=False)
class SimulatedProcess:
    """One process: its plan, its connection, its faults, where it is."""

    plan: ProcessPlan
    name: str
    instance: str
    bus: MemoryBus
    faults: Faults
    random: RandomStream
    placement: Placement = field(default_factory=Placement)
    claimed: bool = False
    alive: bool = True
    back_after: float = RESTART_AFTER

    @property
    def node(self) -> str:
        """The machine that it is on ("" while it may be on any)."""
        return self.plan.node or self.placement.node


class SimulatedCluster:
    """A cluster on one loop. Everything that it does follows from the seed."""

    def __init__(
        self, seed: int, workers: int, static_pods: Path, ip_family: str = "ipv4", began_ns: int = EPOCH
    ) -> None:
        preload()
        self.seed = seed
        self.loop = SimulationLoop(seed, began_ns)  # type: ignore[abstract]  # what it does not have raises Forbidden
        self.broker = Broker(derive(seed, "broker"), DELAY_NS)
        key = hexadecimal(derive(seed, "service account key"), 64)
        self.addressing = addressing(ip_family)
        self.layout: Layout = layout(
            workers, str(static_pods), {"service_account_seed": key}, {}, addressing=self.addressing
        )
        self.processes: list[SimulatedProcess] = []
        self.clock = SimulatedClock(self.loop)
        self.bad: list[BadDirection] = []
        self.skews: dict[str, int] = {}
        self.taken_away: dict[str, None] = {}
        self._disks: dict[str, MemoryDisk] = {}
        self._dark: dict[str, list[ProcessPlan]] = {}
        self._macs = {machine.name: mac_of(machine.address) for machine in self.layout.machines}
        self._macs[OUTSIDE] = mac_of(self.addressing.outside[0])
        self._names = derive(seed, "instances")
        self._started = 0
        self._set_users()
        self.operator = self.broker.connect("operator.cli", OPERATOR)
        self.api = ApiClient(self.operator, OPERATOR)
        self.client = Operator(self.operator, self.api, self.clock, derive(seed, "operator"))
        self.prober = Prober(self.operator)
        self.errors: list[str] = []
        """What components logged as errors: none of that is foreseen."""
        structlog.configure(
            processors=[self._record], wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR)
        )

    def reseed(self, seed: int) -> None:
        """What happens from now on follows from another seed: order, delays, and the choices of new processes."""
        self.seed = seed
        self.loop.reseed(seed)
        self.broker.reseed(derive(seed, "broker"))
        self._names = derive(seed, "instances")

    def _set_users(self) -> None:
        for plan in self.layout.processes:
            self.broker.users[plan.user] = Permissions(*permissions(plan, self.layout))
        self.broker.users[OPERATOR] = Permissions(*operator(OPERATOR))

    def _record(self, logger: object, level: str, event: structlog.typing.EventDict) -> Never:
        told = {key: value for key, value in event.items() if key != "exc_info"}
        trace = traceback.format_exc() if event.get("exc_info") else ""
        self.errors.append(f"{current_process.get()}: {told} {trace}".strip())
        raise structlog.DropEvent

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
        random = derive(self.seed, plan.component, plan.node, str(self._started))
        faults = Faults(random, local_subjects(plan.component, instance, plan.node))
        name = f"{plan.place}#{self._started}"
        process = SimulatedProcess(plan, name, instance, bus, faults, random)
        self._set_faults(process)
        self.processes.append(process)
        ran = self.loop.spawn(process.name, self._run(process))
        ran.add_done_callback(lambda _: self._ended(process))  # also of one that was killed before its first step
        return process

    async def _run(self, process: SimulatedProcess) -> None:
        try:
            async with OrderedTaskGroup() as tasks:
                component = COMPONENTS[process.plan.component]
                await serve(self._context(process, tasks), self._settings(process), component.service)
        except ProcessEnd as end:
            structlog.get_logger().info("process ends", process=process.name, reason=str(end))
        except Exception:
            structlog.get_logger().exception("the service failed", process=process.name)

    def _context(self, process: SimulatedProcess, tasks: OrderedTaskGroup) -> Context:
        return Context(
            component=process.plan.component,
            instance=process.instance,
            node=process.plan.node,
            bus=FaultyBus(process.bus, process.faults),
            clock=SkewedClock(self.clock, process.faults),
            random=process.random,
            tasks=tasks,
            log=structlog.get_logger(),
            faults=process.faults,
            on_claim=lambda: self._claimed(process),
            disk=self._disk(process.plan),
            placement=process.placement,
        )

    def _disk(self, plan: ProcessPlan) -> MemoryDisk:
        """A machine's is there for as long as the cluster."""
        return self._disks.setdefault(plan.node, MemoryDisk()) if plan.component == MACHINE else MemoryDisk()

    def _settings(self, process: SimulatedProcess) -> Any:
        plan = process.plan
        given = {"instance": process.instance, "node": plan.node, **plan.settings}
        return load(COMPONENTS[plan.component].settings, given, {})

    def _claimed(self, process: SimulatedProcess) -> None:
        process.claimed = True
        self._set_faults(process)
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
            self._later(process.back_after, process.plan)

    def _later(self, delay: float, plan: ProcessPlan) -> None:
        self.loop.call_later(delay, self._start_if_lit, plan)

    def _start_if_lit(self, plan: ProcessPlan) -> None:
        """A process of a machine without power waits for it."""
        if plan.node in self._dark:
            self._dark[plan.node].append(plan)
        else:
            self.start(plan)

    # -- breaking things

    def find(self, place: str) -> SimulatedProcess:
        """The process of a component, or `component@node`. Raises SimulationFailed."""
        found = [entry for entry in self.processes if place in (entry.plan.place, entry.plan.component)]
        if len(found) != 1:
            raise SimulationFailed(f"{place}: {len(found)} such processes")
        return found[0]

    def kill(self, process: SimulatedProcess, back_after: float = RESTART_AFTER) -> None:
        """kill -9: nothing that it does from now on leaves it. A new one is there `back_after` seconds later."""
        process.back_after = back_after
        process.bus.cut()
        self.loop.kill(process.name)

    def pause(self, process: SimulatedProcess) -> None:
        """SIGSTOP."""
        self.loop.pause(process.name)

    def resume(self, process: SimulatedProcess) -> None:
        """SIGCONT."""
        self.loop.resume(process.name)

    def power_off(self, node: str) -> None:
        """Everything on the machine is gone, and stays so until `power_on`. Idempotent."""
        if node in self._dark:
            return
        self._dark[node] = []
        for process in [entry for entry in self.processes if entry.node == node]:
            self.kill(process)

    def take_away(self, node: str) -> None:
        """The machine loses its power and never gets it back."""
        self.power_off(node)
        self.taken_away[node] = None

    def power_on(self, node: str) -> None:
        """The machine boots: a new boot id, an empty kernel. Idempotent."""
        if node in self.taken_away:
            return
        for plan in self._dark.pop(node, ()):
            self.start(plan)

    def set_links(self, bad: list[BadDirection]) -> None:
        """The links between machines that are bad from now on; all others are whole."""
        self.bad = bad
        self._set_all_faults()

    def set_skew(self, node: str, nanoseconds: int) -> None:
        """By how much a machine's wall clock is wrong from now on."""
        self.skews[node] = nanoseconds
        self._set_all_faults()

    def _set_all_faults(self) -> None:
        for process in self.processes:
            self._set_faults(process)

    def _set_faults(self, process: SimulatedProcess) -> None:
        component, node = process.plan.component, process.node
        skew = self.skews.get(node, 0)
        process.faults.set(faults_of(component, node, CONTROL_PLANE, self.bad, self._macs, skew))

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
