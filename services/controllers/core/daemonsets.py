"""DaemonSets: one pod on every node that fits (kubernetes `pkg/controller/daemon`).

Each pod is bound to its node by a node affinity on metadata.name, which the scheduler honours; a template's revision is
the pods' label controller-revision-hash, and its history ControllerRevisions.
"""

from typing import Any, Final

from podwire.proto.kube.json_objects import items, section
from podwire.proto.kube.resources import DAEMON_SETS, NODES, PODS
from podwire.proto.kube.selection import matches_node, untolerated
from podwire.proto.kube.times import parse, rfc3339
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.chance import RandomBits, hexadecimal, name_suffix
from podwire.services.controllers.core import pods as judge
from podwire.services.controllers.core import revisions
from podwire.services.controllers.core.cluster import Cluster, is_going
from podwire.services.controllers.core.revisions import HASH_LABEL
from podwire.services.controllers.core.templates import pod_from
from podwire.services.controllers.core.writes import About, Create, Delete, Json, Patch, Plan, event

_COMPONENT: Final = "daemonset-controller"
_TOLERATED: Final = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)
_HOST_TOLERATED: Final = ("node.kubernetes.io/network-unavailable", "NoSchedule")


def tolerations(spec: Json) -> list[Json]:
    """The template's tolerations and those that every daemon has (AddOrUpdateDaemonPodTolerations)."""
    pairs = [*_TOLERATED, _HOST_TOLERATED] if spec.get("hostNetwork") else list(_TOLERATED)
    own = [entry for entry in items(spec, "tolerations") if (entry.get("key"), entry.get("effect")) not in pairs]
    return own + [{"key": key, "operator": "Exists", "effect": effect} for key, effect in pairs]


