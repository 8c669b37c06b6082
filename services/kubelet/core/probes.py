"""Probes: thresholds and timing as the kubelet's prober counts them (pkg/kubelet/prober/worker.go)."""

from dataclasses import dataclass
from typing import Literal

from podwire.proto.kube.container import Container, Probe
from podwire.services.chassis.clock import SECOND

Kind = Literal["startup", "readiness", "liveness"]


@dataclass(slots=True)
class ProbeState:
    """The count of one probe of one container attempt. `passing` is None until the first verdict."""

    kind: Kind
    probe: Probe
    started_at: int
    passing: bool | None = None
    successes: int = 0
    failures: int = 0
    output: str = ""

    def first_due(self) -> int:
        """When the first probe is due (nanoseconds)."""
        return self.started_at + self.probe.initial_delay_seconds * SECOND

    def record(self, success: bool, output: str) -> bool:
        """Takes a result; whether the verdict changed."""
        before = self.passing
        self.output = output
        if success:
            self.successes, self.failures = self.successes + 1, 0
            if self.successes >= self.probe.success_threshold:
                self.passing = True
        else:
            self.failures, self.successes = self.failures + 1, 0
            if self.failures >= self.probe.failure_threshold:
                self.passing = False
        return self.passing != before


def probes_of(container: Container) -> list[tuple[Kind, Probe]]:
    """The probes that a container declares."""
    declared: list[tuple[Kind, Probe | None]] = [
        ("startup", container.startup_probe),
        ("readiness", container.readiness_probe),
        ("liveness", container.liveness_probe),
    ]
    return [(kind, probe) for kind, probe in declared if probe is not None]


@dataclass(frozen=True, slots=True)
class Unhealthy:
    """The probe that failed, and the grace that it asks for (None: the pod's)."""

    kind: Kind
    grace: int | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """What the probes of a container attempt say together."""

    started: bool
    ready: bool
    unhealthy: Unhealthy | None = None


def health(container: Container, states: dict[Kind, ProbeState], running: bool) -> Health:
    """A container is started when its startup probe passed (or there is none), ready when its readiness probe passes
    too, and unhealthy when its startup or liveness probe failed."""
    if not running:
        return Health(False, False)
    declared = dict(probes_of(container))
    startup = states.get("startup")
    started = "startup" not in declared or (startup is not None and startup.passing is True)
    readiness = states.get("readiness")
    ready = started and ("readiness" not in declared or (readiness is not None and readiness.passing is True))
    failing: tuple[Kind, ...] = ("startup", "liveness")
    for kind in failing:
        state = states.get(kind)
        if state is not None and state.passing is False:
            return Health(started, ready, Unhealthy(kind, state.probe.termination_grace_period_seconds))
    return Health(started, ready)


def named_port(container: Container, port: int | str) -> int | None:
    """A probe's port: a number, or the name of a declared port."""
    if isinstance(port, int):
        return port
    for declared in container.ports or []:
        if declared.name == port:
            return declared.container_port
    return int(port) if port.isdigit() else None
