"""Defaults of volumes, claims and storage classes (`pkg/apis/{core,storage}/v1/defaults.go`)."""

from podwire.services.apiserver.core.json_types import Json, section


def volume(value: Json) -> None:
    """Kept after release, a file system, pending."""
    spec = value.setdefault("spec", {})
    spec.setdefault("persistentVolumeReclaimPolicy", "Retain")
    spec.setdefault("volumeMode", "Filesystem")
    value.setdefault("status", {}).setdefault("phase", "Pending")
    host_path = section(spec, "hostPath")
    if host_path:
        host_path.setdefault("type", "")


def claim(value: Json) -> None:
    """A file system, pending."""
    value.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
    value.setdefault("status", {}).setdefault("phase", "Pending")


def storage_class(value: Json) -> None:
    """Volumes are deleted with their claims and bound at once."""
    value.setdefault("reclaimPolicy", "Delete")
    value.setdefault("volumeBindingMode", "Immediate")
