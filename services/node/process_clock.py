"""The clock that a container's programs read: the machine's, unless somebody shifts theirs."""

from dataclasses import dataclass, field

from podwire.services.chassis.clock import Clock


@dataclass(slots=True)
class Shift:
    """What was done to the programs of a container: by how much (ns), and when (monotonic)."""

    offset: int = 0
    since: int = 0


@dataclass(frozen=True, slots=True)
class ProcessClock:
    """One program's wall clock. A shift meets the programs that run when it is made and what they fork; a program that
    is executed later has its own image, and so a right clock (chaos-mesh rewrites the vDSO of running processes)."""

    machine: Clock
    shift: Shift = field(default_factory=Shift)
    executed_at: int = 0

    def now_ns(self) -> int:
        """Wall time as the program sees it."""
        shifted = self.shift.since >= self.executed_at
        return self.machine.now_ns() + (self.shift.offset if shifted else 0)

    def monotonic_ns(self) -> int:
        """The machine's."""
        return self.machine.monotonic_ns()


def executed(clock: Clock) -> Clock:
    """The clock of a program that is executed now by one that has `clock`."""
    if not isinstance(clock, ProcessClock):
        return clock
    return ProcessClock(clock.machine, clock.shift, clock.monotonic_ns())


def clock_of_machine(clock: Clock) -> Clock:
    """The clock behind a program's."""
    return clock.machine if isinstance(clock, ProcessClock) else clock
