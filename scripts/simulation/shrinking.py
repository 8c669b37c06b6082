"""The shortest schedule that still breaks the same invariant: delta debugging (Zeller, Hildebrandt: "Simplifying and
Isolating Failure-Inducing Input", 2002), then shorter actions."""

from collections.abc import Callable, Iterator, Sequence

import msgspec

from podwire.scripts.chaos.actions import Action, CrashLoop, Decommission, Kill

type Breaks = Callable[[Sequence[Action]], bool]


def shrink(schedule: Sequence[Action], breaks: Breaks) -> list[Action]:
    """A schedule of which nothing can be left out or halved without `breaks` becoming false."""
    shortest = _fewest(list(schedule), breaks)
    return _mildest(shortest, breaks)


def _fewest(schedule: list[Action], breaks: Breaks) -> list[Action]:
    pieces = 2
    while len(schedule) > 1:
        for rest in _without_a_piece(schedule, pieces):
            if breaks(rest):
                schedule, pieces = rest, max(pieces - 1, 2)
                break
        else:
            if pieces >= len(schedule):
                break
            pieces = min(2 * pieces, len(schedule))
    return [] if schedule and breaks([]) else schedule


def _without_a_piece(schedule: list[Action], pieces: int) -> Iterator[list[Action]]:
    size = -(-len(schedule) // pieces)
    for start in range(0, len(schedule), size):
        yield schedule[:start] + schedule[start + size :]


def _mildest(schedule: list[Action], breaks: Breaks) -> list[Action]:
    """Each action as short as it may be."""
    for index in range(len(schedule)):
        while (milder := _halved(schedule[index])) is not None:
            attempt = [*schedule[:index], milder, *schedule[index + 1 :]]
            if not breaks(attempt):
                break
            schedule = attempt
    return schedule


_SHORTEST = 0.2


def _halved(action: Action) -> Action | None:
    match action:
        case Kill(back_after=seconds) if seconds > _SHORTEST:
            return msgspec.structs.replace(action, back_after=round(seconds / 2, 3))
        case CrashLoop(times=times) if times > 1:
            return msgspec.structs.replace(action, times=times - 1)
        case Kill() | CrashLoop() | Decommission():
            return None
        case _ if action.seconds > _SHORTEST:
            return msgspec.structs.replace(action, seconds=round(action.seconds / 2, 3))
        case _:
            return None
