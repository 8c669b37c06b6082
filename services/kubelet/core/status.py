"""What the kubelet reports of a pod: phase, addresses, conditions, containers.

Source: kubernetes `pkg/kubelet/kubelet_pods.go` (getPhase, generateAPIPodStatus), `pkg/kubelet/kubelet.go`
(mergePodStatus: a terminal phase is told only once nothing runs any more).
"""

from collections.abc import Iterable
from typing import Any

from podwire.proto.kube.families import family_of
from podwire.proto.kube.pod import Pod
from podwire.proto.kube.times import rfc3339
from podwire.services.kubelet.core.conditions import conditions
from podwire.services.kubelet.core.container_status import (
    Observed,
    container_statuses,
    ephemeral_container_statuses,
    init_container_statuses,
)
from podwire.services.kubelet.core.held import RuntimePod

Json = dict[str, Any]


def pod_status(pod: Pod, observed: Observed, now: int) -> Json:
    """The status object; transition times are kept where a condition did not change."""
    statuses, inits = container_statuses(pod, observed), init_container_statuses(pod, observed)
    phase = _phase(pod, observed, statuses, inits)
    status: Json = {
        "phase": phase,
        "conditions": conditions(pod, observed, statuses, inits, phase, now),
        "hostIP": next(iter(observed.host_addresses), ""),
        "hostIPs": [{"ip": address} for address in observed.host_addresses],
        "startTime": pod.status.start_time or rfc3339(observed.start_time),
        "containerStatuses": statuses,
        "qosClass": pod.status.qos_class,
    }
    if observed.failure is not None:
        status |= {"reason": observed.failure.reason, "message": observed.failure.message}
    if inits:
        status["initContainerStatuses"] = inits
    if pod.spec.ephemeral_containers:
        status["ephemeralContainerStatuses"] = ephemeral_container_statuses(pod, observed)
    addresses = pod_addresses(pod, observed.held, observed.host_addresses)
    if addresses:
        status |= {"podIP": addresses[0], "podIPs": [{"ip": address} for address in addresses]}
    return status


def status_patch(status: Json, known: Iterable[str]) -> Json:
    """The strategic merge patch that makes the API's status this one. `podIPs` is merged by address there, so that
    those of `known` that the pod no longer has must be said to go (core/v1 types.go, patchMergeKey=ip)."""
    entries = status.get("podIPs", [])
    gone = [address for address in known if address not in [entry["ip"] for entry in entries]]
    return {**status, "podIPs": [*entries, *({"$patch": "delete", "ip": address} for address in gone)]}


def pod_addresses(pod: Pod, held: RuntimePod, hosts: tuple[str, ...]) -> tuple[str, ...]:
    """The pod's IPs: the machine's with hostNetwork, else its newest sandbox's, the family of the machine's primary
    address first (kubelet_pods.go, sortPodIPs)."""
    newest = held.newest_sandbox
    if newest is None:
        return ()
    if pod.spec.host_network:
        return hosts
    primary = family_of(hosts[0]) if hosts else ""
    return tuple(sorted(newest.addresses, key=lambda address: family_of(address) != primary))


def _phase(pod: Pod, observed: Observed, statuses: list[Json], inits: list[Json]) -> str:
    if pod.status.phase in ("Succeeded", "Failed"):
        return pod.status.phase
    phase = "Failed" if observed.failure is not None else _by_containers(pod, observed, statuses, inits)
    if phase in ("Succeeded", "Failed") and observed.held.running:
        return "Running" if any(_has_run(entry) for entry in statuses) else pod.status.phase
    return phase


def _by_containers(pod: Pod, observed: Observed, statuses: list[Json], inits: list[Json]) -> str:
    policy = pod.spec.restart_policy
    if not any(_has_run(entry) for entry in statuses):
        if policy == "Never" and any(_init_failed(pod, entry) for entry in inits):
            return "Failed"
        return "Failed" if observed.terminating and _ended_early(observed) else "Pending"
    if any(not _has_run(entry) for entry in statuses):
        return "Pending"
    if any("running" in entry["state"] for entry in statuses):
        return "Running"
    succeeded = all(_end_of(entry).get("exitCode") == 0 for entry in statuses)
    if observed.terminating:
        return "Succeeded" if succeeded else "Failed"
    if policy == "Always" or any("waiting" in entry["state"] for entry in statuses):
        return "Running"
    if succeeded:
        return "Succeeded"
    return "Failed" if policy == "Never" else "Running"


def _ended_early(observed: Observed) -> bool:
    """A pod that is deleted before its containers began has nothing that could run any more."""
    return not observed.held.running and observed.held.sandbox is None and bool(observed.held.sandboxes)


def _has_run(status: Json) -> bool:
    state = status["state"]
    return "running" in state or "terminated" in state or "terminated" in status["lastState"]


def _end_of(status: Json) -> Json:
    found: Json = status["state"].get("terminated") or status["lastState"].get("terminated") or {}
    return found


def _init_failed(pod: Pod, status: Json) -> bool:
    sidecars = [spec.name for spec in pod.spec.init_containers or [] if spec.is_sidecar]
    return status["name"] not in sidecars and bool(status["state"].get("terminated", {}).get("exitCode"))
