"""How a Pod prints: its STATUS is derived from container states, in upstream's order (printPod)."""

from dataclasses import dataclass
from typing import Any, Final

from podwire.proto.kube.json_objects import items, section
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.printers.table import Printer, columns
from podwire.services.apiserver.core.times import age, human_duration, parse_time


@dataclass(slots=True)
class _Summary:
    reason: str
    ready: int = 0
    total: int = 0
    restarts: int = 0
    restarted_at: int = 0

    def count_restarts(self, status: Json) -> None:
        self.restarts += status.get("restartCount", 0)
        finished = parse_time(section(status, "lastState", "terminated").get("finishedAt"))
        self.restarted_at = max(self.restarted_at, finished or 0)


def _condition(pod: Json, kind: str) -> Json:
    for condition in items(section(pod, "status"), "conditions"):
        if condition.get("type") == kind:
            found: Json = condition
            return found
    return {}


def _termination(terminated: Json) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _initial(pod: Json) -> _Summary:
    status = section(pod, "status")
    reason = status.get("reason") or status.get("phase", "")
    if _condition(pod, "PodScheduled").get("reason") == "SchedulingGated":
        reason = "SchedulingGated"
    return _Summary(reason, total=len(items(section(pod, "spec"), "containers")))


def _init_containers(pod: Json, summary: _Summary) -> bool:
    """Whether the pod still initializes; counts restartable init containers (sidecars)."""
    specs = {spec["name"]: spec for spec in items(section(pod, "spec"), "initContainers")}
    sidecars = [name for name, spec in specs.items() if spec.get("restartPolicy") == "Always"]
    summary.total += len(sidecars)
    for index, status in enumerate(items(section(pod, "status"), "initContainerStatuses")):
        summary.count_restarts(status)
        reason = _init_reason(status, status.get("name") in sidecars, f"{index}/{len(specs)}")
        if reason:
            summary.reason = f"Init:{reason}"
            return True
        summary.ready += int(status.get("name") in sidecars and bool(status.get("ready")))
    return False


def _init_reason(status: Json, sidecar: bool, progress: str) -> str:
    state = section(status, "state")
    terminated, waiting = state.get("terminated"), section(state, "waiting")
    if terminated is not None and terminated.get("exitCode", 0) == 0:
        return ""
    if sidecar and status.get("started"):
        return ""
    if terminated is not None:
        return _termination(terminated)
    if waiting.get("reason") and waiting["reason"] != "PodInitializing":
        return str(waiting["reason"])
    return progress


def _containers(pod: Json, summary: _Summary) -> None:
    running = False
    for status in reversed(items(section(pod, "status"), "containerStatuses")):
        summary.count_restarts(status)
        state = section(status, "state")
        if section(state, "waiting").get("reason"):
            summary.reason = state["waiting"]["reason"]
        elif isinstance(state.get("terminated"), dict):
            summary.reason = _termination(state["terminated"])
        elif status.get("ready") and "running" in state:
            running = True
            summary.ready += 1
    if summary.reason == "Completed" and running:
        summary.reason = "Running" if _condition(pod, "Ready").get("status") == "True" else "NotReady"


def _summarize(pod: Json) -> _Summary:
    summary = _initial(pod)
    if not _init_containers(pod, summary) or _condition(pod, "Initialized").get("status") == "True":
        summary.restarts = summary.restarted_at = 0
        _containers(pod, summary)
    if section(pod, "metadata").get("deletionTimestamp"):
        status = section(pod, "status")
        if status.get("reason") == "NodeLost":
            summary.reason = "Unknown"
        elif status.get("phase") not in ("Succeeded", "Failed"):
            summary.reason = "Terminating"
    return summary


def _restarts(summary: _Summary, now_ns: int) -> str:
    if summary.restarts and summary.restarted_at:
        return f"{summary.restarts} ({human_duration(now_ns - summary.restarted_at)} ago)"
    return str(summary.restarts)


def _readiness_gates(pod: Json) -> str:
    gates = items(section(pod, "spec"), "readinessGates")
    if not gates:
        return "<none>"
    met = [gate for gate in gates if _condition(pod, gate.get("conditionType", "")).get("status") == "True"]
    return f"{len(met)}/{len(gates)}"


def _pod_ip(status: Json) -> str:
    addresses = items(status, "podIPs")
    return (addresses[0].get("ip") if addresses else status.get("podIP")) or "<none>"


def _cells(pod: Json, now_ns: int) -> list[Any]:
    summary, status, meta = _summarize(pod), section(pod, "status"), section(pod, "metadata")
    return [
        meta.get("name", ""),
        f"{summary.ready}/{summary.total}",
        summary.reason,
        _restarts(summary, now_ns),
        age(meta.get("creationTimestamp"), now_ns),
        _pod_ip(status),
        section(pod, "spec").get("nodeName") or "<none>",
        status.get("nominatedNodeName") or "<none>",
        _readiness_gates(pod),
    ]


POD: Final = Printer(
    columns("Name", "Ready", "Status", "Restarts", "Age", "+IP", "+Node", "+Nominated Node", "+Readiness Gates"),
    _cells,
)
