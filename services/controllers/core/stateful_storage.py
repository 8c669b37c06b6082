"""The claims of a StatefulSet's pods: made before their pod, kept or given up by the retention policy.

Source: kubernetes `pkg/controller/statefulset/stateful_pod_control.go`, KEP-1847.
"""

from podwire.proto.kube.json_objects import copy_json, items, section
from podwire.proto.kube.resources import PODS, STATEFUL_SETS, VOLUME_CLAIMS
from podwire.services.controllers.core.cluster import Cluster, owner_reference
from podwire.services.controllers.core.stateful_pods import claim_name
from podwire.services.controllers.core.writes import Create, Json, Patch, Plan


def missing_claims(owner: Json, number: int, cluster: Cluster) -> list[Create]:
    """The claims of an ordinal that do not exist."""
    meta, spec = owner["metadata"], section(owner, "spec")
    found = []
    for template in items(spec, "volumeClaimTemplates"):
        name = claim_name(template, meta["name"], number)
        if cluster[VOLUME_CLAIMS].get(meta["namespace"], name) is None:
            given = section(template, "metadata")
            labels = {**section(given, "labels"), **section(spec, "selector", "matchLabels")}
            metadata = {"name": name, "namespace": meta["namespace"], "labels": labels}
            body = {"metadata": metadata, "spec": copy_json(section(template, "spec"))}
            found.append(Create(VOLUME_CLAIMS, body))
    return found


def keep_owners(owner: Json, condemned: list[int], pods: dict[int, Json], cluster: Cluster, plan: Plan) -> None:
    """Claims that are to go with the set or with their pod are owned by it, and by nobody otherwise."""
    meta, spec = owner["metadata"], section(owner, "spec")
    policy = section(spec, "persistentVolumeClaimRetentionPolicy")
    for number, pod in pods.items():
        wanted: list[Json] = []
        if policy.get("whenDeleted") == "Delete":
            wanted = [owner_reference(STATEFUL_SETS, owner)]
        if policy.get("whenScaled") == "Delete" and number in condemned:
            wanted = [owner_reference(PODS, pod)]
        for template in items(spec, "volumeClaimTemplates"):
            claim = cluster[VOLUME_CLAIMS].get(meta["namespace"], claim_name(template, meta["name"], number))
            if claim is not None:
                _own(claim, meta, wanted, cluster, plan)


def _own(claim: Json, owner: Json, wanted: list[Json], cluster: Cluster, plan: Plan) -> None:
    present = items(section(claim, "metadata"), "ownerReferences")
    others = [entry for entry in present if not _is_ours(entry, owner)]
    if present != others + wanted:
        body = {"metadata": {"ownerReferences": others + wanted or None}}
        revision = cluster[VOLUME_CLAIMS].revision(claim)
        meta = claim["metadata"]
        plan.patch(Patch(VOLUME_CLAIMS, meta["namespace"], meta["name"], body, revision=revision))


def _is_ours(reference: Json, owner: Json) -> bool:
    """Whether a reference is to the set or to one of its pods."""
    if reference.get("uid") == owner["uid"]:
        return True
    return reference.get("kind") == "Pod" and str(reference.get("name", "")).rpartition("-")[0] == owner["name"]
