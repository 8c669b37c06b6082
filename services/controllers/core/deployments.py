"""Deployments: one ReplicaSet per template, rolled over within maxSurge and maxUnavailable.

Source: kubernetes `pkg/controller/deployment/{rolling,recreate,sync,progress}.go`, `util/deployment_util.go`. Scaling
in the middle of a roll-over is shared in proportion (`proportions`).
"""

from typing import Any, Final, NamedTuple

from podwire.proto.kube.json_objects import copy_json, section
from podwire.proto.kube.resources import DEPLOYMENTS, PODS, REPLICA_SETS, Resource
from podwire.proto.kube.times import parse, rfc3339
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.chance import RandomBits, hexadecimal
from podwire.services.controllers.core.cluster import Cluster, is_going, owner_reference
from podwire.services.controllers.core.deployment_status import status_patch
from podwire.services.controllers.core.pods import is_over
from podwire.services.controllers.core.proportions import Share, sizes
from podwire.services.controllers.core.templates import template_hash
from podwire.services.controllers.core.writes import About, Create, Delete, Json, Patch, Plan, event

HASH_LABEL: Final = "pod-template-hash"
REVISION: Final = "deployment.kubernetes.io/revision"
_DESIRED: Final = "deployment.kubernetes.io/desired-replicas"
_MAXIMUM: Final = "deployment.kubernetes.io/max-replicas"
_NOT_COPIED: Final = ("kubectl.kubernetes.io/last-applied-configuration", REVISION, _DESIRED, _MAXIMUM)
_COMPONENT: Final = "deployment-controller"


class Limits(NamedTuple):
    """How far a roll-over may go over and under the wanted number."""

    surge: int
    unavailable: int


