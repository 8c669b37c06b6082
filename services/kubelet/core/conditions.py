"""The conditions of a pod (kubernetes `pkg/kubelet/status/generate.go`)."""

from typing import Any, NamedTuple

from podwire.proto.kube.pod import Pod
from podwire.proto.kube.times import rfc3339
from podwire.services.kubelet.core.container_status import Observed

Json = dict[str, Any]


class Fact(NamedTuple):
    """A condition without its times."""

    type: str
    value: bool
    reason: str = ""
    message: str = ""


def conditions(
    pod: Pod, observed: Observed, statuses: list[Json], inits: list[Json], phase: str, now: int
) -> list[Json]:
    """The kubelet's conditions; transition times are kept where a status did not change."""
    containers_ready = _containers_ready(pod, statuses, inits, phase)
    facts = [
        Fact("PodReadyToStartContainers", observed.held.sandbox is not None),
        _initialized(pod, statuses, inits, phase),
        _ready(pod, containers_ready, phase),
        containers_ready,
        Fact("PodScheduled", True),
    ]
    return [_condition(pod, fact, now) for fact in facts]


def _over(kind: str, phase: str) -> Fact | None:
    reasons = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}
    return Fact(kind, False, reasons[phase]) if phase in reasons else None


def _containers_ready(pod: Pod, statuses: list[Json], inits: list[Json], phase: str) -> Fact:
    if (over := _over("ContainersReady", phase)) is not None:
        return over
    sidecars = [spec.name for spec in pod.spec.init_containers or [] if spec.is_sidecar]
    ready = {entry["name"]: entry["ready"] for entry in [*inits, *statuses]}
    wanted = [*sidecars, *(spec.name for spec in pod.spec.containers)]
    unready = [name for name in wanted if not ready[name]]
    if not unready:
        return Fact("ContainersReady", True)
    return Fact(
        "ContainersReady", False, "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]"
    )


def _ready(pod: Pod, containers: Fact, phase: str) -> Fact:
    if not containers.value:
        return containers._replace(type="Ready")
    told = {entry.type: entry.status for entry in pod.status.conditions or []}
    problems = []
    for gate in pod.spec.readiness_gates or []:
        name = gate.condition_type
        if name not in told:
            problems.append(f'corresponding condition of pod readiness gate "{name}" does not exist.')
        elif told[name] != "True":
            problems.append(f'the status of pod readiness gate "{name}" is not "True", but {told[name]}')
    if problems:
        return Fact("Ready", False, "ReadinessGatesNotReady", ", ".join(problems))
    return Fact("Ready", True)


def _initialized(pod: Pod, statuses: list[Json], inits: list[Json], phase: str) -> Fact:
    if phase == "Succeeded":
        return Fact("Initialized", True, "PodCompleted")
    if any("running" in entry["state"] or entry.get("containerID") for entry in statuses):
        return Fact("Initialized", True)
    sidecars = [spec.name for spec in pod.spec.init_containers or [] if spec.is_sidecar]
    incomplete = [
        entry["name"] for entry in inits if not (entry["started"] if entry["name"] in sidecars else entry["ready"])
    ]
    if not incomplete:
        return Fact("Initialized", True)
    text = f"containers with incomplete status: [{' '.join(incomplete)}]"
    return Fact("Initialized", False, "ContainersNotInitialized", text)


def _condition(pod: Pod, fact: Fact, now: int) -> Json:
    status = "True" if fact.value else "False"
    before = next((entry for entry in pod.status.conditions or [] if entry.type == fact.type), None)
    kept = before is not None and before.status == status and before.last_transition_time
    condition: Json = {"type": fact.type, "status": status, "lastProbeTime": None}
    condition["lastTransitionTime"] = before.last_transition_time if before and kept else rfc3339(now)
    texts = {"reason": (fact.reason, before and before.reason), "message": (fact.message, before and before.message)}
    return condition | {key: text or None for key, (text, old) in texts.items() if text or old}
