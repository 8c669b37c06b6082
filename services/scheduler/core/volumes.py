"""Where a pod's claims let it be.

Source: kubernetes `pkg/scheduler/framework/plugins/volumebinding/{volume_binding,binder}.go`. A claim of a class that
waits for its first consumer is told the node (annotation volume.kubernetes.io/selected-node); its pod is bound once
the claim is.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from podwire.proto.kube.json_objects import items, section
from podwire.proto.kube.selection import matches_node
from podwire.services.scheduler.core.resources import Json

SELECTED_NODE: Final = "volume.kubernetes.io/selected-node"
CONFLICT: Final = "node(s) had volume node affinity conflict"


class Storage(NamedTuple):
    """What is known of storage: claims by (namespace, name), volumes and classes by name."""

    claims: Mapping[tuple[str, str], Json]
    volumes: Mapping[str, Json]
    classes: Mapping[str, Json]


NO_STORAGE: Final = Storage({}, {}, {})


class Needs(NamedTuple):
    """A pod's claims: an objection to every node, affinities of bound volumes, claims that wait for a node."""

    objection: str
    affinities: tuple[Json, ...]
    waiting: tuple[Json, ...]


def needs(pod: Json, storage: Storage) -> Needs:
    """What a pod's claims ask for."""
    affinities: list[Json] = []
    waiting: list[Json] = []
    for name in _claim_names(pod):
        claim = storage.claims.get((pod["metadata"].get("namespace", ""), name))
        if claim is None:
            return Needs(f'persistentvolumeclaim "{name}" not found', (), ())
        if section(claim, "metadata").get("deletionTimestamp"):
            return Needs(f'persistentvolumeclaim "{name}" is being deleted', (), ())
        if section(claim, "status").get("phase") == "Bound":
            volume = storage.volumes.get(section(claim, "spec").get("volumeName", ""), {})
            affinities.append(section(volume, "spec", "nodeAffinity"))
        elif _waits(claim, storage):
            waiting.append(claim)
        else:
            return Needs("pod has unbound immediate PersistentVolumeClaims", (), ())
    return Needs("", tuple(affinities), tuple(waiting))


def fits(wanted: Needs, node: Json) -> bool:
    """Whether every bound volume can be reached from a node."""
    return all(_allows(affinity, node) for affinity in wanted.affinities)


def unselected(claims: Sequence[Json]) -> list[Json]:
    """The claims that were not told a node yet."""
    return [claim for claim in claims if SELECTED_NODE not in section(claim, "metadata", "annotations")]


def _allows(affinity: Json, node: Json) -> bool:
    required = section(affinity, "required")
    if not required:
        return True
    asked = {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}}
    return matches_node(asked, node)


def _claim_names(pod: Json) -> list[str]:
    sources = [section(volume, "persistentVolumeClaim") for volume in items(section(pod, "spec"), "volumes")]
    return list(dict.fromkeys(source["claimName"] for source in sources if source.get("claimName")))


def _waits(claim: Json, storage: Storage) -> bool:
    found = storage.classes.get(section(claim, "spec").get("storageClassName", ""), {})
    return found.get("volumeBindingMode") == "WaitForFirstConsumer"
