"""Which volume a claim gets (kubernetes `pkg/controller/volume/persistentvolume/index.go`)."""

from podwire.proto.kube.json_objects import items, section
from podwire.proto.kube.quantity import thousandths
from podwire.proto.kube.resources import VOLUMES
from podwire.proto.kube.selection import matches_selector
from podwire.services.controllers.core.cluster import Cluster, is_going
from podwire.services.controllers.core.writes import Json


def best(claim: Json, cluster: Cluster) -> Json | None:
    """The volume reserved for the claim, else the smallest that is free and fits; a claim's selector counts."""
    volumes = list(cluster[VOLUMES].all())
    for volume in volumes:
        if section(volume, "spec", "claimRef") and _is_reserved_for(volume, claim):
            return volume
    free = [volume for volume in volumes if not section(volume, "spec", "claimRef") and _fits(volume, claim)]
    return min(free, key=_smallest_first, default=None)


def _smallest_first(volume: Json) -> tuple[int, str]:
    return _size(section(volume, "spec", "capacity")), str(volume["metadata"]["name"])


def _is_reserved_for(volume: Json, claim: Json) -> bool:
    reference, meta = section(volume, "spec", "claimRef"), claim["metadata"]
    same = (reference.get("namespace"), reference.get("name")) == (meta["namespace"], meta["name"])
    return same and reference.get("uid", meta["uid"]) in ("", meta["uid"])


def may_take(volume: Json, claim: Json) -> bool:
    """Whether a named volume is free for the claim."""
    return not is_going(volume) and (not section(volume, "spec", "claimRef") or _is_reserved_for(volume, claim))


def _fits(volume: Json, claim: Json) -> bool:
    offered, asked = section(volume, "spec"), section(claim, "spec")
    return (
        not is_going(volume)
        and offered.get("storageClassName", "") == asked.get("storageClassName", "")
        and offered.get("volumeMode", "Filesystem") == asked.get("volumeMode", "Filesystem")
        and all(mode in items(offered, "accessModes") for mode in items(asked, "accessModes"))
        and matches_selector(section(asked, "selector"), section(volume, "metadata", "labels"))
        and _size(section(offered, "capacity")) >= _size(section(asked, "resources", "requests"))
    )


def _size(amounts: Json) -> int:
    return thousandths(amounts.get("storage", 0))
