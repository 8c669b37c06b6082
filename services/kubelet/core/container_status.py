"""What is reported of a pod's containers.

Source: kubernetes `pkg/kubelet/kubelet_pods.go` (convertToAPIContainerStatuses), `pkg/kubelet/prober/prober_manager.go`
(UpdatePodStatus).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from podwire.proto.kube.container import Container as ContainerSpec
from podwire.proto.kube.pod import ContainerStatus, Pod
from podwire.proto.kube.times import rfc3339
from podwire.proto.messages.runtime import Container
from podwire.services.kubelet.core.decide import restarts
from podwire.services.kubelet.core.held import RuntimePod
from podwire.services.kubelet.core.probes import Health

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a container does not run."""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Observed:
    """All that a status is made of, besides the pod. `terminating` pods start nothing any more."""

    held: RuntimePod
    host_addresses: tuple[str, ...]
    start_time: int
    health: Mapping[str, Health] = field(default_factory=dict)
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    terminating: bool = False
    failure: Waiting | None = None
    """Why the kubelet itself ended the pod (DeadlineExceeded)."""


def container_statuses(pod: Pod, observed: Observed) -> list[Json]:
    """Of the main containers, by name."""
    names = sorted(spec.name for spec in pod.spec.containers)
    by_name = {spec.name: spec for spec in pod.spec.containers}
    return [_container_status(pod, by_name[name], observed) for name in names]


def init_container_statuses(pod: Pod, observed: Observed) -> list[Json]:
    """Of the init containers, in their order; one that has completed is ready."""
    statuses = []
    for spec in pod.spec.init_containers or []:
        status = _container_status(pod, spec, observed)
        if not spec.is_sidecar:
            newest = observed.held.newest(spec.name)
            status["ready"] = newest is not None and newest.state == "EXITED" and newest.exit_code == 0
        statuses.append(status)
    return statuses


def ephemeral_container_statuses(pod: Pod, observed: Observed) -> list[Json]:
    """Of the ephemeral containers, in their order; they are never ready."""
    statuses = [_container_status(pod, spec, observed) for spec in pod.spec.ephemeral_containers or []]
    return [{**status, "ready": False} for status in statuses]


def _container_status(pod: Pod, spec: ContainerSpec, observed: Observed) -> Json:
    held = observed.held
    newest = held.newest(spec.name)
    health = observed.health.get(spec.name, Health(False, False))
    running = newest is not None and newest.state == "RUNNING"
    status: Json = {
        "name": spec.name,
        "image": spec.image,
        "imageID": "",
        "restartCount": newest.config.attempt if newest is not None else 0,
        "ready": running and health.ready,
        "started": running and health.started,
        "state": _state(pod, spec, newest, observed),
        "lastState": {},
    }
    if newest is not None and newest.started_at:
        status |= {"containerID": f"podwire://{newest.id}", "imageID": f"podwire://{spec.image}"}
    else:
        status |= _last_known(pod, spec.name)
    last = _last_end(held, spec.name, newest, "waiting" in status["state"])
    if last is not None:
        status["lastState"] = {"terminated": _terminated(last)}
    mounted = [_mount_status(mount.name, mount.mount_path, mount.read_only) for mount in spec.volume_mounts or []]
    return status | ({"volumeMounts": mounted} if mounted else {})


def _mount_status(name: str, path: str, read_only: bool) -> Json:
    status: Json = {"name": name, "mountPath": path}
    return status | ({"readOnly": True, "recursiveReadOnly": "Disabled"} if read_only else {})


def _last_end(held: RuntimePod, name: str, newest: Container | None, waiting: bool) -> Container | None:
    """The end before the state that is shown."""
    ended = [entry for entry in held.attempts(name) if entry.state == "EXITED"]
    if newest is not None and newest.state == "EXITED" and not waiting:
        ended = ended[:-1]
    return ended[-1] if ended else None


def reported_status(pod: Pod, name: str) -> ContainerStatus | None:
    """What was reported of a container before."""
    statuses = [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]
    return next((entry for entry in statuses if entry.name == name), None)


def _last_known(pod: Pod, name: str) -> Json:
    """What was reported of a container that the runtime has lost: its id, so that the next attempt is a restart."""
    entry = reported_status(pod, name)
    if entry is None or not entry.container_id:
        return {}
    return {"containerID": entry.container_id, "restartCount": entry.restart_count}


def _state(pod: Pod, spec: ContainerSpec, newest: Container | None, observed: Observed) -> Json:
    waiting = observed.waiting.get(spec.name)
    if newest is not None and newest.state == "RUNNING":
        return {"running": {"startedAt": rfc3339(newest.started_at)}}
    if newest is not None and newest.state == "EXITED":
        stays = observed.terminating or observed.failure is not None or not restarts(pod, newest)
        if waiting is None or stays:
            return {"terminated": _terminated(newest)}
    if newest is None and (known := _reported_end(pod, spec.name, observed)):
        return {"terminated": known}
    if waiting is None:
        waiting = Waiting("PodInitializing" if pod.spec.init_containers else "ContainerCreating")
    shown = {"reason": waiting.reason, "message": waiting.message}
    return {"waiting": {key: value for key, value in shown.items() if value}}


def _reported_end(pod: Pod, name: str, observed: Observed) -> Json:
    """The end of a container of a pod that is over, whose machine has forgotten it."""
    entry = reported_status(pod, name)
    over = pod.status.phase in ("Succeeded", "Failed")
    if entry is None or entry.state.terminated is None or not over:
        return {}
    ended = entry.state.terminated
    return {
        "exitCode": ended.exit_code,
        "reason": ended.reason,
        "startedAt": ended.started_at,
        "finishedAt": ended.finished_at,
        "containerID": ended.container_id,
    } | ({"message": ended.message} if ended.message else {})


def _terminated(container: Container) -> Json:
    value = {
        "exitCode": container.exit_code,
        "reason": container.reason or ("Completed" if container.exit_code == 0 else "Error"),
        "startedAt": rfc3339(container.started_at),
        "finishedAt": rfc3339(container.finished_at),
        "containerID": f"podwire://{container.id}",
    }
    return value | ({"message": container.message} if container.message else {})
