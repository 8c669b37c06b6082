"""PodDisruptionBudgets: how many pods may be evicted now.

Source: kubernetes `pkg/controller/disruption/disruption.go`. A pod that the API server evicted is named in the status
until it is seen going, two minutes at most, so that it counts as gone at once.
"""

from typing import Any, Final

from podwire.proto.kube.json_objects import items, section
from podwire.proto.kube.resources import DEPLOYMENTS, DISRUPTION_BUDGETS, PODS, REPLICA_SETS, STATEFUL_SETS
from podwire.proto.kube.selection import matches_selector
from podwire.proto.kube.times import SECOND, parse, rfc3339
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.chance import RandomBits
from podwire.services.controllers.core import pods as judge
from podwire.services.controllers.core.cluster import Cluster, controller_of, is_going
from podwire.services.controllers.core.writes import Json, Patch, Plan

_PATIENCE: Final = 120 * SECOND
_SCALED: Final = {resource.kind: resource for resource in (DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS)}


def decide(key: ObjectKey, cluster: Cluster, now: int, random: RandomBits) -> Plan:
    """The status that one budget needs."""
    plan = Plan()
    budget = cluster[DISRUPTION_BUDGETS].objects.get(key)
    if budget is None:
        return plan
    pods = _pods(budget, cluster)
    disrupted = _still_disrupted(budget, pods, plan, now)
    healthy = sum(_is_healthy(pod, disrupted) for pod in pods)
    expected, wanted = _bounds(budget, pods, cluster)
    allowed = max(0, healthy - wanted) if expected > 0 else 0
    status: Json = {
        "disruptionsAllowed": allowed,
        "currentHealthy": healthy,
        "desiredHealthy": wanted,
        "expectedPods": expected,
        "observedGeneration": budget["metadata"].get("generation", 0),
        "disruptedPods": disrupted,
    }
    _write(budget, status, cluster, plan, now)
    return plan


def _pods(budget: Json, cluster: Cluster) -> list[Json]:
    selector = section(budget, "spec").get("selector")
    if selector is None:
        return []
    return [
        pod
        for pod in cluster[PODS].in_namespace(budget["metadata"]["namespace"])
        if matches_selector(selector, section(pod, "metadata", "labels")) and not judge.is_over(pod)
    ]


def _is_healthy(pod: Json, disrupted: Json) -> bool:
    return judge.is_ready(pod) and not is_going(pod) and pod["metadata"]["name"] not in disrupted


def _still_disrupted(budget: Json, pods: list[Json], plan: Plan, now: int) -> Json:
    """Evicted pods that are not seen going yet."""
    present = {pod["metadata"]["name"]: pod for pod in pods if not is_going(pod)}
    kept: Json = {}
    for name, moment in section(budget, "status", "disruptedPods").items():
        due = parse(moment) + _PATIENCE
        if name in present and due > now:
            kept[name] = moment
            plan.again_at(due)
    return kept


def _bounds(budget: Json, pods: list[Json], cluster: Cluster) -> tuple[int, int]:
    """How many pods are expected, and how many of them must be healthy."""
    spec = section(budget, "spec")
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    if most is not None:
        expected = _expected_by_owners(pods, cluster)
        return expected, max(0, expected - _scaled(most, expected))
    if isinstance(least, str):
        expected = _expected_by_owners(pods, cluster)
        return expected, _scaled(least, expected)
    return len(pods), int(least or 0) if least is not None else 1


def _scaled(value: Any, whole: int) -> int:
    """A number, or a percentage of the whole rounded up."""
    if isinstance(value, str):
        digits = value.removesuffix("%")
        return -(-whole * int(digits) // 100) if digits.isascii() and digits.isdigit() else 0
    return int(value)


def _expected_by_owners(pods: list[Json], cluster: Cluster) -> int:
    """The replicas that the pods' controllers ask for, each counted once; a pod without one counts by itself."""
    owners: dict[str, int] = {}
    for pod in pods:
        uid, replicas = _scale_of(pod, cluster)
        owners[uid] = replicas
    return sum(owners.values())


def _scale_of(pod: Json, cluster: Cluster) -> tuple[str, int]:
    meta = pod["metadata"]
    found, uid, replicas = pod, str(meta["uid"]), 1
    while owner := controller_of(found):
        resource = _SCALED.get(owner.get("kind", ""))
        parent = cluster[resource].get(meta["namespace"], owner["name"]) if resource is not None else None
        if parent is None:
            break
        found, uid, replicas = parent, str(owner["uid"]), section(parent, "spec").get("replicas", 1)
    return uid, int(replicas)


def _write(budget: Json, status: Json, cluster: Cluster, plan: Plan, now: int) -> None:
    before, meta = section(budget, "status"), budget["metadata"]
    status["conditions"] = _conditions(before, status, meta, now)
    same = all(before.get(name, {} if name == "disruptedPods" else 0) == value for name, value in status.items())
    if same:
        return
    gone = {name: None for name in section(before, "disruptedPods") if name not in status["disruptedPods"]}
    body = {"status": {**status, "disruptedPods": {**status["disruptedPods"], **gone}}}
    revision = cluster[DISRUPTION_BUDGETS].revision(budget)
    plan.patch(Patch(DISRUPTION_BUDGETS, meta["namespace"], meta["name"], body, "status", revision))


def _conditions(before: Json, status: Json, meta: Json, now: int) -> list[Json]:
    allowed = status["disruptionsAllowed"] > 0
    state, reason = ("True", "SufficientPods") if allowed else ("False", "InsufficientPods")
    old: Json = next((entry for entry in items(before, "conditions") if entry.get("type") == "DisruptionAllowed"), {})
    others = [entry for entry in items(before, "conditions") if entry.get("type") != "DisruptionAllowed"]
    made = {
        "type": "DisruptionAllowed",
        "status": state,
        "observedGeneration": meta.get("generation", 0),
        "lastTransitionTime": old["lastTransitionTime"] if old.get("status") == state else rfc3339(now),
        "reason": reason,
        "message": "",
    }
    return [*others, made]
