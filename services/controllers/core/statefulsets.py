"""StatefulSets: pods with stable names, storage and order.

Source: kubernetes `pkg/controller/statefulset/stateful_set_{control,utils}.go`. A pod's place is its ordinal;
OrderedReady takes one step at a time and waits until the pod of that step is ready, Parallel takes all at once; a roll-
over goes from the highest ordinal down to the partition, one pod at a time.
"""

from typing import Final, NamedTuple

from podwire.proto.kube.json_objects import section
from podwire.proto.kube.resources import CONTROLLER_REVISIONS, PODS, STATEFUL_SETS
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.chance import RandomBits
from podwire.services.controllers.core import pods as judge
from podwire.services.controllers.core import revisions, stateful_storage
from podwire.services.controllers.core.cluster import Cluster, is_going
from podwire.services.controllers.core.ownership import own_pods
from podwire.services.controllers.core.revisions import HASH_LABEL
from podwire.services.controllers.core.stateful_pods import new_pod, ordinal_of
from podwire.services.controllers.core.stateful_status import status_of
from podwire.services.controllers.core.turn import Turn
from podwire.services.controllers.core.writes import About, Create, Delete, Json, Patch, Plan

_COMPONENT: Final = "statefulset-controller"


class _Set(NamedTuple):
    """One StatefulSet with its pods and revisions."""

    value: Json
    first: int
    replicas: int
    current: str
    update: str
    pods: dict[int, Json]
    is_ordered: bool

    @property
    def spec(self) -> Json:
        return section(self.value, "spec")

    @property
    def name(self) -> str:
        return str(self.value["metadata"]["name"])

    @property
    def ordinals(self) -> range:
        """The wanted ordinals."""
        return range(self.first, self.first + self.replicas)

    @property
    def condemned(self) -> list[int]:
        """Ordinals beyond the wanted ones, highest first."""
        return sorted((number for number in self.pods if number not in self.ordinals), reverse=True)


def decide(key: ObjectKey, cluster: Cluster, now: int, random: RandomBits) -> Plan:
    """The writes that one StatefulSet needs."""
    plan = Plan()
    value = cluster[STATEFUL_SETS].objects.get(key)
    if value is None:
        return plan
    pods = own_pods(STATEFUL_SETS, value, cluster, plan)
    update = revisions.keep(STATEFUL_SETS, value, cluster, plan)
    current = section(value, "status").get("currentRevision") or update.name
    group = _group(value, pods, current, update.name)
    turn = Turn(plan, cluster, now, random)
    if not is_going(value):
        _scale_and_roll(group, turn)
        stateful_storage.keep_owners(value, group.condemned, group.pods, cluster, plan)
    in_use = {current, update.name, *(revision_of(pod) for pod in group.pods.values())}
    revisions.truncate(value, in_use, cluster, plan)
    _write_status(group, turn)
    return plan


def _group(value: Json, pods: list[Json], current: str, update: str) -> _Set:
    spec = section(value, "spec")
    name = value["metadata"]["name"]
    placed = {number: pod for pod in pods if (number := ordinal_of(pod, name)) is not None}
    first = section(spec, "ordinals").get("start", 0)
    ordered = spec.get("podManagementPolicy", "OrderedReady") == "OrderedReady"
    return _Set(value, first, spec.get("replicas", 1), current, update, placed, ordered)


def revision_of(pod: Json) -> str:
    """The revision that a pod was made from."""
    return str(section(pod, "metadata", "labels").get(HASH_LABEL, ""))


def _scale_and_roll(group: _Set, turn: Turn) -> None:
    """Up first, then down, then over; an unfinished step of an ordered set ends the turn."""
    if _scale_up(group, turn) and _scale_down(group, turn):
        _roll(group, turn)


def _scale_up(group: _Set, turn: Turn) -> bool:
    """Makes what is missing; whether the next step may follow."""
    complete = True
    for number in group.ordinals:
        pod = group.pods.get(number)
        if pod is None:
            _create(group, number, turn)
        elif judge.is_over(pod) and not is_going(pod):
            _delete(group, pod, turn)
        elif _settled(group, pod, turn):
            continue
        complete = False
        if group.is_ordered:
            return False
    return complete or not group.is_ordered


