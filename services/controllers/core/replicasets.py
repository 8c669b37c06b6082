"""ReplicaSets: as many pods as wanted (kubernetes `pkg/controller/replicaset`)."""

from typing import Final

from podwire.proto.kube.json_objects import section
from podwire.proto.kube.resources import PODS, REPLICA_SETS
from podwire.proto.kube.times import rfc3339
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.chance import RandomBits, hexadecimal, name_suffix
from podwire.services.controllers.core import pods as judge
from podwire.services.controllers.core.cluster import Cluster, is_going
from podwire.services.controllers.core.ownership import own_pods
from podwire.services.controllers.core.templates import pod_from
from podwire.services.controllers.core.writes import About, Create, Delete, Json, Patch, Plan, event

_BURST: Final = 500
_COMPONENT: Final = "replicaset-controller"


def decide(key: ObjectKey, cluster: Cluster, now: int, random: RandomBits) -> Plan:
    """The writes that one ReplicaSet needs."""
    plan = Plan()
    replica_set = cluster[REPLICA_SETS].objects.get(key)
    if replica_set is None:
        return plan
    owned = own_pods(REPLICA_SETS, replica_set, cluster, plan)
    active = [pod for pod in owned if judge.is_active(pod)]
    if not is_going(replica_set):
        difference = section(replica_set, "spec").get("replicas", 1) - len(active)
        if difference > 0:
            _create(replica_set, min(difference, _BURST), plan, now, random)
        elif difference < 0:
            _delete(replica_set, active, -difference, plan, now, random)
    _status(replica_set, active, cluster, plan, now)
    return plan


def _create(replica_set: Json, count: int, plan: Plan, now: int, random: RandomBits) -> None:
    about = About(_COMPONENT, replica_set, REPLICA_SETS.api_version, REPLICA_SETS.kind)
    for _ in range(count):
        pod = pod_from(REPLICA_SETS, replica_set, name_suffix(random))
        plan.writes.append(Create(PODS, pod))
        text = f"Created pod: {pod['metadata']['name']}"
        plan.writes.append(event(about, hexadecimal(random, 16), rfc3339(now), "SuccessfulCreate", text))


def _delete(replica_set: Json, active: list[Json], count: int, plan: Plan, now: int, random: RandomBits) -> None:
    about = About(_COMPONENT, replica_set, REPLICA_SETS.api_version, REPLICA_SETS.kind)
    crowd: dict[str, int] = {}
    for pod in active:
        node = section(pod, "spec").get("nodeName", "")
        crowd[node] = crowd.get(node, 0) + 1

    def order(pod: Json) -> object:
        return judge.deletion_order(pod, crowd[section(pod, "spec").get("nodeName", "")])

    for pod in sorted(active, key=order)[:count]:  # type: ignore[arg-type]  # tuples of one shape
        meta = pod["metadata"]
        plan.writes.append(Delete(PODS, meta["namespace"], meta["name"], meta["uid"]))
        text = f"Deleted pod: {meta['name']}"
        plan.writes.append(event(about, hexadecimal(random, 16), rfc3339(now), "SuccessfulDelete", text))


def _status(replica_set: Json, active: list[Json], cluster: Cluster, plan: Plan, now: int) -> None:
    meta, spec = replica_set["metadata"], section(replica_set, "spec")
    template_labels = section(spec, "template", "metadata", "labels")
    available, moment = judge.available(active, spec.get("minReadySeconds", 0), now)
    plan.again_at(moment)
    wanted: Json = {
        "replicas": len(active),
        "fullyLabeledReplicas": sum(
            template_labels.items() <= section(pod, "metadata", "labels").items() for pod in active
        ),
        "readyReplicas": sum(judge.is_ready(pod) for pod in active),
        "availableReplicas": available,
        "observedGeneration": meta.get("generation", 0),
    }
    current = section(replica_set, "status")
    if any(current.get(name, 0) != value for name, value in wanted.items()):
        body = {"status": wanted}
        revision = cluster[REPLICA_SETS].revision(replica_set)
        plan.writes.append(Patch(REPLICA_SETS, meta["namespace"], meta["name"], body, "status", revision))
