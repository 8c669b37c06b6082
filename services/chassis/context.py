"""What a process hands to its service: bus, clock, chance, tasks, log, faults."""

from dataclasses import dataclass

from podwire.services.chassis.bus.base import Bus
from podwire.services.chassis.chance import RandomStream
from podwire.services.chassis.clock import Clock
from podwire.services.chassis.logs import Logger
from podwire.services.chassis.tasks import OrderedTaskGroup


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
