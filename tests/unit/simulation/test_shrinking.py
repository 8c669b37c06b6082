"""The shortest schedule that still breaks something."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podwire.scripts.chaos.actions import Action, CrashLoop, Kill, Pause
from podwire.scripts.simulation.shrinking import shrink

TARGETS = ("apiserver", "scheduler", "recorder", "outside")


def kills(*targets: str) -> list[Action]:
    return [Kill(at=float(number), target=target, back_after=0.1) for number, target in enumerate(targets)]


@given(st.lists(st.sampled_from(TARGETS), max_size=12), st.sets(st.sampled_from(TARGETS), min_size=1))
def test_what_is_not_to_blame_is_left_out(targets: list[str], guilty: set[str]) -> None:
    def breaks(schedule: Sequence[Action]) -> bool:
        return guilty <= {action.target for action in schedule if isinstance(action, Kill)}

    if not breaks(kills(*targets)):
        return
    found = shrink(kills(*targets), breaks)
    assert sorted(action.target for action in found if isinstance(action, Kill)) == sorted(guilty)


def test_a_schedule_that_is_not_to_blame_at_all_shrinks_to_none() -> None:
    assert shrink(kills("apiserver", "outside"), lambda schedule: True) == []


@pytest.mark.parametrize(
    ("action", "breaks", "shortest"),
    [
        (Pause(at=1, target="apiserver", seconds=40), lambda action: action.seconds >= 9, 10),
        (Kill(at=1, target="apiserver", back_after=8), lambda action: action.back_after > 3, 4),
        (CrashLoop(at=1, target="apiserver", times=5, every=1), lambda action: action.times >= 3, 3),
    ],
)
def test_actions_become_as_short_as_they_may_be(action: Action, breaks: object, shortest: float) -> None:
    [found] = shrink([action], lambda schedule: bool(schedule) and all(map(breaks, schedule)))  # type: ignore[call-overload]  # a predicate of the row's own type
    told = {"Pause": "seconds", "Kill": "back_after", "CrashLoop": "times"}
    assert getattr(found, told[type(found).__name__]) == shortest
