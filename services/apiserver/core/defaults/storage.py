"""Defaults of volumes, claims and storage classes (`pkg/apis/{core,storage}/v1/defaults.go`)."""

from podwire.proto.kube.json_objects import section
from podwire.services.apiserver.core.json_types import Json


def volume(value: Json) -> None:
    """Kept after release, a file system, pending."""
    spec = value.setdefault("spec", {})
    spec.setdefault("persistentVolumeReclaimPolicy", "Retain")
    spec.setdefault("volumeMode", "Filesystem")
    value.setdefault("status", {}).setdefault("phase", "Pending")
    host_path = section(spec, "hostPath")
    if host_path:
        host_path.setdefault("type", "")


def new_volume(value: Json) -> None:
    """Held by a finalizer while it is bound (StorageObjectInUseProtection admission)."""
    _hold(value, "kubernetes.io/pv-protection")


def new_claim(value: Json) -> None:
    """Held by a finalizer while a pod uses it."""
    _hold(value, "kubernetes.io/pvc-protection")


def _hold(value: Json, finalizer: str) -> None:
    finalizers = value["metadata"].setdefault("finalizers", [])
    if finalizer not in finalizers:
        finalizers.append(finalizer)


def claim(value: Json) -> None:
    """A file system, pending."""
    value.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
    value.setdefault("status", {}).setdefault("phase", "Pending")


def storage_class(value: Json) -> None:
    """Volumes are deleted with their claims and bound at once."""
    value.setdefault("reclaimPolicy", "Delete")
    value.setdefault("volumeBindingMode", "Immediate")
