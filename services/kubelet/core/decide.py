"""What to do next for one pod, given what the runtime holds for it (kuberuntime's computePodActions).

A decision is taken from scratch each time: the same state gives the same actions, and once they have taken effect
there are none. Containers are the runtime's own; an attempt's number is the pod's restart count.
"""

from dataclasses import dataclass

from podwire.proto.kube.pod import Container as ContainerSpec
from podwire.proto.kube.pod import Pod
from podwire.proto.messages.runtime import Container, Sandbox
from podwire.services.chassis.clock import SECOND
from podwire.services.kubelet.core.backoff import Backoff

DEFAULT_GRACE = 30


@dataclass(frozen=True, slots=True)
class RuntimePod:
    """What the runtime holds for one pod, newest sandbox and newest attempts first."""

    sandboxes: tuple[Sandbox, ...] = ()
    containers: tuple[Container, ...] = ()

    @property
    def sandbox(self) -> Sandbox | None:
        """The newest sandbox, if it is ready."""
        newest = max(self.sandboxes, key=lambda entry: entry.config.attempt, default=None)
        return newest if newest is not None and newest.state == "READY" else None

    def newest(self, name: str) -> Container | None:
        """A container's newest attempt."""
        attempts = (entry for entry in self.containers if entry.config.name == name)
        return max(attempts, key=lambda entry: (entry.config.attempt, entry.created_at), default=None)

    def attempts(self, name: str) -> list[Container]:
        """All attempts of a container, oldest first."""
        found = [entry for entry in self.containers if entry.config.name == name]
        return sorted(found, key=lambda entry: (entry.config.attempt, entry.created_at))


@dataclass(frozen=True, slots=True)
class RunSandbox:
    """Make a sandbox."""

    attempt: int


@dataclass(frozen=True, slots=True)
class StopSandbox:
    """Tear a sandbox's network down."""

    sandbox: str


@dataclass(frozen=True, slots=True)
class RemoveSandbox:
    """Forget a sandbox."""

    sandbox: str


@dataclass(frozen=True, slots=True)
class StartContainer:
    """Create a container's next attempt and start it."""

    name: str
    attempt: int


@dataclass(frozen=True, slots=True)
class StopContainer:
    """Stop a container within its grace, for a reason that goes into an Event."""

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


Action = (
    RunSandbox | StopSandbox | RemoveSandbox | StartContainer | StopContainer | RemoveContainer | FinishPod | WaitUntil
)


def backoff_key(pod: Pod, name: str) -> str:
    """A container's key in the back-off."""
    return f"{pod.metadata.uid}/{name}"


def decide(
    pod: Pod, held: RuntimePod, backoff: Backoff, unhealthy: dict[str, str], terminating: bool, now: int
) -> list[Action]:
    """The actions for a pod at time `now`. `unhealthy` maps names of containers whose liveness failed to the reason."""
    if terminating:
        return _end(pod, held)
    if is_finished(pod, held):
        return _stop_leftovers(held)
    if held.sandbox is None:
        return _new_sandbox(pod, held)
    stops = _stop_unhealthy(pod, held, unhealthy)
    return stops + _collect(pod, held) + _start_containers(pod, held, backoff, {stop.name for stop in stops}, now)


def _grace(pod: Pod) -> int:
    if pod.metadata.deletion_grace_period_seconds is not None:
        return pod.metadata.deletion_grace_period_seconds
    wanted = pod.spec.termination_grace_period_seconds
    return DEFAULT_GRACE if wanted is None else wanted


def _end(pod: Pod, held: RuntimePod) -> list[Action]:
    running = [entry for entry in held.containers if entry.state == "RUNNING"]
    if running:
        return [StopContainer(entry.id, entry.config.name, _grace(pod), "Killing") for entry in running]
    ready = [StopSandbox(entry.id) for entry in held.sandboxes if entry.state == "READY"]
    if ready:
        return list(ready)
    return [FinishPod()]


