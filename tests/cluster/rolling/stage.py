"""What a scene is played on: a simulated cluster, or one of real processes."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

from podwire.proto.messages import machine as messages
from podwire.scripts.simulation.cluster import SimulatedProcess
from podwire.services.chassis.api.client import ApiClient
from podwire.services.chassis.bus.base import Bus, Stored
from podwire.services.chassis.clock import Clock

from ..conftest import Booted
from ..operating import ask, execute

Json = dict[str, Any]


class Victim(Protocol):
    """A process that works and may be killed."""

    @property
    def node(self) -> str:
        """The machine that it belongs to ("" for none)."""
        ...

    def pause(self) -> None:
        """SIGSTOP."""
        ...

    def kill(self) -> bool:
        """SIGKILL; whether it still lived."""
        ...


class Stage(Protocol):
    """A cluster as its operator has it."""

    api: ApiClient
    bus: Bus
    clock: Clock

    def machines(self) -> dict[str, str]:
        """The address of each machine, by name."""
        ...

    def log(self) -> Iterable[Stored]:
        """Everything that was ever appended to the event log."""
        ...

    async def until(self, condition: Callable[[], Awaitable[bool]], seconds: float, what: str) -> float:
        """Waits; the seconds it took. Fails if it takes longer."""
        ...

    async def ask(self, node: str, call: messages.Call) -> messages.Answer:
        """What a machine answers to a call."""
        ...

    async def execute(self, pod: Json, command: list[str]) -> tuple[str, int]:
        """The output of a program in a pod, and its exit code."""
        ...

    def victims(self, component: str) -> list[Victim]:
        """The processes of a component that work."""
        ...


class _Simulated:
    """A process of a simulated cluster."""

    def __init__(self, booted: Booted, process: SimulatedProcess) -> None:
        self._cluster, self._process = booted.cluster, process
        self.node = process.plan.node

    def pause(self) -> None:
        self._cluster.pause(self._process)

    def kill(self) -> bool:
        alive = self._process in self._cluster.processes
        if alive:
            self._cluster.kill(self._process)
        return alive


class SimulatedStage:
    """A simulated cluster."""

    def __init__(self, booted: Booted) -> None:
        self._booted, self._cluster = booted, booted.cluster
        self.api, self.bus, self.clock = booted.cluster.api, booted.cluster.operator, booted.cluster.clock

    def machines(self) -> dict[str, str]:
        return {each.name: each.address.partition("/")[0] for each in self._cluster.layout.machines}

    def log(self) -> Iterable[Stored]:
        return list(self._cluster.broker.stream.messages.values())

    async def until(self, condition: Callable[[], Awaitable[bool]], seconds: float, what: str) -> float:
        return await self._cluster.until(condition, seconds, what)

    async def ask(self, node: str, call: messages.Call) -> messages.Answer:
        return await ask(self._booted, node, call)

    async def execute(self, pod: Json, command: list[str]) -> tuple[str, int]:
        return await execute(self._booted, pod, command)

    def victims(self, component: str) -> list[Victim]:
        return [
            _Simulated(self._booted, each)
            for each in self._cluster.processes
            if each.plan.component == component and (each.claimed or component not in ("kube-proxy", "coredns"))
        ]
