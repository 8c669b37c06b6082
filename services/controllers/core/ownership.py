"""Which objects belong to a controller: those that it made, orphans that match it, none that match no more.

Source: kubernetes `pkg/controller/controller_ref_manager.go`.
"""

from podwire.proto.kube.json_objects import section
from podwire.proto.kube.resources import PODS, Resource
from podwire.proto.kube.selection import matches_selector
from podwire.services.controllers.core import pods as judge
from podwire.services.controllers.core.cluster import Cluster, controller_of, is_going, owner_reference
from podwire.services.controllers.core.writes import Json, Patch, Plan


def own_pods(resource: Resource, owner: Json, cluster: Cluster, plan: Plan) -> list[Json]:
    """The owner's pods; matching orphans are adopted, pods that match no more are let go."""
    meta, selector = owner["metadata"], section(owner, "spec", "selector")
    kept: list[Json] = []
    for pod in cluster[PODS].in_namespace(meta["namespace"]):
        current = controller_of(pod)
        matches = matches_selector(selector, section(pod, "metadata", "labels"))
        if current.get("uid") == meta["uid"]:
            if matches:
                kept.append(pod)
            elif not is_going(owner):
                plan.writes.append(_release(pod, meta["uid"], cluster))
        elif not current and matches and judge.is_active(pod) and not is_going(owner):
            plan.writes.append(_adopt(resource, pod, owner, cluster))
            kept.append(pod)
    return kept


def _adopt(resource: Resource, pod: Json, owner: Json, cluster: Cluster) -> Patch:
    owners = [*section(pod, "metadata").get("ownerReferences", []), owner_reference(resource, owner)]
    return _patch_owners(pod, owners, cluster)


def _release(pod: Json, uid: str, cluster: Cluster) -> Patch:
    owners = [owner for owner in pod["metadata"]["ownerReferences"] if owner.get("uid") != uid]
    return _patch_owners(pod, owners, cluster)


def _patch_owners(pod: Json, owners: list[Json], cluster: Cluster) -> Patch:
    meta = pod["metadata"]
    body = {"metadata": {"ownerReferences": owners}}
    return Patch(PODS, meta["namespace"], meta["name"], body, revision=cluster[PODS].revision(pod))
