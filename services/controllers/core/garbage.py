"""What nobody owns any more goes: dependents of deleted owners, pods of deleted nodes, old Events.

Source: kubernetes `pkg/controller/garbagecollector`, `pkg/controller/podgc` (quarantine of 40 s), `--event-ttl`. An
absent owner is only a suspicion here, since watches lag against each other: the shell asks the API server before it
deletes.
"""

from typing import Final, NamedTuple

from podwire.proto.kube.json_objects import items, section
from podwire.proto.kube.resources import EVENTS, NODES, PODS, Resource
from podwire.proto.kube.times import SECOND, parse
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.chance import RandomBits
from podwire.services.controllers.core.cluster import Cluster, Shelf, is_going
from podwire.services.controllers.core.writes import Delete, Json, Patch, Plan, Write

EVENT_LIFE: Final = 3600 * SECOND
_QUARANTINE: Final = 40 * SECOND
_FOREGROUND: Final = "foregroundDeletion"
_ORPHAN: Final = "orphan"


class Suspect(NamedTuple):
    """An object whose owners all seem to be gone: delete it if they are."""

    owners: tuple[tuple[Resource, str, str, str], ...]
    """Resource, namespace, name and uid of each owner."""
    write: Delete


def suspects(cluster: Cluster) -> list[Suspect]:
    """Objects with owner references of which none is found."""
    found = [suspect(kind, value, cluster) for kind, shelf in cluster.shelves.items() for value in shelf.all()]
    return [each for each in found if each is not None]


def suspect(resource: Resource, value: Json, cluster: Cluster) -> Suspect | None:
    """The suspicion against one object; None when an owner is there, or is of a kind that is not watched."""
    known = {(each.group, each.kind): each for each in cluster.shelves}
    meta = value["metadata"]
    references = items(meta, "ownerReferences")
    if not references or is_going(value):
        return None
    owners = []
    for reference in references:
        group = str(reference.get("apiVersion", "")).rpartition("/")[0]
        owner_resource = known.get((group, reference.get("kind", "")))
        if owner_resource is None:
            return None
        namespace = meta.get("namespace", "") if owner_resource.namespaced else ""
        owner = cluster[owner_resource].get(namespace, reference.get("name", ""))
        if owner is not None and owner["metadata"]["uid"] == reference.get("uid"):
            return None
        owners.append((owner_resource, namespace, reference.get("name", ""), reference.get("uid", "")))
    return Suspect(tuple(owners), Delete(resource, meta.get("namespace", ""), meta["name"], meta["uid"]))


def finalized(cluster: Cluster) -> list[Write]:
    """Owners that wait for their dependents: to be deleted first (foreground), or to be let go (orphan)."""
    writes: list[Write] = []
    for resource, shelf in cluster.shelves.items():
        for owner in shelf.all():
            finalizers = items(section(owner, "metadata"), "finalizers")
            if is_going(owner) and _ORPHAN in finalizers:
                writes += _orphan(resource, owner, shelf, cluster)
            elif is_going(owner) and _FOREGROUND in finalizers:
                writes += _foreground(resource, owner, shelf, cluster)
    return writes


def _dependents(owner: Json, cluster: Cluster) -> list[tuple[Resource, Json]]:
    uid = owner["metadata"]["uid"]
    return [
        (resource, value)
        for resource, shelf in cluster.shelves.items()
        for value in shelf.all()
        if any(reference.get("uid") == uid for reference in items(section(value, "metadata"), "ownerReferences"))
    ]


def _without(resource: Resource, owner: Json, shelf: Shelf, finalizer: str) -> Patch:
    meta = owner["metadata"]
    rest = [entry for entry in items(meta, "finalizers") if entry != finalizer]
    body = {"metadata": {"finalizers": rest or None}}
    return Patch(resource, meta.get("namespace", ""), meta["name"], body, revision=shelf.revision(owner))


def _orphan(resource: Resource, owner: Json, shelf: Shelf, cluster: Cluster) -> list[Write]:
    uid = owner["metadata"]["uid"]
    writes: list[Write] = []
    for kind, value in _dependents(owner, cluster):
        meta = value["metadata"]
        rest = [reference for reference in meta["ownerReferences"] if reference.get("uid") != uid]
        body = {"metadata": {"ownerReferences": rest or None}}
        revision = cluster[kind].revision(value)
        writes.append(Patch(kind, meta.get("namespace", ""), meta["name"], body, revision=revision))
    return writes or [_without(resource, owner, shelf, _ORPHAN)]


def _foreground(resource: Resource, owner: Json, shelf: Shelf, cluster: Cluster) -> list[Write]:
    blocking = _dependents(owner, cluster)
    if not blocking:
        return [_without(resource, owner, shelf, _FOREGROUND)]
    return [
        Delete(kind, value["metadata"].get("namespace", ""), value["metadata"]["name"], value["metadata"]["uid"])
        for kind, value in blocking
        if not is_going(value)
    ]


class PodCollector:
    """Pods bound to nodes that do not exist, after a quarantine; they go at once, since no kubelet will do it."""

    def __init__(self) -> None:
        self._missing_since: dict[str, int] = {}

    def decide(self, key: ObjectKey, cluster: Cluster, now: int, random: RandomBits) -> Plan:
        """The deletions that are due."""
        plan = Plan()
        lost: dict[str, list[Json]] = {}
        for pod in cluster[PODS].all():
            node = section(pod, "spec").get("nodeName")
            if node and cluster[NODES].get("", node) is None:
                lost.setdefault(node, []).append(pod)
        self._missing_since = {node: self._missing_since.get(node, now) for node in lost}
        for node, pods in lost.items():
            due = self._missing_since[node] + _QUARANTINE
            if now < due:
                plan.again_at(due)
                continue
            for pod in pods:
                meta = pod["metadata"]
                plan.writes.append(Delete(PODS, meta["namespace"], meta["name"], meta["uid"], grace=0))
        return plan


def expired_events(key: ObjectKey, cluster: Cluster, now: int, random: RandomBits) -> Plan:
    """Events older than an hour."""
    plan = Plan()
    for value in cluster[EVENTS].all():
        meta = value["metadata"]
        series = section(value, "series").get("lastObservedTime")
        latest = max(parse(value.get("lastTimestamp")), parse(series), parse(meta.get("creationTimestamp")))
        if now - latest >= EVENT_LIFE:
            plan.writes.append(Delete(EVENTS, meta["namespace"], meta["name"], meta["uid"]))
        else:
            plan.again_at(latest + EVENT_LIFE)
    return plan