def target_node(pod: Json) -> str:
    """The node a daemon pod is on or is meant for."""
    spec = section(pod, "spec")
    if spec.get("nodeName"):
        return str(spec["nodeName"])
    required = section(spec, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    for term in items(required, "nodeSelectorTerms"):
        for field in items(term, "matchFields"):
            if field.get("key") == "metadata.name":
                return str(items(field, "values")[0])
    return ""


def decide(key: ObjectKey, cluster: Cluster, now: int, random: RandomBits) -> Plan:
    """The writes that one DaemonSet needs."""
    plan = Plan()
    daemon_set = cluster[DAEMON_SETS].objects.get(key)
    if daemon_set is None:
        return plan
    by_node: dict[str, list[Json]] = {}
    for pod in cluster[PODS].owned_by(daemon_set["metadata"]["uid"]):
        by_node.setdefault(target_node(pod), []).append(pod)
    fitting = [node for node in cluster[NODES].all() if _should_run(daemon_set, node)]
    kept = revisions.keep(DAEMON_SETS, daemon_set, cluster, plan)
    digest = kept.digest
    if not is_going(daemon_set):
        _place(daemon_set, fitting, by_node, digest, plan, now, random)
        _give_up(daemon_set, cluster, by_node, digest, plan)
        _roll(daemon_set, fitting, by_node, digest, plan, now, random)
    revisions.truncate(daemon_set, _in_use(daemon_set, kept.name, by_node), cluster, plan)
    _status(daemon_set, cluster, fitting, by_node, digest, plan, now)
    return plan


def _in_use(daemon_set: Json, name: str, by_node: dict[str, list[Json]]) -> set[str]:
    """The names of the revisions that its pods are made from."""
    labels = [section(pod, "metadata", "labels") for pods in by_node.values() for pod in pods]
    return {name, *(f"{daemon_set['metadata']['name']}-{entry.get(HASH_LABEL, '')}" for entry in labels)}


def _should_run(daemon_set: Json, node: Json) -> bool:
    spec = section(daemon_set, "spec", "template", "spec")
    taints = items(section(node, "spec"), "taints")
    return matches_node(spec, node) and untolerated(taints, tolerations(spec)) is None


def _should_continue(daemon_set: Json, node: Json) -> bool:
    """A pod stays although a NoSchedule taint came."""
    spec = section(daemon_set, "spec", "template", "spec")
    taints = items(section(node, "spec"), "taints")
    return matches_node(spec, node) and untolerated(taints, tolerations(spec), ("NoExecute",)) is None


def _place(
    daemon_set: Json,
    fitting: list[Json],
    by_node: dict[str, list[Json]],
    digest: str,
    plan: Plan,
    now: int,
    random: RandomBits,
) -> None:
    for node in fitting:
        name = node["metadata"]["name"]
        if not any(not judge.is_over(pod) for pod in by_node.get(name, [])) and not is_going(node):
            _create(daemon_set, name, digest, plan, now, random)


def _create(daemon_set: Json, node: str, digest: str, plan: Plan, now: int, random: RandomBits) -> None:
    about = About(_COMPONENT, daemon_set, DAEMON_SETS.api_version, DAEMON_SETS.kind)
    pod = _pod(daemon_set, node, digest, random)
    plan.writes.append(Create(PODS, pod))
    text = f"Created pod: {pod['metadata']['name']}"
    plan.writes.append(event(about, hexadecimal(random, 16), rfc3339(now), "SuccessfulCreate", text))


def _pod(daemon_set: Json, node: str, digest: str, random: RandomBits) -> Json:
    generation = str(daemon_set["metadata"].get("generation", 1))
    labels = {HASH_LABEL: digest, "pod-template-generation": generation}
    pod = pod_from(DAEMON_SETS, daemon_set, name_suffix(random), labels)
    spec = pod["spec"]
    affinity = spec.setdefault("affinity", {}).setdefault("nodeAffinity", {})
    affinity["requiredDuringSchedulingIgnoredDuringExecution"] = {
        "nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}]
    }
    spec["tolerations"] = tolerations(spec)
    return pod


def _give_up(daemon_set: Json, cluster: Cluster, by_node: dict[str, list[Json]], digest: str, plan: Plan) -> None:
    """Pods on nodes that fit no more, pods that failed, all but the oldest of a node (in surge, of each template)."""
    for name in sorted(by_node):
        node = cluster[NODES].get("", name)
        alive = [pod for pod in by_node[name] if judge.is_active(pod)]
        alive.sort(key=lambda pod: (parse(pod["metadata"].get("creationTimestamp")), pod["metadata"]["name"]))
        stays = node is not None and _should_continue(daemon_set, node)
        surplus = _surplus(daemon_set, alive, digest) if stays else alive
        over = [pod for pod in by_node[name] if judge.is_over(pod) and not is_going(pod)]
        for pod in surplus + over:
            plan.writes.append(_delete(pod))


def _surplus(daemon_set: Json, alive: list[Json], digest: str) -> list[Json]:
    if not _surge_of(daemon_set, 1):
        return alive[1:]
    new = [pod for pod in alive if _is_of(pod, digest)]
    old = [pod for pod in alive if not _is_of(pod, digest)]
    return new[1:] + old[1:]


def _is_of(pod: Json, digest: str) -> bool:
    return bool(section(pod, "metadata", "labels").get(HASH_LABEL) == digest)


def _surge_of(daemon_set: Json, nodes: int) -> int:
    """On how many nodes a new pod may run beside the old one (KEP-1591)."""
    strategy = section(daemon_set, "spec", "updateStrategy")
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return 0
    value = section(strategy, "rollingUpdate").get("maxSurge", 0)
    return 0 if value in (0, "0%") else _count(value, nodes)


def _delete(pod: Json) -> Delete:
    meta = pod["metadata"]
    return Delete(PODS, meta["namespace"], meta["name"], meta["uid"])


def _roll(
    daemon_set: Json,
    fitting: list[Json],
    by_node: dict[str, list[Json]],
    digest: str,
    plan: Plan,
    now: int,
    random: RandomBits,
) -> None:
    """Pods of an older template go: as many at once as may be unavailable, or each once its successor is available."""
    strategy = section(daemon_set, "spec", "updateStrategy")
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return
    surge = _surge_of(daemon_set, len(fitting))
    if surge:
        names = [node["metadata"]["name"] for node in fitting]
        for name in _surge(daemon_set, names, by_node, digest, surge, plan, now):
            _create(daemon_set, name, digest, plan, now, random)
        return
    allowed = _count(section(strategy, "rollingUpdate").get("maxUnavailable", 1), len(fitting))
    unavailable, outdated = 0, []
    for node in fitting:
        alive = [pod for pod in by_node.get(node["metadata"]["name"], []) if judge.is_active(pod)]
        if not alive or not judge.is_ready(alive[0]):
            unavailable += 1
        outdated += [pod for pod in alive[:1] if section(pod, "metadata", "labels").get(HASH_LABEL) != digest]
    unready = [pod for pod in outdated if not judge.is_ready(pod)]
    ready = [pod for pod in outdated if judge.is_ready(pod)]
    plan.writes += [_delete(pod) for pod in unready + ready[: max(0, allowed - unavailable)]]


def _surge(
    daemon_set: Json, names: list[str], by_node: dict[str, list[Json]], digest: str, surge: int, plan: Plan, now: int
) -> list[str]:
    """Where a new pod comes beside the old one; old pods whose successor is available go."""
    minimum = section(daemon_set, "spec").get("minReadySeconds", 0)
    broken: list[str] = []
    healthy: list[str] = []
    for name in names:
        alive = [pod for pod in by_node.get(name, []) if judge.is_active(pod)]
        new = [pod for pod in alive if _is_of(pod, digest)]
        old = [pod for pod in alive if not _is_of(pod, digest)]
        if new and old:
            available, moment = judge.available(new, minimum, now)
            plan.again_at(moment)
            surge -= 1
            plan.writes += [_delete(pod) for pod in old] if available else []
        elif old:
            (healthy if judge.is_ready(old[0]) else broken).append(name)
    return broken + healthy[: max(0, surge)]


def _count(value: Any, whole: int) -> int:
    if isinstance(value, str):
        return max(1, -(-whole * int(value.removesuffix("%") or 0) // 100))
    return int(value)


def _status(
    daemon_set: Json,
    cluster: Cluster,
    fitting: list[Json],
    by_node: dict[str, list[Json]],
    digest: str,
    plan: Plan,
    now: int,
) -> None:
    meta, minimum = daemon_set["metadata"], section(daemon_set, "spec").get("minReadySeconds", 0)
    wanted_on = [node["metadata"]["name"] for node in fitting]
    placed = [pods[0] for name in wanted_on if (pods := [pod for pod in by_node.get(name, []) if judge.is_active(pod)])]
    available, moment = judge.available(placed, minimum, now)
    plan.again_at(moment)
    status = {
        "desiredNumberScheduled": len(fitting),
        "currentNumberScheduled": len(placed),
        "numberMisscheduled": sum(_any_active(by_node[name]) for name in by_node if name not in wanted_on),
        "numberReady": sum(judge.is_ready(pod) for pod in placed),
        "updatedNumberScheduled": sum(section(pod, "metadata", "labels").get(HASH_LABEL) == digest for pod in placed),
        "numberAvailable": available,
        "numberUnavailable": len(fitting) - available,
        "observedGeneration": meta.get("generation", 0),
    }
    current = section(daemon_set, "status")
    if any(current.get(name, 0) != value for name, value in status.items()):
        revision = cluster[DAEMON_SETS].revision(daemon_set)
        body = {"status": status}
        plan.writes.append(Patch(DAEMON_SETS, meta["namespace"], meta["name"], body, "status", revision))


def _any_active(pods: list[Json]) -> bool:
    return any(judge.is_active(pod) for pod in pods)
