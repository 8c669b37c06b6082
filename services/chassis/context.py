"""What a process hands to its service: bus, clock, chance, tasks, log, faults."""

from collections.abc import Callable
from dataclasses import dataclass, field

from podwire.services.chassis.bus.base import Bus
from podwire.services.chassis.chance import RandomStream
from podwire.services.chassis.clock import Clock
from podwire.services.chassis.disk import Disk, MemoryDisk
from podwire.services.chassis.faults import Faults
from podwire.services.chassis.logs import Logger
from podwire.services.chassis.tasks import OrderedTaskGroup


def _nobody_listens() -> None:
    """Nobody waits for claims."""


class ForeignMessages:
    """Messages that were not what their subject carries: dropped, counted, told by the process's health."""

    def __init__(self) -> None:
        self.dropped = 0

    def drop(self, log: Logger, subject: str, reason: str) -> None:
        """Counts one, and says why."""
        self.dropped += 1
        log.warning("a foreign message was dropped", subject=subject, reason=reason)


@dataclass(slots=True)
class Placement:
    """The machine of the container that a process serves ("" for none yet)."""

    node: str = ""


class ProcessEnd(Exception):
    """A service's wish that its process exits, e.g. because it was fenced ("gone")."""


@dataclass(frozen=True, slots=True)
class Context:
    """One process's surroundings. `instance` is unique for ever: a restarted process has another."""

    component: str
    instance: str
    node: str
    bus: Bus
    clock: Clock
    random: RandomStream
    tasks: OrderedTaskGroup
    log: Logger
    faults: Faults
    on_claim: Callable[[], None] = _nobody_listens
    """Told when the process has taken a container, so that the supervisor can keep another idle one waiting."""
    disk: Disk = field(default_factory=MemoryDisk)
    """What the process keeps for the one that comes after it."""
    foreign: ForeignMessages = field(default_factory=ForeignMessages)
    placement: Placement = field(default_factory=Placement)

    @property
    def machine(self) -> str:
        """Where the process runs: on its own node, or on that of the container that it serves."""
        return self.node or self.placement.node
