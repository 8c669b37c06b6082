"""Making volumes for claims: a folder of the node that a claim's first pod is scheduled to.

What rancher's local-path-provisioner does in kind, with the Events of kubernetes' `pv_controller.go`.
"""

from typing import Final

from podwire.proto.kube.json_objects import items, section
from podwire.proto.kube.resources import STORAGE_CLASSES, VOLUME_CLAIMS, VOLUMES
from podwire.services.controllers.core.turn import Turn
from podwire.services.controllers.core.writes import About, Create, Json

PROVISIONER: Final = "podwire.io/local-path"
SELECTED_NODE: Final = "volume.kubernetes.io/selected-node"
_FOLDER: Final = "/opt/local-path-provisioner"
_COMPONENT: Final = "persistentvolume-controller"


def provision(claim: Json, turn: Turn) -> None:
    """A folder of the selected node becomes a volume; until a node is selected the claim waits for its first pod."""
    wanted = section(claim, "spec").get("storageClassName", "")
    found = turn.cluster[STORAGE_CLASSES].get("", wanted) if wanted else None
    if found is None:
        _say_no_class(claim, wanted, turn)
        return
    node = section(claim, "metadata", "annotations").get(SELECTED_NODE, "")
    if not node and found.get("volumeBindingMode") == "WaitForFirstConsumer":
        text = "waiting for first consumer to be created before binding"
        say_of_claim(claim, "WaitForFirstConsumer", text, turn)
    elif found.get("provisioner") != PROVISIONER:
        text = (
            f"Waiting for a volume to be created either by the external provisioner '{found.get('provisioner')}' or "
            "manually by the system administrator. If volume creation is delayed, please verify that the provisioner "
            "is running and correctly registered."
        )
        say_of_claim(claim, "ExternalProvisioning", text, turn)
    elif node:
        volume = _local_volume(claim, found, node)
        turn.plan.writes.append(Create(VOLUMES, volume))
        text = f"Successfully provisioned volume {volume['metadata']['name']}"
        say_of_claim(claim, "ProvisioningSucceeded", text, turn)
    else:
        text = f"{PROVISIONER} makes volumes on a node: it needs volumeBindingMode WaitForFirstConsumer"
        say_of_claim(claim, "ProvisioningFailed", text, turn, "Warning")


def _say_no_class(claim: Json, wanted: str, turn: Turn) -> None:
    if wanted:
        text = f'storageclass.storage.k8s.io "{wanted}" not found'
        say_of_claim(claim, "ProvisioningFailed", text, turn, "Warning")
    else:
        text = "no persistent volumes available for this claim and no storage class is set"
        say_of_claim(claim, "FailedBinding", text, turn)


def _local_volume(claim: Json, storage: Json, node: str) -> Json:
    meta, spec = claim["metadata"], section(claim, "spec")
    name = f"pvc-{meta['uid']}"
    term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}
    reference = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    place = {"namespace": meta["namespace"], "name": meta["name"]}
    return {
        "metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER}},
        "spec": {
            "accessModes": items(spec, "accessModes"),
            "capacity": {"storage": section(spec, "resources", "requests").get("storage", "0")},
            "claimRef": {**reference, **place, "uid": meta["uid"]},
            "hostPath": {"path": f"{_FOLDER}/{name}_{meta['namespace']}_{meta['name']}", "type": "DirectoryOrCreate"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
            "persistentVolumeReclaimPolicy": storage.get("reclaimPolicy", "Delete"),
            "storageClassName": storage["metadata"]["name"],
            "volumeMode": spec.get("volumeMode", "Filesystem"),
        },
    }


def say_of_claim(claim: Json, reason: str, text: str, turn: Turn, kind: str = "Normal") -> None:
    """An Event about a claim."""
    about = About(_COMPONENT, claim, VOLUME_CLAIMS.api_version, VOLUME_CLAIMS.kind)
    turn.say(about, reason, text, kind)
