"""What can be done to a cluster, as values that a plan or a regression test holds.

Times are seconds since the plan began. Targets are named as on the command line: COMPONENT, COMPONENT@NODE,
COMPONENT/INDEX; machines by their node's name.
"""

from typing import Annotated

import msgspec

from podwire.proto.messages.process import Impairment

Seconds = Annotated[float, msgspec.Meta(ge=0)]


class Kill(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """kill -9; a new process is there `back_after` seconds later."""

    at: Seconds
    target: str
    back_after: Seconds = 0.05


class CrashLoop(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """kill -9, `times` times, each time `every` seconds after the last."""

    at: Seconds
    target: str
    times: Annotated[int, msgspec.Meta(ge=1)]
    every: Seconds


class Pause(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """SIGSTOP, and SIGCONT after `seconds`."""

    at: Seconds
    target: str
    seconds: Seconds


class PowerOff(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The machine and all that runs on it are gone; after `seconds` it boots with an empty kernel."""

    at: Seconds
    node: str
    seconds: Seconds


class Decommission(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The machine is taken away for good, and its Node deleted."""

    at: Seconds
    node: str


class BadLink(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What goes from `source` to `target` (and back, where `both`) meets the impairment; a loss of 1 is a partition."""

    at: Seconds
    source: str
    target: str
    both: bool
    impairment: Impairment
    seconds: Seconds


class StopBus(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """kill -9 of the NATS server, which is started again after `seconds`."""

    at: Seconds
    seconds: Seconds


class FillStore(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The event store has no room for `seconds`."""

    at: Seconds
    seconds: Seconds


class SkewClock(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The machine's wall clock is wrong by `skew` seconds, for `seconds`."""

    at: Seconds
    node: str
    skew: float
    seconds: Seconds


type Action = Kill | CrashLoop | Pause | PowerOff | Decommission | BadLink | StopBus | FillStore | SkewClock


def ends(action: Action) -> float:
    """When nothing of it is in force any more."""
    match action:
        case Kill():
            return action.at + action.back_after
        case CrashLoop():
            return action.at + action.times * action.every
        case Decommission():
            return action.at
        case _:
            return action.at + action.seconds


def describe(action: Action) -> str:
    """One line for people."""
    match action:
        case Kill():
            return f"kill {action.target}, back after {action.back_after:g} s"
        case CrashLoop():
            return f"kill {action.target} {action.times} times, every {action.every:g} s"
        case Pause():
            return f"pause {action.target} for {action.seconds:g} s"
        case PowerOff():
            return f"power off {action.node} for {action.seconds:g} s"
        case Decommission():
            return f"take {action.node} away"
        case BadLink():
            return f"link {_ways(action)} for {action.seconds:g} s: {_impaired(action.impairment)}"
        case StopBus():
            return f"kill the bus, back after {action.seconds:g} s"
        case FillStore():
            return f"the event store is full for {action.seconds:g} s"
        case SkewClock():
            return f"clock of {action.node} is wrong by {action.skew:+g} s for {action.seconds:g} s"


def _ways(action: BadLink) -> str:
    return f"{action.source} {'<->' if action.both else '->'} {action.target}"


def _impaired(impairment: Impairment) -> str:
    if impairment.loss == 1:
        return "partition"
    milliseconds = {"delay": impairment.delay / 1e6, "jitter": impairment.jitter / 1e6}
    told = [f"{name} {value:g} ms" for name, value in milliseconds.items() if value]
    shares = ("loss", "duplicate", "reorder", "corrupt")
    told += [f"{name} {100 * getattr(impairment, name):g} %" for name in shares if getattr(impairment, name)]
    told += [f"rate {impairment.rate} bit/s"] if impairment.rate else []
    return ", ".join(told) or "whole"
