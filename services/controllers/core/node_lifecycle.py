"""Node life cycle: silent nodes become Unknown, conditions become taints, taints evict.

Source: kubernetes `pkg/controller/nodelifecycle/node_lifecycle_controller.go` (node-monitor-grace-period 40 s),
`pkg/controller/tainteviction`. A node's silence is measured from when this process last saw its Lease change, so that
a controller that was away itself does not judge too early.
"""

from typing import Final

from podwire.proto.kube.json_objects import items, section
from podwire.proto.kube.resources import LEASES, NODES, PODS
from podwire.proto.kube.selection import tolerates
from podwire.proto.kube.times import SECOND, parse, rfc3339
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.chance import RandomBits, hexadecimal
from podwire.services.controllers.core import pods as judge
from podwire.services.controllers.core.cluster import Cluster, is_going
from podwire.services.controllers.core.writes import About, Delete, Json, Patch, Plan, event

GRACE: Final = 40 * SECOND
NOT_READY: Final = "node.kubernetes.io/not-ready"
UNREACHABLE: Final = "node.kubernetes.io/unreachable"
_UNSCHEDULABLE: Final = "node.kubernetes.io/unschedulable"
_PRESSURES: Final = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
    "NetworkUnavailable": "node.kubernetes.io/network-unavailable",
}
_REPORTED: Final = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
_MANAGED: Final = (NOT_READY, UNREACHABLE, _UNSCHEDULABLE, *_PRESSURES.values())


class LeaseMemory:
    """When each node's Lease was last seen to change."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, int]] = {}

    def silent_since(self, node: str, lease: Json | None, now: int) -> int:
        """The moment of the last change, as this process saw it."""
        renewed = str(section(lease or {}, "spec").get("renewTime", ""))
        known = self._seen.get(node)
        if known is None or known[0] != renewed:
            self._seen[node] = known = (renewed, now)
        return known[1]

    def forget_all_but(self, nodes: list[str]) -> None:
        """Drops nodes that are gone."""
        self._seen = {name: self._seen[name] for name in nodes if name in self._seen}


class NodeLifecycle:
    """The decision, with its memory of Leases."""

    def __init__(self) -> None:
        self._memory = LeaseMemory()

    def decide(self, key: ObjectKey, cluster: Cluster, now: int, random: RandomBits) -> Plan:
        """The writes that all nodes and their pods need."""
        plan = Plan()
        nodes = list(cluster[NODES].all())
        self._memory.forget_all_but([node["metadata"]["name"] for node in nodes])
        by_node = _pods_by_node(cluster)
        for node in nodes:
            name = node["metadata"]["name"]
            lease = cluster[LEASES].get("kube-node-lease", name)
            deadline = self._memory.silent_since(name, lease, now) + GRACE
            if now >= deadline and _ready(node) != "Unknown":
                _mark_unknown(node, cluster, plan, now, random)
                continue
            plan.again_at(deadline if now < deadline else now + GRACE)
            _taint(node, cluster, plan, now)
            _pods_not_ready(node, by_node.get(name, []), cluster, plan, now)
            _evict(node, by_node.get(name, []), plan, now, random)
        return plan


def _pods_by_node(cluster: Cluster) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for pod in cluster[PODS].all():
        node = section(pod, "spec").get("nodeName")
        if node:
            found.setdefault(node, []).append(pod)
    return found


def _condition(value: Json, kind: str) -> Json:
    for condition in items(section(value, "status"), "conditions"):
        if condition.get("type") == kind:
            found: Json = condition
            return found
    return {}


def _ready(node: Json) -> str:
    return str(_condition(node, "Ready").get("status", "Unknown" if _condition(node, "Ready") else "False"))


def _mark_unknown(node: Json, cluster: Cluster, plan: Plan, now: int, random: RandomBits) -> None:
    """What the kubelet would have reported is not known any more."""
    meta, moment = node["metadata"], rfc3339(now)
    kept = [entry for entry in items(section(node, "status"), "conditions") if entry.get("type") not in _REPORTED]
    for kind in _REPORTED:
        old = _condition(node, kind)
        kept.append(
            {
                "type": kind,
                "status": "Unknown",
                "reason": "NodeStatusUnknown" if old else "NodeStatusNeverUpdated",
                "message": "Kubelet stopped posting node status." if old else "Kubelet never posted node status.",
                "lastHeartbeatTime": old.get("lastHeartbeatTime", meta.get("creationTimestamp")),
                "lastTransitionTime": moment,
            }
        )
    body = {"status": {"conditions": kept}}
    plan.writes.append(Patch(NODES, "", meta["name"], body, "status", cluster[NODES].revision(node)))
    about = About("node-controller", node, "v1", "Node")
    text = f"Node {meta['name']} status is now: NodeNotReady"
    plan.writes.append(event(about, hexadecimal(random, 16), moment, "NodeNotReady", text))


def wanted_taints(node: Json) -> list[tuple[str, str]]:
    """Keys and effects that follow from a node's conditions and spec."""
    found: list[tuple[str, str]] = []
    state = _ready(node)
    if state != "True":
        key = UNREACHABLE if state == "Unknown" else NOT_READY
        found += [(key, "NoSchedule"), (key, "NoExecute")]
    for kind, key in _PRESSURES.items():
        if _condition(node, kind).get("status") == "True":
            found.append((key, "NoSchedule"))
    if section(node, "spec").get("unschedulable"):
        found.append((_UNSCHEDULABLE, "NoSchedule"))
    return found