def is_finished(pod: Pod, held: RuntimePod) -> bool:
    """Whether no container will run again, by the restart policy."""
    if pod.status.phase in ("Succeeded", "Failed"):
        return True
    for spec in pod.spec.init_containers or []:
        newest = held.newest(spec.name)
        if newest is not None and newest.state == "EXITED" and newest.exit_code and pod.spec.restart_policy == "Never":
            return True
    newest_ones = [held.newest(spec.name) for spec in pod.spec.containers]
    return bool(newest_ones) and all(
        entry is not None and entry.state == "EXITED" and not restarts(pod, entry) for entry in newest_ones
    )


def restarts(pod: Pod, container: Container) -> bool:
    """Whether the restart policy wants another attempt after this one's end."""
    policy = pod.spec.restart_policy
    return policy == "Always" or (policy == "OnFailure" and container.exit_code != 0)


def _stop_leftovers(held: RuntimePod) -> list[Action]:
    stops: list[Action] = [
        StopContainer(entry.id, entry.config.name, 0, "Killing")
        for entry in held.containers
        if entry.state == "RUNNING"
    ]
    return stops or [StopSandbox(entry.id) for entry in held.sandboxes if entry.state == "READY"]


def _new_sandbox(pod: Pod, held: RuntimePod) -> list[Action]:
    actions: list[Action] = [
        StopContainer(entry.id, entry.config.name, 0, "Killing")
        for entry in held.containers
        if entry.state == "RUNNING"
    ]
    attempt = max((entry.config.attempt + 1 for entry in held.sandboxes), default=0)
    return [*actions, RunSandbox(attempt)]


def _stop_unhealthy(pod: Pod, held: RuntimePod, unhealthy: dict[str, str]) -> list[StopContainer]:
    stops = []
    for name, reason in unhealthy.items():
        newest = held.newest(name)
        if newest is not None and newest.state == "RUNNING":
            stops.append(StopContainer(newest.id, name, _grace(pod), reason))
    return stops


def _collect(pod: Pod, held: RuntimePod) -> list[Action]:
    """Of each container the newest attempt and one before it stay (`kubectl logs --previous`)."""
    names = [spec.name for spec in (*(pod.spec.init_containers or ()), *pod.spec.containers)]
    old = [entry for name in names for entry in held.attempts(name)[:-2] if entry.state == "EXITED"]
    return [RemoveContainer(entry.id) for entry in old]


def _start_containers(pod: Pod, held: RuntimePod, backoff: Backoff, stopping: set[str], now: int) -> list[Action]:
    for spec in pod.spec.init_containers or []:
        newest = held.newest(spec.name)
        if newest is None or newest.state != "EXITED" or newest.exit_code != 0:
            return _start_one(pod, spec, held, backoff, now)
    actions: list[Action] = []
    for spec in pod.spec.containers:
        if spec.name not in stopping:
            actions += _start_one(pod, spec, held, backoff, now)
    return actions


def _attempts_reported(pod: Pod, name: str) -> int:
    """How often the container was started on a machine that has since lost its power, by what was reported of it."""
    reported = (entry for entry in pod.status.container_statuses or [] if entry.name == name and entry.container_id)
    return max((entry.restart_count + 1 for entry in reported), default=0)


def _start_one(pod: Pod, spec: ContainerSpec, held: RuntimePod, backoff: Backoff, now: int) -> list[Action]:
    newest = held.newest(spec.name)
    if newest is None:
        return [StartContainer(spec.name, _attempts_reported(pod, spec.name))]
    sandbox = held.sandbox
    if newest.state == "RUNNING" and sandbox is not None and newest.sandbox == sandbox.id:
        return []
    if newest.state == "CREATED":
        return [RemoveContainer(newest.id), StartContainer(spec.name, newest.config.attempt)]
    if newest.state == "EXITED" and not restarts(pod, newest):
        return []
    until = backoff.wait_until(backoff_key(pod, spec.name), newest.finished_at)
    if until > now:
        return [WaitUntil(until, spec.name)]
    return [StartContainer(spec.name, newest.config.attempt + 1)]


def seconds_until(time: int, now: int) -> float:
    """Seconds from now until a time."""
    return max(0, time - now) / SECOND
