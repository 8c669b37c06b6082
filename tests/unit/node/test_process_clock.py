"""Whose clock a shift meets."""

from dataclasses import dataclass

from podwire.services.node.process_clock import ProcessClock, Shift, clock_of_machine, executed


@dataclass
class _Machine:
    now: int = 1000

    def now_ns(self) -> int:
        return 1_000_000 + self.now

    def monotonic_ns(self) -> int:
        return self.now


def test_a_shift_meets_what_runs_and_not_what_is_executed_later() -> None:
    machine, shift = _Machine(), Shift()
    main = executed(ProcessClock(machine, shift))
    assert main.now_ns() == 1_001_000
    machine.now = 2000
    shift.offset, shift.since = -500, machine.now
    assert (main.now_ns(), main.monotonic_ns()) == (1_001_500, 2000)
    machine.now = 3000
    later = executed(main)
    assert (main.now_ns(), later.now_ns()) == (1_002_500, 1_003_000)
    shift.offset, shift.since = 70, machine.now
    assert main.now_ns() == later.now_ns() == 1_003_070
    shift.offset = 0
    assert main.now_ns() == 1_003_000


def test_a_clock_of_nobody_in_particular_stays_what_it_is() -> None:
    machine = _Machine()
    assert executed(machine) is machine
    assert clock_of_machine(machine) is machine
    assert clock_of_machine(ProcessClock(machine)) is machine