def _settled(group: _Set, pod: Json, turn: Turn) -> bool:
    """Whether a pod runs, is ready, stays, and has been so for minReadySeconds."""
    if is_going(pod) or not judge.is_ready(pod):
        return False
    moment = judge.available_at(pod, group.spec.get("minReadySeconds", 0))
    if moment is None or moment > turn.now:
        if moment is not None:
            turn.plan.again_at(moment)
        return False
    return True


def _scale_down(group: _Set, turn: Turn) -> bool:
    """Gives up ordinals from the highest; an ordered set waits for each, and for unhealthy pods below."""
    unhealthy = [number for number, pod in sorted(group.pods.items()) if is_going(pod) or not judge.is_ready(pod)]
    for number in group.condemned:
        pod = group.pods[number]
        if is_going(pod):
            if group.is_ordered:
                return False
            continue
        blocked = unhealthy and unhealthy[0] != number and not judge.is_ready(pod)
        if group.is_ordered and blocked:
            return False
        _delete(group, pod, turn)
        if group.is_ordered:
            return False
    return True


def _roll(group: _Set, turn: Turn) -> None:
    """Replaces pods of another revision, from the highest ordinal to the partition, one at a time."""
    strategy = section(group.spec, "updateStrategy")
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return
    lowest = group.first + section(strategy, "rollingUpdate").get("partition", 0)
    for number in reversed(group.ordinals):
        pod = group.pods.get(number)
        if number < lowest or pod is None:
            return
        if revision_of(pod) != group.update and not is_going(pod):
            _delete(group, pod, turn)
            return
        if not _settled(group, pod, turn):
            return


def _template_for(group: _Set, number: int, cluster: Cluster) -> tuple[Json, str]:
    """The template and revision of a new pod: below the partition the current one (newVersionedStatefulSetPod)."""
    strategy = section(group.spec, "updateStrategy")
    partition = section(strategy, "rollingUpdate").get("partition", 0)
    if strategy.get("type", "RollingUpdate") == "RollingUpdate" and number < group.first + partition:
        kept = cluster[CONTROLLER_REVISIONS].get(group.value["metadata"]["namespace"], group.current)
        if kept is not None:
            return revisions.template_of(kept), group.current
    return section(group.spec, "template"), group.update


def _create(group: _Set, number: int, turn: Turn) -> None:
    template, revision = _template_for(group, number, turn.cluster)
    pod = new_pod(group.value, template, number, revision)
    for claim in stateful_storage.missing_claims(group.value, number, turn.cluster):
        turn.plan.writes.append(claim)
        name = claim.body["metadata"]["name"]
        text = f"create Claim {name} Pod {pod['metadata']['name']} in StatefulSet {group.name} success"
        _say(group, turn, "SuccessfulCreate", text)
    turn.plan.writes.append(Create(PODS, pod))
    text = f"create Pod {pod['metadata']['name']} in StatefulSet {group.name} successful"
    _say(group, turn, "SuccessfulCreate", text)


def _delete(group: _Set, pod: Json, turn: Turn) -> None:
    meta = pod["metadata"]
    turn.plan.writes.append(Delete(PODS, meta["namespace"], meta["name"], meta["uid"]))
    _say(group, turn, "SuccessfulDelete", f"delete Pod {meta['name']} in StatefulSet {group.name} successful")


def _say(group: _Set, turn: Turn, reason: str, text: str) -> None:
    about = About(_COMPONENT, group.value, STATEFUL_SETS.api_version, STATEFUL_SETS.kind)
    turn.say(about, reason, text)


def _write_status(group: _Set, turn: Turn) -> None:
    labelled = [(revision_of(pod), pod) for pod in group.pods.values()]
    status = status_of(group.value, labelled, group.current, group.update, turn.plan, turn.now)
    if status is None:
        return
    meta = group.value["metadata"]
    revision = turn.cluster[STATEFUL_SETS].revision(group.value)
    patch = Patch(STATEFUL_SETS, meta["namespace"], meta["name"], {"status": status}, "status", revision)
    turn.plan.patch(patch)
