"""What to do next for one pod, given what the runtime holds for it.

Source: kubernetes `pkg/kubelet/kuberuntime/kuberuntime_manager.go` (computePodActions).

A decision is taken from scratch each time: the same state gives the same actions, and once they have taken effect
there are none. Containers are the runtime's own; an attempt's number is the pod's restart count.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from podwire.proto.kube.container import Container as ContainerSpec
from podwire.proto.kube.pod import Pod
from podwire.proto.messages.runtime import Container
from podwire.services.chassis.clock import SECOND
from podwire.services.kubelet.core.actions import (
    Action,
    FinishPod,
    RemoveContainer,
    RunSandbox,
    StartContainer,
    StopContainer,
    StopSandbox,
    WaitUntil,
)
from podwire.services.kubelet.core.backoff import Backoff
from podwire.services.kubelet.core.ending import grace_of, stop_all, stop_at_once
from podwire.services.kubelet.core.held import RuntimePod
from podwire.services.kubelet.core.initialization import initialization
from podwire.services.kubelet.core.probes import Unhealthy

_KEPT = 2


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a decision is made of, besides the pod and what the runtime holds."""

    now: int
    terminating: bool = False
    unhealthy: Mapping[str, Unhealthy] = field(default_factory=dict)
    started: Mapping[str, bool] = field(default_factory=dict)
    """Of running containers, whether their startup probe has passed."""
    failed: bool = False
    """The kubelet itself ended the pod (its active deadline is over)."""


def backoff_key(pod: Pod, name: str) -> str:
    """A container's key in the back-off."""
    return f"{pod.metadata.uid}/{name}"


def decide(pod: Pod, held: RuntimePod, backoff: Backoff, situation: Situation) -> list[Action]:
    """The actions for a pod at this time."""
    now = situation.now
    if situation.terminating:
        return [*stop_all(pod, held, now)] or _teardown(held) or [FinishPod()]
    if situation.failed or is_finished(pod, held):
        return [*stop_all(pod, held, now)] or _teardown(held)
    if held.sandbox is None:
        return _new_sandbox(held)
    return _in_sandbox(pod, held, backoff, situation)


def _teardown(held: RuntimePod) -> list[Action]:
    return [StopSandbox(entry.id) for entry in held.sandboxes if entry.state == "READY"]


def _new_sandbox(held: RuntimePod) -> list[Action]:
    attempt = max((entry.config.attempt + 1 for entry in held.sandboxes), default=0)
    return [*stop_at_once(held), RunSandbox(attempt)]


def _in_sandbox(pod: Pod, held: RuntimePod, backoff: Backoff, situation: Situation) -> list[Action]:
    stops = _stop_unfit(pod, held, situation)
    stopping = [stop.name for stop in stops]
    actions: list[Action] = [*stops, *_collect(pod, held)]
    for spec in pod.spec.ephemeral_containers or []:
        newest = held.newest(spec.name)
        if newest is None or newest.state == "CREATED":
            actions += _create(spec, newest, 0)
    state = initialization(pod, held, situation.started)
    wanted = [spec for spec in pod.spec.init_containers or [] if spec.name in state.start]
    if state.initialized:
        wanted += pod.spec.containers
    for spec in wanted:
        if spec.name not in stopping:
            actions += _start_one(pod, spec, held, backoff, situation.now)
    return actions


def is_finished(pod: Pod, held: RuntimePod) -> bool:
    """Whether no main container will run again, by the restart policy."""
    if pod.status.phase in ("Succeeded", "Failed"):
        return True
    if pod.spec.init_containers and initialization(pod, held, {}).failed:
        return True
    newest_ones = [held.newest(spec.name) for spec in pod.spec.containers]
    return bool(newest_ones) and all(
        entry is not None and entry.state == "EXITED" and not restarts(pod, entry) for entry in newest_ones
    )


def restarts(pod: Pod, container: Container) -> bool:
    """Whether the restart policy wants another attempt after this one's end."""
    for spec in pod.spec.init_containers or []:
        if spec.name == container.config.name:
            failed = container.exit_code != 0 and pod.spec.restart_policy != "Never"
            return spec.is_sidecar or failed
    policy = pod.spec.restart_policy
    return policy == "Always" or (policy == "OnFailure" and container.exit_code != 0)


# -- containers that must not go on as they are


def _stop_unfit(pod: Pod, held: RuntimePod, situation: Situation) -> list[StopContainer]:
    stops = []
    sidecars = [spec for spec in pod.spec.init_containers or [] if spec.is_sidecar]
    for spec in [*sidecars, *pod.spec.containers]:
        newest = held.newest(spec.name)
        if newest is None or newest.state != "RUNNING":
            continue
        unhealthy = situation.unhealthy.get(spec.name)
        again = ", will be restarted"
        if newest.config.image != spec.image:
            text = f"Container {spec.name} definition changed{again}"
            stops.append(StopContainer(newest.id, spec.name, grace_of(pod), text))
        elif unhealthy is not None:
            grace = grace_of(pod) if unhealthy.grace is None else unhealthy.grace
            is_last = pod.spec.restart_policy == "Never" and not spec.is_sidecar
            text = f"Container {spec.name} failed {unhealthy.kind} probe{'' if is_last else again}"
            stops.append(StopContainer(newest.id, spec.name, grace, text))
    return stops


def _collect(pod: Pod, held: RuntimePod) -> list[Action]:
    """Of each container the newest attempt and one before it stay (`kubectl logs --previous`)."""
    names = [spec.name for spec in pod.spec.all_containers]
    old = [entry for name in names for entry in held.attempts(name)[:-_KEPT] if entry.state == "EXITED"]
    return [RemoveContainer(entry.id) for entry in old]


# -- starting


def _attempts_reported(pod: Pod, name: str) -> int:
    """How often the container was started on a machine that has since lost its power, by what was reported of it."""
    statuses = [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]
    reported = (entry for entry in statuses if entry.name == name and entry.container_id)
    return max((entry.restart_count + 1 for entry in reported), default=0)


def _create(spec: ContainerSpec, newest: Container | None, attempt: int) -> list[Action]:
    """A creation that was interrupted is made again under its own number."""
    if newest is not None and newest.state == "CREATED":
        return [RemoveContainer(newest.id), StartContainer(spec.name, newest.config.attempt)]
    return [StartContainer(spec.name, attempt)]


def _start_one(pod: Pod, spec: ContainerSpec, held: RuntimePod, backoff: Backoff, now: int) -> list[Action]:
    newest = held.newest(spec.name)
    if newest is None:
        return _create(spec, None, _attempts_reported(pod, spec.name))
    if newest.state == "CREATED":
        return _create(spec, newest, newest.config.attempt)
    is_present = held.active(spec.name) is not None
    if is_present and (newest.state == "RUNNING" or not restarts(pod, newest)):
        return []
    if newest.state == "EXITED" and not restarts(pod, newest) and spec in pod.spec.containers:
        return []
    until = backoff.wait_until(backoff_key(pod, spec.name), newest.finished_at)
    if until > now:
        return [WaitUntil(until, spec.name)]
    return [StartContainer(spec.name, newest.config.attempt + 1)]


def seconds_until(time: int, now: int) -> float:
    """Seconds from now until a time."""
    return max(0, time - now) / SECOND
