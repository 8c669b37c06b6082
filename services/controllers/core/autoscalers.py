"""HorizontalPodAutoscalers: a workload's replicas within bounds.

Source: kubernetes `pkg/controller/podautoscaler/horizontal.go`. podwire has no metrics API, as a cluster without
metrics-server: the bounds are kept, and the conditions and Events say that metrics cannot be had, as they do there.
"""

from typing import Final

from podwire.proto.kube.json_objects import items, section
from podwire.proto.kube.resources import AUTOSCALERS, DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS, Resource
from podwire.proto.kube.times import rfc3339
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.chance import RandomBits, hexadecimal
from podwire.services.controllers.core.cluster import Cluster
from podwire.services.controllers.core.writes import About, Json, Patch, Plan, event

_COMPONENT: Final = "horizontal-pod-autoscaler"
_TARGETS: Final = {(each.kind, each.group): each for each in (DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS)}
_ABLE: Final = "the HPA controller was able to get the target's current scale"
_NO_METRICS: Final = (
    "unable to get metrics for resource {0}: unable to fetch metrics from resource metrics API: "
    "the server could not find the requested resource (get pods.metrics.k8s.io)"
)


def decide(key: ObjectKey, cluster: Cluster, now: int, random: RandomBits) -> Plan:
    """The scale and the status that one autoscaler needs."""
    plan = Plan()
    scaler = cluster[AUTOSCALERS].objects.get(key)
    if scaler is None:
        return plan
    about = About(_COMPONENT, scaler, AUTOSCALERS.api_version, AUTOSCALERS.kind)
    spec, conditions = section(scaler, "spec"), _Conditions(scaler, now)
    resource, target = _target(scaler, cluster)
    if resource is None or target is None:
        reference = section(spec, "scaleTargetRef")
        text = f"the HPA controller was unable to get the target's current scale: {reference.get('kind', '').lower()}s"
        conditions.set("AbleToScale", "False", "FailedGetScale", f'{text} "{reference.get("name", "")}" not found')
        _write(scaler, {"currentReplicas": 0, "desiredReplicas": 0}, conditions, cluster, plan)
        return plan
    replicas = section(target, "spec").get("replicas", 1)
    wanted, reason, text = _within(replicas, spec)
    conditions.set("AbleToScale", "True", "SucceededGetScale", _ABLE)
    if replicas == 0:
        off = "scaling is disabled since the replica count of the target is zero"
        conditions.set("ScalingActive", "False", "ScalingDisabled", off)
    elif wanted != replicas:
        conditions.set("ScalingLimited", "True", reason, text)
        _scale(resource, target, wanted, cluster, plan)
        said = f"New size: {wanted}; reason: {text}"
        plan.writes.append(event(about, hexadecimal(random, 16), rfc3339(now), "SuccessfulRescale", said))
    else:
        _say_no_metrics(spec, conditions, about, plan, now, random)
    _write(scaler, {"currentReplicas": replicas, "desiredReplicas": wanted}, conditions, cluster, plan)
    return plan


def _target(scaler: Json, cluster: Cluster) -> tuple[Resource | None, Json | None]:
    reference = section(scaler, "spec", "scaleTargetRef")
    group = str(reference.get("apiVersion", "")).rpartition("/")[0]
    resource = _TARGETS.get((reference.get("kind", ""), group))
    if resource is None:
        return None, None
    return resource, cluster[resource].get(scaler["metadata"]["namespace"], reference.get("name", ""))


def _within(replicas: int, spec: Json) -> tuple[int, str, str]:
    least, most = spec.get("minReplicas", 1), spec.get("maxReplicas", 1)
    if replicas > most:
        return most, "TooManyReplicas", "Current number of replicas above Spec.MaxReplicas"
    if 0 < replicas < least:
        return least, "TooFewReplicas", "Current number of replicas below Spec.MinReplicas"
    return replicas, "DesiredWithinRange", "the desired count is within the acceptable range"


def _scale(resource: Resource, target: Json, wanted: int, cluster: Cluster, plan: Plan) -> None:
    meta = target["metadata"]
    revision = cluster[resource].revision(target)
    body = {"spec": {"replicas": wanted}}
    plan.patch(Patch(resource, meta["namespace"], meta["name"], body, revision=revision))


def _say_no_metrics(
    spec: Json, conditions: "_Conditions", about: About, plan: Plan, now: int, random: RandomBits
) -> None:
    """ScalingActive is False; said once, since the condition does not change after that."""
    metrics = items(spec, "metrics")
    first = section(metrics[0], "resource").get("name", "cpu") if metrics else "cpu"
    why = _NO_METRICS.format(first)
    text = f"the HPA was unable to compute the replica count: failed to get {first} utilization: {why}"
    if conditions.set("ScalingActive", "False", "FailedGetResourceMetric", text):
        said = f"failed to get {first} utilization: {why}"
        suffix = hexadecimal(random, 16)
        plan.writes.append(event(about, suffix, rfc3339(now), "FailedGetResourceMetric", said, "Warning"))


class _Conditions:
    """The conditions of one autoscaler, in the order in which they appeared."""

    def __init__(self, scaler: Json, now: int) -> None:
        self._now = now
        self.values: list[Json] = [dict(entry) for entry in items(section(scaler, "status"), "conditions")]

    def set(self, kind: str, status: str, reason: str, message: str) -> bool:
        """Sets one; whether that changed anything."""
        old = next((entry for entry in self.values if entry["type"] == kind), None)
        if old is not None and (old["status"], old["reason"], old["message"]) == (status, reason, message):
            return False
        since = rfc3339(self._now) if old is None or old["status"] != status else old["lastTransitionTime"]
        made = {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since}
        if old is None:
            self.values.append(made)
        else:
            self.values[self.values.index(old)] = made
        return True


def _write(scaler: Json, counts: Json, conditions: _Conditions, cluster: Cluster, plan: Plan) -> None:
    meta, before = scaler["metadata"], section(scaler, "status")
    status = {**counts, "conditions": conditions.values}
    if {name: before.get(name, 0 if name != "conditions" else []) for name in status} != status:
        revision = cluster[AUTOSCALERS].revision(scaler)
        plan.patch(Patch(AUTOSCALERS, meta["namespace"], meta["name"], {"status": status}, "status", revision))
