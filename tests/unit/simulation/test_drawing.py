"""Schedules that follow from a seed."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from podwire.scripts.chaos.actions import Action, Decommission, describe, ends
from podwire.scripts.simulation.draw import KINDS, draw
from podwire.services.chassis.chance import derive

MACHINES = ("control-plane", "node-1", "node-2")


@given(st.integers(0, 10**9), st.floats(2, 3600), st.lists(st.sampled_from(KINDS), unique=True))
def test_each_fault_has_ended_in_time_and_can_be_told_and_stored(seed: int, seconds: float, kinds: list[str]) -> None:
    schedule = draw(derive(seed, "faults"), seconds, MACHINES, kinds)
    assert all(ends(action) <= seconds + 0.002 for action in schedule)
    assert [action.at for action in schedule] == sorted(action.at for action in schedule)
    assert sum(isinstance(action, Decommission) for action in schedule) <= 1
    assert all(describe(action) for action in schedule)
    assert msgspec.json.decode(msgspec.json.encode(schedule), type=list[Action]) == schedule
    assert schedule == draw(derive(seed, "faults"), seconds, MACHINES, kinds)


def test_every_kind_is_drawn() -> None:
    kinds = {type(action).__name__ for action in draw(derive(1, "faults"), 36_000, MACHINES)}
    assert len(kinds) == len(KINDS) - 1, "partitions and bad links are both links"
