"""What the kubelet reports of a pod: phase, conditions, container statuses (kubelet_pods.go, status/generate.go)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from podwire.proto.kube.pod import Container as ContainerSpec
from podwire.proto.kube.pod import Pod
from podwire.proto.messages.runtime import Container
from podwire.services.chassis.clock import SECOND
from podwire.services.kubelet.core.decide import RuntimePod, is_finished, restarts
from podwire.services.kubelet.core.probes import Health

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a container does not run."""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Observed:
    """All that a status is made of, besides the pod."""

    held: RuntimePod
    host_address: str
    start_time: int
    health: Mapping[str, Health] = field(default_factory=dict)
    waiting: Mapping[str, Waiting] = field(default_factory=dict)


def timestamp(nanoseconds: int) -> str:
    """RFC 3339 in whole seconds, as metav1.Time prints."""
    return datetime.fromtimestamp(nanoseconds // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def pod_status(pod: Pod, observed: Observed, now: int) -> Json:
    """The status object; transition times are kept where a condition did not change."""
    statuses = [_container_status(pod, spec, observed) for spec in pod.spec.containers]
    init_statuses = [_container_status(pod, spec, observed) for spec in pod.spec.init_containers or []]
    phase = _phase(pod, observed)
    status: Json = {
        "phase": phase,
        "conditions": _conditions(pod, observed, statuses, phase, now),
        "hostIP": observed.host_address,
        "hostIPs": [{"ip": observed.host_address}],
        "startTime": timestamp(observed.start_time),
        "containerStatuses": statuses,
        "qosClass": "BestEffort",
    }
    if init_statuses:
        status["initContainerStatuses"] = init_statuses
    address = _address(pod, observed)
    if address:
        status |= {"podIP": address, "podIPs": [{"ip": address}]}
    return status


def _address(pod: Pod, observed: Observed) -> str:
    if pod.spec.host_network:
        return observed.host_address if observed.held.sandboxes else ""
    newest = max(observed.held.sandboxes, key=lambda entry: entry.config.attempt, default=None)
    return newest.address if newest is not None else ""


def _phase(pod: Pod, observed: Observed) -> str:
    held = observed.held
    if pod.status.phase in ("Succeeded", "Failed"):
        return pod.status.phase
    if is_finished(pod, held):
        newest = [held.newest(spec.name) for spec in pod.spec.containers]
        good = all(entry is not None and entry.exit_code == 0 for entry in newest)
        return "Succeeded" if good else "Failed"
    for spec in pod.spec.init_containers or []:
        entry = held.newest(spec.name)
        if entry is None or entry.state != "EXITED" or entry.exit_code:
            return "Pending"
    started = [held.newest(spec.name) for spec in pod.spec.containers]
    return "Running" if started and all(entry and entry.started_at for entry in started) else "Pending"


def _container_status(pod: Pod, spec: ContainerSpec, observed: Observed) -> Json:
    held = observed.held
    newest = held.newest(spec.name)
    attempts = held.attempts(spec.name)
    health = observed.health.get(spec.name, Health(False, False))
    running = newest is not None and newest.state == "RUNNING"
    is_init = spec in (pod.spec.init_containers or [])
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
    if is_init:
        status["ready"] = newest is not None and newest.state == "EXITED" and newest.exit_code == 0
    if newest is not None and newest.started_at:
        status["containerID"] = f"podwire://{newest.id}"
        status["imageID"] = f"podwire://{spec.image}"
    else:
        status |= _last_known(pod, spec.name)
    ended = [entry for entry in attempts if entry.state == "EXITED"]
    last = ended[-1] if ended and (running or "waiting" in status["state"]) else None
    if last is not None:
        status["lastState"] = {"terminated": _terminated(last)}
    return status


def _last_known(pod: Pod, name: str) -> Json:
    """What was reported of a container that the runtime has lost: its id, so that the next attempt is a restart."""
    for entry in pod.status.container_statuses or []:
        if entry.name == name and entry.container_id:
            return {"containerID": entry.container_id, "restartCount": entry.restart_count}
    return {}


def _state(pod: Pod, spec: ContainerSpec, newest: Container | None, observed: Observed) -> Json:
    waiting = observed.waiting.get(spec.name)
    if newest is not None and newest.state == "RUNNING":
        return {"running": {"startedAt": timestamp(newest.started_at)}}
    if newest is not None and newest.state == "EXITED" and (waiting is None or not restarts(pod, newest)):
        return {"terminated": _terminated(newest)}
    if waiting is None:
        waiting = _default_waiting(pod, spec)
    shown = {"reason": waiting.reason, "message": waiting.message}
    return {"waiting": {key: value for key, value in shown.items() if value}}


def _default_waiting(pod: Pod, spec: ContainerSpec) -> Waiting:
    is_init = spec in (pod.spec.init_containers or [])
    return Waiting("PodInitializing" if pod.spec.init_containers and not is_init else "ContainerCreating")


def _terminated(container: Container) -> Json:
    value = {
        "exitCode": container.exit_code,
        "reason": container.reason or ("Completed" if container.exit_code == 0 else "Error"),
        "startedAt": timestamp(container.started_at),
        "finishedAt": timestamp(container.finished_at),
        "containerID": f"podwire://{container.id}",
    }
    return value | ({"message": container.message} if container.message else {})


def _conditions(pod: Pod, observed: Observed, statuses: list[Json], phase: str, now: int) -> list[Json]:
    unready = [entry["name"] for entry in statuses if not entry["ready"]]
    done = phase in ("Succeeded", "Failed")
    reason = "PodCompleted" if phase == "Succeeded" else ("PodFailed" if phase == "Failed" else "ContainersNotReady")
    message = f"containers with unready status: [{' '.join(unready)}]" if unready and not done else ""
    ready = not unready and not done
    initialized = all(
        (entry := observed.held.newest(spec.name)) is not None and entry.state == "EXITED" and entry.exit_code == 0
        for spec in pod.spec.init_containers or []
    )
    facts = [
        ("PodReadyToStartContainers", observed.held.sandbox is not None, "", ""),
        ("Initialized", initialized or done, "", ""),
        ("Ready", ready, "" if ready else reason, message),
        ("ContainersReady", ready, "" if ready else reason, message),
        ("PodScheduled", True, "", ""),
    ]
    return [_condition(pod, kind, value, why, text, now) for kind, value, why, text in facts]


def _condition(pod: Pod, kind: str, value: bool, reason: str, message: str, now: int) -> Json:
    status = "True" if value else "False"
    before = next((entry for entry in pod.status.conditions or [] if entry.type == kind), None)
    kept = before is not None and before.status == status and before.last_transition_time
    condition: Json = {"type": kind, "status": status, "lastProbeTime": None}
    condition["lastTransitionTime"] = before.last_transition_time if before and kept else timestamp(now)
    return condition | {key: text for key, text in (("reason", reason), ("message", message)) if text}