def _taint(node: Json, cluster: Cluster, plan: Plan, now: int) -> None:
    wanted = wanted_taints(node)
    current = items(section(node, "spec"), "taints")
    kept = [
        taint
        for taint in current
        if taint.get("key") not in _MANAGED or (taint.get("key"), taint.get("effect")) in wanted
    ]
    have = [(taint.get("key"), taint.get("effect")) for taint in kept]
    for key, effect in wanted:
        if (key, effect) not in have:
            kept.append({"key": key, "effect": effect, "timeAdded": rfc3339(now)})
    if kept != current:
        revision = cluster[NODES].revision(node)
        plan.writes.append(Patch(NODES, "", node["metadata"]["name"], {"spec": {"taints": kept}}, revision=revision))


def _pods_not_ready(node: Json, pods: list[Json], cluster: Cluster, plan: Plan, now: int) -> None:
    """Pods of a node that stopped reporting count as not ready (MarkPodsNotReady)."""
    if _ready(node) != "Unknown":
        return
    for pod in pods:
        if not judge.is_ready(pod) or _is_static(pod):
            continue
        conditions = [dict(entry) for entry in items(section(pod, "status"), "conditions")]
        for condition in conditions:
            if condition.get("type") == "Ready":
                condition |= {"status": "False", "lastTransitionTime": rfc3339(now)}
        meta = pod["metadata"]
        body = {"status": {"conditions": conditions}}
        revision = cluster[PODS].revision(pod)
        plan.writes.append(Patch(PODS, meta["namespace"], meta["name"], body, "status", revision))


def _is_static(pod: Json) -> bool:
    return "kubernetes.io/config.mirror" in section(pod, "metadata", "annotations")


def _evict(node: Json, pods: list[Json], plan: Plan, now: int, random: RandomBits) -> None:
    taints = [taint for taint in items(section(node, "spec"), "taints") if taint.get("effect") == "NoExecute"]
    for pod in pods if taints else []:
        if is_going(pod) or _is_static(pod):
            continue
        moment = eviction_time(pod, taints, now)
        if moment is None:
            continue
        if moment > now:
            plan.again_at(moment)
            continue
        meta = pod["metadata"]
        plan.writes.append(Delete(PODS, meta["namespace"], meta["name"], meta["uid"]))
        text = f"Marking for deletion Pod {meta['namespace']}/{meta['name']}"
        about = About("taint-eviction-controller", pod, "v1", "Pod")
        plan.writes.append(event(about, hexadecimal(random, 16), rfc3339(now), "TaintManagerEviction", text))


def eviction_time(pod: Json, taints: list[Json], now: int) -> int | None:
    """When a pod has to go because of NoExecute taints; None: never."""
    earliest: int | None = None
    for taint in taints:
        covering = [entry for entry in items(section(pod, "spec"), "tolerations") if tolerates(entry, taint)]
        if not covering:
            return now
        limits = [entry["tolerationSeconds"] for entry in covering if entry.get("tolerationSeconds") is not None]
        if not limits:
            continue
        added = parse(taint.get("timeAdded")) or now
        moment = added + max(0, min(limits)) * SECOND
        earliest = moment if earliest is None else min(earliest, moment)
    return earliest
