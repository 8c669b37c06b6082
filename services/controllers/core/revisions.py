"""The history of a template: ControllerRevisions of StatefulSets and DaemonSets, which `kubectl rollout undo` reads.

Source: kubernetes `pkg/controller/history/controller_history.go`, `pkg/controller/statefulset/stateful_set_control.go`
(getStatefulSetRevisions, truncateHistory).
"""

from typing import Final, NamedTuple

from podwire.proto.kube.json_objects import copy_json, section
from podwire.proto.kube.resources import CONTROLLER_REVISIONS, Resource
from podwire.services.controllers.core.cluster import Cluster, owner_reference
from podwire.services.controllers.core.templates import template_hash
from podwire.services.controllers.core.writes import Create, Delete, Json, Patch, Plan

HASH_LABEL: Final = "controller-revision-hash"


class Revision(NamedTuple):
    """One revision: its object's name, the template's hash, its number."""

    name: str
    digest: str
    number: int


def digest_of(owner: Json) -> str:
    """The hash of an owner's template."""
    return template_hash(section(owner, "spec", "template"))


def name_of(owner: Json) -> str:
    """The name of the revision of the owner's present template."""
    return f"{owner['metadata']['name']}-{digest_of(owner)}"


def data_of(owner: Json) -> Json:
    """What a revision keeps: a strategic merge patch that brings the template back."""
    return {"spec": {"template": {**copy_json(section(owner, "spec", "template")), "$patch": "replace"}}}


def template_of(revision: Json) -> Json:
    """The template that a revision keeps."""
    template = dict(section(revision, "data", "spec", "template"))
    template.pop("$patch", None)
    return template


def history(owner: Json, cluster: Cluster) -> list[Json]:
    """The owner's revisions, oldest first."""
    found = cluster[CONTROLLER_REVISIONS].owned_by(owner["metadata"]["uid"])
    return sorted(found, key=lambda value: (value.get("revision", 0), value["metadata"]["name"]))


def keep(resource: Resource, owner: Json, cluster: Cluster, plan: Plan) -> Revision:
    """The revision of the present template; plans its creation, or its renewal when an older one is back."""
    known = history(owner, cluster)
    newest = known[-1].get("revision", 0) if known else 0
    name, digest = name_of(owner), digest_of(owner)
    mine = next((value for value in known if value["metadata"]["name"] == name), None)
    if mine is None:
        plan.writes.append(Create(CONTROLLER_REVISIONS, _new(resource, owner, name, newest + 1)))
        return Revision(name, digest, newest + 1)
    if mine.get("revision", 0) < newest:
        revision = cluster[CONTROLLER_REVISIONS].revision(mine)
        namespace = owner["metadata"]["namespace"]
        patch = Patch(CONTROLLER_REVISIONS, namespace, name, {"revision": newest + 1}, revision=revision)
        plan.patch(patch)
        return Revision(name, digest, newest + 1)
    return Revision(name, digest, newest)


def _new(resource: Resource, owner: Json, name: str, number: int) -> Json:
    meta = owner["metadata"]
    labels = dict(section(owner, "spec", "template", "metadata", "labels"))
    metadata: Json = {
        "name": name,
        "namespace": meta["namespace"],
        "labels": {**labels, "controller.kubernetes.io/hash": digest_of(owner)},
        "ownerReferences": [owner_reference(resource, owner)],
    }
    annotations = {key: text for key, text in section(meta, "annotations").items() if "last-applied" not in key}
    if annotations:
        metadata["annotations"] = annotations
    return {"metadata": metadata, "data": data_of(owner), "revision": number}


def truncate(owner: Json, live: set[str], cluster: Cluster, plan: Plan) -> None:
    """Deletes the oldest revisions over the limit; those in `live` are in use."""
    limit = section(owner, "spec").get("revisionHistoryLimit", 10)
    unused = [value for value in history(owner, cluster) if value["metadata"]["name"] not in live]
    for value in unused[: max(0, len(unused) - limit)]:
        meta = value["metadata"]
        plan.writes.append(Delete(CONTROLLER_REVISIONS, meta["namespace"], meta["name"], meta["uid"]))
