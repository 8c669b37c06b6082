"""PersistentVolumes and their claims: binding, release, protection.

Source: kubernetes `pkg/controller/volume/persistentvolume/pv_controller.go`,
`pkg/controller/volume/{pvc,pv}protection`. A volume is bound first and its claim second, as upstream does, so that a
controller that dies in between finds its work.
"""

from typing import Final

from podwire.proto.kube.json_objects import items, section
from podwire.proto.kube.resources import PODS, STORAGE_CLASSES, VOLUME_CLAIMS, VOLUMES
from podwire.proto.kube.times import parse
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.chance import RandomBits
from podwire.services.controllers.core import pods as judge
from podwire.services.controllers.core.cluster import Cluster, is_going
from podwire.services.controllers.core.turn import Turn
from podwire.services.controllers.core.volume_matching import best, may_take
from podwire.services.controllers.core.volume_provisioning import provision, say_of_claim
from podwire.services.controllers.core.writes import Delete, Json, Patch, Plan

CLAIM_PROTECTION: Final = "kubernetes.io/pvc-protection"
VOLUME_PROTECTION: Final = "kubernetes.io/pv-protection"
_COMPLETED: Final = "pv.kubernetes.io/bind-completed"
_BY_CONTROLLER: Final = "pv.kubernetes.io/bound-by-controller"
_DEFAULT: Final = "storageclass.kubernetes.io/is-default-class"


def decide_claim(key: ObjectKey, cluster: Cluster, now: int, random: RandomBits) -> Plan:
    """The writes that one claim needs."""
    plan = Plan()
    claim = cluster[VOLUME_CLAIMS].objects.get(key)
    if claim is None:
        return plan
    turn = Turn(plan, cluster, now, random)
    if is_going(claim):
        _unprotect_claim(claim, turn)
    elif section(claim, "status").get("phase") != "Bound":
        _bind(claim, turn)
    elif cluster[VOLUMES].get("", section(claim, "spec").get("volumeName", "")) is None:
        _lose(claim, turn)
    return plan


def decide_volume(key: ObjectKey, cluster: Cluster, now: int, random: RandomBits) -> Plan:
    """The writes that one volume needs."""
    plan = Plan()
    volume = cluster[VOLUMES].objects.get(key)
    if volume is None:
        return plan
    turn = Turn(plan, cluster, now, random)
    claim = _claim_of(volume, cluster)
    if is_going(volume):
        _unprotect_volume(volume, claim, turn)
        return plan
    reference, phase = section(volume, "spec", "claimRef"), section(volume, "status").get("phase", "Pending")
    if not reference.get("uid"):
        _set_phase(volume, "Available", turn)
    elif claim is not None:
        _set_phase(volume, "Bound", turn)
    elif phase in ("Bound", "Released", "Available"):
        _release(volume, turn)
    return plan


# -- claims


def _bind(claim: Json, turn: Turn) -> None:
    if _take_default_class(claim, turn):
        return
    wanted = section(claim, "spec").get("volumeName", "")
    volume = turn.cluster[VOLUMES].get("", wanted) if wanted else best(claim, turn.cluster)
    if volume is None:
        if not wanted:
            provision(claim, turn)
        return
    reference = section(volume, "spec", "claimRef")
    if reference.get("uid") != claim["metadata"]["uid"]:
        if not reference.get("uid") and may_take(volume, claim):
            _claim_volume(volume, claim, turn)
        return
    _bind_claim(claim, volume, turn)


def _take_default_class(claim: Json, turn: Turn) -> bool:
    """A claim without a class gets the default one (KEP-3333); whether that was written."""
    if "storageClassName" in section(claim, "spec"):
        return False
    classes = [value for value in turn.cluster[STORAGE_CLASSES].all() if _is_default(value)]
    if not classes:
        return False
    newest = max(classes, key=lambda value: (_made_at(value), value["metadata"]["name"]))
    _patch_claim(claim, {"spec": {"storageClassName": newest["metadata"]["name"]}}, "", turn)
    return True


def _made_at(value: Json) -> int:
    return parse(value["metadata"].get("creationTimestamp"))


def _is_default(value: Json) -> bool:
    return section(value, "metadata", "annotations").get(_DEFAULT) == "true"


