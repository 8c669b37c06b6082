"""A StatefulSet's pods: names from ordinals, identity labels, volumes from claims.

Source: kubernetes `pkg/controller/statefulset/stateful_set_utils.go` (newStatefulSetPod, initIdentity, updateStorage).
"""

from typing import Final

from podwire.proto.kube.json_objects import copy_json, items, section
from podwire.proto.kube.resources import STATEFUL_SETS
from podwire.services.controllers.core.cluster import owner_reference
from podwire.services.controllers.core.revisions import HASH_LABEL
from podwire.services.controllers.core.writes import Json

_POD_NAME: Final = "statefulset.kubernetes.io/pod-name"
_INDEX: Final = "apps.kubernetes.io/pod-index"


def ordinal_of(pod: Json, owner: str) -> int | None:
    """The ordinal in a pod's name; None when it has none."""
    name = str(pod["metadata"]["name"])
    parent, _, number = name.rpartition("-")
    return int(number) if parent == owner and number.isascii() and number.isdigit() and len(number) < 10 else None


def claim_name(template: Json, owner: str, number: int) -> str:
    """The name of a pod's claim: `<template>-<owner>-<ordinal>`."""
    return f"{template['metadata']['name']}-{owner}-{number}"


def new_pod(owner: Json, template: Json, number: int, revision: str) -> Json:
    """The pod of an ordinal, made from a template."""
    meta, spec = owner["metadata"], section(owner, "spec")
    name = f"{meta['name']}-{number}"
    given = section(template, "metadata")
    labels = {**section(given, "labels"), _POD_NAME: name, _INDEX: str(number), HASH_LABEL: revision}
    metadata: Json = {
        "name": name,
        "generateName": f"{meta['name']}-",
        "namespace": meta["namespace"],
        "labels": labels,
        "ownerReferences": [owner_reference(STATEFUL_SETS, owner)],
    }
    if section(given, "annotations"):
        metadata["annotations"] = dict(given["annotations"])
    inner = copy_json(section(template, "spec"))
    inner["hostname"], inner["subdomain"] = name, spec.get("serviceName", "")
    claims = items(spec, "volumeClaimTemplates")
    if claims:
        inner["volumes"] = _volumes(inner, claims, str(meta["name"]), number)
    return {"metadata": metadata, "spec": inner}


def _volumes(spec: Json, claims: list[Json], owner: str, number: int) -> list[Json]:
    """The template's volumes; a claim takes the place of a volume of its name."""
    names = [claim["metadata"]["name"] for claim in claims]
    made: list[Json] = [
        {
            "name": claim["metadata"]["name"],
            "persistentVolumeClaim": {"claimName": claim_name(claim, owner, number)},
        }
        for claim in claims
    ]
    return made + [volume for volume in items(spec, "volumes") if volume.get("name") not in names]