def limits(deployment: Json) -> Limits:
    """maxSurge rounded up, maxUnavailable rounded down, not both zero (ResolveFenceposts)."""
    spec = section(deployment, "spec")
    rolling, replicas = section(spec, "strategy", "rollingUpdate"), spec.get("replicas", 1)
    surge = _share(rolling.get("maxSurge", "25%"), replicas, True)
    unavailable = _share(rolling.get("maxUnavailable", "25%"), replicas, False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Limits(surge, min(unavailable, replicas))


def _share(value: Any, whole: int, up: bool) -> int:
    if isinstance(value, str):
        percent = int(value.removesuffix("%") or 0)
        return -(-whole * percent // 100) if up else whole * percent // 100
    return int(value)


class _Rollout:
    """One Deployment with its ReplicaSets, oldest first, and what is planned for them."""

    def __init__(self, deployment: Json, cluster: Cluster, plan: Plan, now: int, random: RandomBits) -> None:
        self.deployment, self.cluster, self.plan = deployment, cluster, plan
        self.now, self.random = now, random
        self.spec = section(deployment, "spec")
        self.replicas: int = self.spec.get("replicas", 1)
        owned = cluster[REPLICA_SETS].owned_by(deployment["metadata"]["uid"])
        owned.sort(key=lambda each: (parse(each["metadata"].get("creationTimestamp")), each["metadata"]["name"]))
        self.new = next((each for each in owned if _template(each) == _template(deployment)), None)
        self.old = [each for each in owned if each is not self.new]

    @property
    def everything(self) -> list[Json]:
        """Old and new."""
        return self.old + ([self.new] if self.new is not None else [])

    def scale(self, replica_set: Json, replicas: int) -> None:
        """Plans another size."""
        current = wanted(replica_set)
        if replicas == current:
            return
        meta = replica_set["metadata"]
        body = {"metadata": {"annotations": self.sizes()}, "spec": {"replicas": replicas}}
        revision = self.cluster[REPLICA_SETS].revision(replica_set)
        if self.plan.patch(Patch(REPLICA_SETS, meta["namespace"], meta["name"], body, revision=revision)):
            self.say_scaled(meta["name"], current, replicas)

    def resize(self, replica_set: Json, replicas: int) -> None:
        """Plans another size, or at least notes the sizes that it is made for now."""
        if wanted(replica_set) == replicas:
            _annotate(REPLICA_SETS, replica_set, self.sizes(), self)
        else:
            self.scale(replica_set, replicas)

    def say_scaled(self, name: str, before: int, after: int) -> None:
        """The ScalingReplicaSet event."""
        about = About(_COMPONENT, self.deployment, DEPLOYMENTS.api_version, DEPLOYMENTS.kind)
        direction = "up" if after > before else "down"
        text = f"Scaled {direction} replica set {name} from {before} to {after}"
        suffix = hexadecimal(self.random, 16)
        self.plan.writes.append(event(about, suffix, rfc3339(self.now), "ScalingReplicaSet", text))

    def sizes(self) -> dict[str, str]:
        """The annotations that say which sizes a ReplicaSet was made for."""
        maximum = self.replicas + (limits(self.deployment).surge if self.is_rolling else 0)
        return {_DESIRED: str(self.replicas), _MAXIMUM: str(maximum)}

    @property
    def is_rolling(self) -> bool:
        """RollingUpdate, not Recreate."""
        return bool(section(self.spec, "strategy").get("type", "RollingUpdate") == "RollingUpdate")


def wanted(replica_set: Json) -> int:
    """spec.replicas."""
    return int(section(replica_set, "spec").get("replicas", 1))


def available(replica_set: Json) -> int:
    """status.availableReplicas."""
    return int(section(replica_set, "status").get("availableReplicas", 0))


def _template(value: Json) -> Json:
    """A template without the hash label."""
    template: Json = copy_json(section(value, "spec", "template"))
    section(template, "metadata", "labels").pop(HASH_LABEL, None)
    return template


def _revision(value: Json) -> int:
    text = section(value, "metadata", "annotations").get(REVISION, "0")
    return int(text) if text.isdecimal() and len(text) < 18 else 0


def decide(key: ObjectKey, cluster: Cluster, now: int, random: RandomBits) -> Plan:
    """The writes that one Deployment needs."""
    plan = Plan()
    deployment = cluster[DEPLOYMENTS].objects.get(key)
    if deployment is None:
        return plan
    rollout = _Rollout(deployment, cluster, plan, now, random)
    if not is_going(deployment):
        _roll(rollout)
    _write_status(rollout)
    return plan


def _roll(rollout: _Rollout) -> None:
    if _is_scaling(rollout):
        _scale(rollout)
        return
    if rollout.spec.get("paused"):
        return
    if rollout.is_rolling:
        _rolling_update(rollout)
    else:
        _recreate(rollout)
    _note_revision(rollout)
    _forget_old(rollout)


def _is_scaling(rollout: _Rollout) -> bool:
    """Whether the Deployment's size is another one than its ReplicaSets were made for."""
    noted = [section(each, "metadata", "annotations").get(_DESIRED) for each in rollout.everything if wanted(each) > 0]
    return any(text is not None and text != str(rollout.replicas) for text in noted)


def _scale(rollout: _Rollout) -> None:
    """The only active ReplicaSet takes it all; several share it in proportion; a finished roll-over needs one."""
    active = [each for each in rollout.everything if wanted(each) > 0]
    new = rollout.new
    if len(active) == 1:
        rollout.resize(active[0], rollout.replicas)
    elif new is not None and wanted(new) == available(new) == rollout.replicas:
        for each in rollout.old:
            rollout.resize(each, 0)
    elif rollout.is_rolling:
        shares = [Share(_name(each), wanted(each), _made_for(each)) for each in active]
        chosen = sizes(shares, rollout.replicas, limits(rollout.deployment).surge)
        for each in active:
            rollout.resize(each, chosen[_name(each)])


def _made_for(replica_set: Json) -> int:
    text = section(replica_set, "metadata", "annotations").get(_MAXIMUM, "")
    return int(text) if text.isdecimal() and len(text) < 10 else wanted(replica_set)


def _rolling_update(rollout: _Rollout) -> None:
    new_size = _new_size(rollout)
    if rollout.new is None:
        _create(rollout, new_size)
        return
    if wanted(rollout.new) != new_size:
        rollout.scale(rollout.new, new_size)
        return
    _shrink_old(rollout)


def _new_size(rollout: _Rollout) -> int:
    """As many as maxSurge leaves room for (NewRSNewReplicas)."""
    current = wanted(rollout.new) if rollout.new is not None else 0
    if current > rollout.replicas:
        return rollout.replicas
    total = sum(wanted(each) for each in rollout.everything)
    room = rollout.replicas + limits(rollout.deployment).surge - total
    return current + max(0, min(room, rollout.replicas - current))


def _shrink_old(rollout: _Rollout) -> None:
    """Old ReplicaSets give up unhealthy pods first, then healthy ones, while enough stay available."""
    old = [each for each in rollout.old if wanted(each) > 0]
    if not old or rollout.new is None:
        return
    minimum = rollout.replicas - limits(rollout.deployment).unavailable
    new_missing = wanted(rollout.new) - available(rollout.new)
    may_go = sum(wanted(each) for each in rollout.everything) - minimum - new_missing
    if may_go <= 0:
        return
    sizes = {each["metadata"]["name"]: wanted(each) for each in old}
    _drop_unhealthy(old, sizes, may_go)
    spare = sum(available(each) for each in rollout.everything) - minimum
    for each in old:
        name = each["metadata"]["name"]
        give = max(0, min(spare, sizes[name], may_go - sum(wanted(other) - sizes[_name(other)] for other in old)))
        sizes[name] -= give
        spare -= give
    for each in old:
        rollout.scale(each, sizes[each["metadata"]["name"]])


def _name(value: Json) -> str:
    return str(value["metadata"]["name"])


def _drop_unhealthy(old: list[Json], sizes: dict[str, int], may_go: int) -> None:
    for each in old:
        drop = max(0, min(may_go, wanted(each) - available(each)))
        sizes[_name(each)] -= drop
        may_go -= drop


def _recreate(rollout: _Rollout) -> None:
    """All old pods go before the first new one comes."""
    for each in rollout.old:
        rollout.scale(each, 0)
    left = [pod for each in rollout.old for pod in rollout.cluster[PODS].owned_by(each["metadata"]["uid"])]
    if not all(is_over(pod) for pod in left):
        return
    if rollout.new is None:
        _create(rollout, rollout.replicas)
    else:
        rollout.scale(rollout.new, rollout.replicas)


def _create(rollout: _Rollout, replicas: int) -> None:
    meta = rollout.deployment["metadata"]
    template = _template(rollout.deployment)
    digest = template_hash(template)
    template.setdefault("metadata", {}).setdefault("labels", {})[HASH_LABEL] = digest
    selector = copy_json(section(rollout.spec, "selector"))
    selector.setdefault("matchLabels", {})[HASH_LABEL] = digest
    revision = str(max((_revision(each) for each in rollout.old), default=0) + 1)
    name = f"{meta['name']}-{digest}"
    body = {
        "metadata": {
            "name": name,
            "namespace": meta["namespace"],
            "labels": dict(template["metadata"]["labels"]),
            "annotations": {**_copied_annotations(rollout), **rollout.sizes(), REVISION: revision},
            "ownerReferences": [owner_reference(DEPLOYMENTS, rollout.deployment)],
        },
        "spec": {"replicas": replicas, "selector": selector, "template": template},
    }
    if "minReadySeconds" in rollout.spec:
        body["spec"]["minReadySeconds"] = rollout.spec["minReadySeconds"]
    rollout.plan.writes.append(Create(REPLICA_SETS, body))
    if replicas:
        rollout.say_scaled(name, 0, replicas)


def _copied_annotations(rollout: _Rollout) -> dict[str, str]:
    """What a ReplicaSet takes over from its Deployment, the change's cause among it."""
    given = section(rollout.deployment, "metadata", "annotations")
    return {key: text for key, text in given.items() if key not in _NOT_COPIED}


def _note_revision(rollout: _Rollout) -> None:
    """A template that is used again (an undo) gets the newest revision number; the Deployment shows it.

    The new ReplicaSet's annotations follow the Deployment's (SetNewReplicaSetAnnotations).
    """
    if rollout.new is None:
        return
    newest = max((_revision(each) for each in rollout.old), default=0)
    current = _revision(rollout.new)
    target = newest + 1 if current <= newest else current
    _annotate(REPLICA_SETS, rollout.new, {**_copied_annotations(rollout), REVISION: str(target)}, rollout)
    _annotate(DEPLOYMENTS, rollout.deployment, {REVISION: str(target)}, rollout)


def _annotate(resource: Resource, value: Json, wanted: dict[str, str], rollout: _Rollout) -> None:
    present = section(value, "metadata", "annotations")
    missing = {key: text for key, text in wanted.items() if present.get(key) != text}
    if missing:
        meta = value["metadata"]
        rollout.plan.patch(Patch(resource, meta["namespace"], meta["name"], {"metadata": {"annotations": missing}}))


def _forget_old(rollout: _Rollout) -> None:
    """Keeps revisionHistoryLimit empty ReplicaSets."""
    empty = [
        each
        for each in sorted(rollout.old, key=_revision)
        if wanted(each) == 0 and section(each, "status").get("replicas", 0) == 0 and not is_going(each)
    ]
    keep = rollout.spec.get("revisionHistoryLimit", 10)
    for each in empty[: max(0, len(empty) - keep)]:
        meta = each["metadata"]
        rollout.plan.writes.append(Delete(REPLICA_SETS, meta["namespace"], meta["name"], meta["uid"]))


def _write_status(rollout: _Rollout) -> None:
    deployment = rollout.deployment
    meta = deployment["metadata"]
    minimum = rollout.replicas - (limits(deployment).unavailable if rollout.is_rolling else 0)
    status, again = status_patch(deployment, rollout.everything, rollout.new, minimum, rollout.now)
    if again:
        rollout.plan.again_at(again)
    if status is not None:
        revision = rollout.cluster[DEPLOYMENTS].revision(deployment)
        patch = Patch(DEPLOYMENTS, meta["namespace"], meta["name"], {"status": status}, "status", revision)
        rollout.plan.patch(patch)