def _claim_volume(volume: Json, claim: Json, turn: Turn) -> None:
    """The volume's side of a binding."""
    meta = claim["metadata"]
    reference = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": meta["namespace"],
        "name": meta["name"],
        "uid": meta["uid"],
        "resourceVersion": str(turn.cluster[VOLUME_CLAIMS].revision(claim)),
    }
    body = {
        "metadata": {"annotations": {_BY_CONTROLLER: "yes"}},
        "spec": {"claimRef": reference},
    }
    revision = turn.cluster[VOLUMES].revision(volume)
    turn.plan.patch(Patch(VOLUMES, "", volume["metadata"]["name"], body, revision=revision))


def _bind_claim(claim: Json, volume: Json, turn: Turn) -> None:
    """The claim's side: its spec first, its status when that is seen."""
    name, spec = volume["metadata"]["name"], section(volume, "spec")
    is_noted = _COMPLETED in section(claim, "metadata", "annotations")
    if section(claim, "spec").get("volumeName") != name or not is_noted:
        notes = {_COMPLETED: "yes", _BY_CONTROLLER: "yes"}
        _patch_claim(claim, {"metadata": {"annotations": notes}, "spec": {"volumeName": name}}, "", turn)
        return
    status = {"phase": "Bound", "accessModes": items(spec, "accessModes"), "capacity": dict(section(spec, "capacity"))}
    _patch_claim(claim, {"status": status}, "status", turn)


def _patch_claim(claim: Json, body: Json, subresource: str, turn: Turn) -> None:
    meta = claim["metadata"]
    revision = turn.cluster[VOLUME_CLAIMS].revision(claim)
    turn.plan.patch(Patch(VOLUME_CLAIMS, meta["namespace"], meta["name"], body, subresource, revision))


def _lose(claim: Json, turn: Turn) -> None:
    """Its volume is gone: the claim's data is lost."""
    _patch_claim(claim, {"status": {"phase": "Lost"}}, "status", turn)
    text = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
    say_of_claim(claim, "ClaimLost", text, turn, "Warning")


def _claim_of(volume: Json, cluster: Cluster) -> Json | None:
    reference = section(volume, "spec", "claimRef")
    claim = cluster[VOLUME_CLAIMS].get(reference.get("namespace", ""), reference.get("name", ""))
    return claim if claim is not None and claim["metadata"]["uid"] == reference.get("uid") else None


def _set_phase(volume: Json, phase: str, turn: Turn) -> None:
    if section(volume, "status").get("phase") != phase:
        revision = turn.cluster[VOLUMES].revision(volume)
        body = {"status": {"phase": phase}}
        turn.plan.patch(Patch(VOLUMES, "", volume["metadata"]["name"], body, "status", revision))


def _release(volume: Json, turn: Turn) -> None:
    """Its claim is gone: kept as Released, or deleted with its claim."""
    _set_phase(volume, "Released", turn)
    if section(volume, "spec").get("persistentVolumeReclaimPolicy") == "Delete":
        meta = volume["metadata"]
        turn.plan.writes.append(Delete(VOLUMES, "", meta["name"], meta["uid"]))


# -- protection


def _unprotect_claim(claim: Json, turn: Turn) -> None:
    """A claim that is deleted stays while a pod uses it."""
    meta = claim["metadata"]
    if not any(_uses(pod, meta["name"]) for pod in turn.cluster[PODS].in_namespace(meta["namespace"])):
        rest = [entry for entry in items(meta, "finalizers") if entry != CLAIM_PROTECTION]
        if rest != items(meta, "finalizers"):
            _patch_claim(claim, {"metadata": {"finalizers": rest or None}}, "", turn)


def _uses(pod: Json, claim: str) -> bool:
    if judge.is_over(pod):
        return False
    volumes = items(section(pod, "spec"), "volumes")
    return any(section(volume, "persistentVolumeClaim").get("claimName") == claim for volume in volumes)


def _unprotect_volume(volume: Json, claim: Json | None, turn: Turn) -> None:
    meta = volume["metadata"]
    rest = [entry for entry in items(meta, "finalizers") if entry != VOLUME_PROTECTION]
    if claim is None and rest != items(meta, "finalizers"):
        body = {"metadata": {"finalizers": rest or None}}
        turn.plan.patch(Patch(VOLUMES, "", meta["name"], body, revision=turn.cluster[VOLUMES].revision(volume)))
