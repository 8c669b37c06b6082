"""Which faults a seed brings: a schedule, drawn once, before the cluster runs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from podwire.proto.messages.process import Impairment
from podwire.scripts.chaos.actions import (
    Action,
    BadLink,
    CrashLoop,
    Decommission,
    FillStore,
    Kill,
    Pause,
    PowerOff,
    SkewClock,
    StopBus,
)
from podwire.services.chassis.chance import RandomBits, below, choose
from podwire.services.chassis.clock import MILLISECOND

KINDS: Final = (
    "kill",
    "crash-loop",
    "pause",
    "power-off",
    "decommission",
    "partition",
    "bad-link",
    "bus",
    "full-store",
    "skew",
)
_MEAN_PAUSE: Final = 25.0
"""Seconds between one fault and the next."""
_SINGLE: Final = (
    "apiserver",
    "controllers",
    "scheduler",
    "recorder",
    "cloud-provider",
    "chaos",
    "outside",
    "coredns/0",
    "coredns/1",
)
_AGENTS: Final = ("kubelet", "flannel", "kube-proxy")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What faults may be drawn for: the machines' names, the control plane's first."""

    machines: Sequence[str]

    @property
    def targets(self) -> list[str]:
        """All processes but the machines' own."""
        return [*_SINGLE, *(f"{agent}@{node}" for agent in _AGENTS for node in self.machines)]


def draw(random: RandomBits, seconds: float, machines: Sequence[str], kinds: Sequence[str] = KINDS) -> list[Action]:
    """Faults for the first `seconds`, in the order of their beginning; each has ended by then.
    One machine is taken away at most."""
    surroundings = Surroundings(machines)
    schedule: list[Action] = []
    at = _fraction(random) * _MEAN_PAUSE
    while kinds and at < seconds - 1:
        kind = choose(random, kinds)
        schedule.append(_DRAW[kind](random, _thousandths(at), seconds - at, surroundings))
        if kind == "decommission":
            kinds = [each for each in kinds if each != kind]
        at += 2 * _fraction(random) * _MEAN_PAUSE
    return schedule


def _fraction(random: RandomBits) -> float:
    return below(random, 1000) / 1000


def _thousandths(seconds: float) -> float:
    return round(seconds, 3)


def _length(random: RandomBits, least: float, most: float, room: float) -> float:
    """Seconds, short ones more often than long ones, within the room that there is."""
    drawn = least * (most / least) ** _fraction(random)
    return _thousandths(min(drawn, room))


def _kill(random: RandomBits, at: float, room: float, around: Surroundings) -> Action:
    back_after = 0.05 if below(random, 2) else _length(random, 0.05, 30, room)
    return Kill(at=at, target=choose(random, around.targets), back_after=back_after)


def _crash_loop(random: RandomBits, at: float, room: float, around: Surroundings) -> Action:
    every = _length(random, 0.05, 5, room)
    times = min(2 + below(random, 3), max(1, int(room / every)))
    return CrashLoop(at=at, target=choose(random, around.targets), times=times, every=every)


def _pause(random: RandomBits, at: float, room: float, around: Surroundings) -> Action:
    return Pause(at=at, target=choose(random, around.targets), seconds=_length(random, 0.1, 60, room))


def _power_off(random: RandomBits, at: float, room: float, around: Surroundings) -> Action:
    return PowerOff(at=at, node=choose(random, around.machines), seconds=_length(random, 0.1, 120, room))


def _decommission(random: RandomBits, at: float, room: float, around: Surroundings) -> Action:
    return Decommission(at=at, node=choose(random, around.machines[1:]))


def _pair(random: RandomBits, around: Surroundings) -> tuple[str, str]:
    source = choose(random, around.machines)
    return source, choose(random, [machine for machine in around.machines if machine != source])


def _partition(random: RandomBits, at: float, room: float, around: Surroundings) -> Action:
    source, target = _pair(random, around)
    return BadLink(
        at=at,
        source=source,
        target=target,
        both=bool(below(random, 2)),
        impairment=Impairment(loss=1),
        seconds=_length(random, 0.5, 120, room),
    )


def _bad_link(random: RandomBits, at: float, room: float, around: Surroundings) -> Action:
    source, target = _pair(random, around)
    delay = below(random, 200) * MILLISECOND
    impairment = Impairment(
        delay=delay,
        jitter=below(random, delay + 1),
        loss=below(random, 30) / 100,
        duplicate=below(random, 10) / 100,
        reorder=below(random, 10) / 100,
        corrupt=below(random, 10) / 100,
    )
    seconds = _length(random, 1, 60, room)
    return BadLink(at=at, source=source, target=target, both=True, impairment=impairment, seconds=seconds)


def _bus(random: RandomBits, at: float, room: float, around: Surroundings) -> Action:
    return StopBus(at=at, seconds=_length(random, 0.05, 20, room))


def _full_store(random: RandomBits, at: float, room: float, around: Surroundings) -> Action:
    return FillStore(at=at, seconds=_length(random, 0.5, 30, room))


def _skew(random: RandomBits, at: float, room: float, around: Surroundings) -> Action:
    skew = (below(random, 1201) - 600) / 10
    return SkewClock(at=at, node=choose(random, around.machines), skew=skew, seconds=_length(random, 1, 120, room))


_DRAW: Final[dict[str, Callable[[RandomBits, float, float, Surroundings], Action]]] = {
    "kill": _kill,
    "crash-loop": _crash_loop,
    "pause": _pause,
    "power-off": _power_off,
    "decommission": _decommission,
    "partition": _partition,
    "bad-link": _bad_link,
    "bus": _bus,
    "full-store": _full_store,
    "skew": _skew,
}
