"""What can be done for a pod: what `decide` answers and the worker carries out."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunSandbox:
    """Make a sandbox."""

    attempt: int


@dataclass(frozen=True, slots=True)
class StopSandbox:
    """Tear a sandbox's network down."""

    sandbox: str


@dataclass(frozen=True, slots=True)
class StartContainer:
    """Create a container's next attempt and start it."""

    name: str
    attempt: int


@dataclass(frozen=True, slots=True)
class StopContainer:
    """Run its preStop hook and stop a container within `grace` seconds, for a reason that goes into an Event."""

    container: str
    name: str
    grace: int
    reason: str


@dataclass(frozen=True, slots=True)
class RemoveContainer:
    """Forget an attempt that nobody asks for any more."""

    container: str


@dataclass(frozen=True, slots=True)
class FinishPod:
    """Everything is gone from the machine: remove the volumes, and the object from the API."""


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Nothing to do before this time (nanoseconds)."""

    time: int
    name: str


Action = RunSandbox | StopSandbox | StartContainer | StopContainer | RemoveContainer | FinishPod | WaitUntil
