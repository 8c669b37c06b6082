"""What a process hands to its service: bus, clock, chance, tasks, log, faults."""

from collections.abc import Callable
from dataclasses import dataclass, field

from podwire.services.chassis.bus.base import Bus
from podwire.services.chassis.chance import RandomStream
from podwire.services.chassis.clock import Clock
from podwire.services.chassis.faults import Faults
from podwire.services.chassis.logs import Logger
from podwire.services.chassis.tasks import OrderedTaskGroup


def _nobody_listens(node: str) -> None:
    """Nobody waits for claims."""


class ForeignMessages:
    """Messages that were not what their subject carries: dropped, counted, told by the process's health."""

    def __init__(self) -> None:
        self.dropped = 0

    def drop(self, log: Logger, subject: str, reason: str) -> None:
        """Counts one, and says why."""
        self.dropped += 1
        log.warning("a foreign message was dropped", subject=subject, reason=reason)


class Placement:
    """The machine that a process is on: its own, or that of the container which it serves ("" for none yet)."""

    def __init__(self, node: str) -> None:
        self.node = node


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
    on_claim: Callable[[str], None] = _nobody_listens
    """Told the machine's name when the process has taken a container, so that the supervisor can keep another idle one
    waiting."""
    foreign: ForeignMessages = field(default_factory=ForeignMessages)
    placement: Placement = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "placement", Placement(self.node))
