"""Which nodes a pod can be on, and why not on the others, in the scheduler framework's own words.

Source: kubernetes `pkg/scheduler/framework/plugins/{nodeunschedulable,nodename,tainttoleration,nodeaffinity,nodeports,
noderesources}`. The first plugin that objects gives the reasons.
"""

from dataclasses import dataclass
from typing import Final

from podwire.proto.kube.json_objects import items, section
from podwire.proto.kube.selection import matches_node, tolerates, untolerated
from podwire.services.scheduler.core.resources import Json, allocatable, requested, used

_UNSCHEDULABLE: Final = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
_DEFAULT_PODS: Final = 110 * 1000


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a node will not do; `preemptable` when fewer pods on it would help."""

    reasons: tuple[str, ...]
    preemptable: bool = False


def objection(pod: Json, node: Json, present: list[Json]) -> Objection | None:
    """The objection against one node with the pods that are on it; None when it fits."""
    spec = section(pod, "spec")
    tolerations = items(spec, "tolerations")
    if section(node, "spec").get("unschedulable") and not any(tolerates(t, _UNSCHEDULABLE) for t in tolerations):
        return Objection(("node(s) were unschedulable",))
    taint = untolerated(items(section(node, "spec"), "taints"), tolerations)
    if taint is not None:
        text = f"node(s) had untolerated taint {{{taint.get('key', '')}: {taint.get('value', '')}}}"
        return Objection((text,))
    if not matches_node(spec, node):
        return Objection(("node(s) didn't match Pod's node affinity/selector",))
    if _ports_conflict(pod, present):
        return Objection(("node(s) didn't have free ports for the requested pod ports",), True)
    lacking = _lacking(pod, node, present)
    return Objection(tuple(lacking), True) if lacking else None


def host_ports(pod: Json) -> list[tuple[str, int, str]]:
    """Host IP, port and protocol of each declared host port."""
    return [
        (port.get("hostIP") or "0.0.0.0", port["hostPort"], port.get("protocol", "TCP"))
        for container in items(section(pod, "spec"), "containers")
        for port in items(container, "ports")
        if port.get("hostPort")
    ]


def _ports_conflict(pod: Json, present: list[Json]) -> bool:
    wanted = host_ports(pod)
    taken = [entry for other in present for entry in host_ports(other)] if wanted else []
    return any(_same_port(left, right) for left in wanted for right in taken)


def _same_port(left: tuple[str, int, str], right: tuple[str, int, str]) -> bool:
    everywhere = "0.0.0.0" in (left[0], right[0])
    return left[1:] == right[1:] and (everywhere or left[0] == right[0])


def _lacking(pod: Json, node: Json, present: list[Json]) -> list[str]:
    offered, taken = allocatable(node), used(present)
    found = ["Too many pods"] if len(present) * 1000 + 1000 > offered.get("pods", _DEFAULT_PODS) else []
    for name, amount in requested(pod).items():
        if amount and amount + taken.get(name, 0) > offered.get(name, 0):
            found.append(f"Insufficient {name}")
    return found


def unavailable_text(objections: list[Objection], everywhere: str = "") -> str:
    """`0/4 nodes are available: …` (framework `types.go`, FitError.Error), with preemption's part.

    `everywhere` is the objection to the pod itself, which is not counted by nodes.
    """
    count = len(objections)
    if not count:
        return "no nodes available to schedule pods"
    reasons = everywhere or _histogram([reason for entry in objections for reason in entry.reasons])
    helpless = [_preemption(entry) for entry in objections]
    head = f"0/{count} nodes are available:"
    return f"{head} {reasons}. preemption: {head} {_histogram(helpless)}."


def _preemption(entry: Objection) -> str:
    if entry.preemptable:
        return "No preemption victims found for incoming pod"
    return "Preemption is not helpful for scheduling"


def _histogram(reasons: list[str]) -> str:
    counts: dict[str, int] = {}
    for reason in reasons:
        counts[reason] = counts.get(reason, 0) + 1
    return ", ".join(sorted(f"{count} {reason}" for reason, count in counts.items()))
