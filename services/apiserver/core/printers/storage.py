"""How PersistentVolumes, PersistentVolumeClaims and StorageClasses print (upstream: `internalversion/printers.go`)."""

from typing import Any, Final

from podwire.proto.kube.json_objects import items, section
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.printers.table import Printer, columns, name_and_age

_MODES: Final = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
_DEFAULT_CLASS: Final = "storageclass.kubernetes.io/is-default-class"


def _modes(modes: list[str]) -> str:
    """Access modes in upstream's order, each once (GetAccessModesAsString)."""
    return ",".join(short for mode, short in _MODES.items() if mode in modes)


def _volume(value: Json, now_ns: int) -> list[Any]:
    spec, status = section(value, "spec"), section(value, "status")
    claim = section(spec, "claimRef")
    name, age = name_and_age(value, now_ns)
    going = section(value, "metadata").get("deletionTimestamp")
    return [
        name,
        section(spec, "capacity").get("storage", ""),
        _modes(items(spec, "accessModes")),
        spec.get("persistentVolumeReclaimPolicy", ""),
        "Terminating" if going else status.get("phase", ""),
        f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
        spec.get("storageClassName", ""),
        spec.get("volumeAttributesClassName") or "<unset>",
        status.get("reason", ""),
        age,
        spec.get("volumeMode") or "<unset>",
    ]


def _claim(value: Json, now_ns: int) -> list[Any]:
    spec, status = section(value, "spec"), section(value, "status")
    bound = bool(spec.get("volumeName"))
    name, age = name_and_age(value, now_ns)
    going = section(value, "metadata").get("deletionTimestamp")
    return [
        name,
        "Terminating" if going else status.get("phase", ""),
        spec.get("volumeName", ""),
        section(status, "capacity").get("storage", "") if bound else "",
        _modes(items(status, "accessModes")) if bound else "",
        spec.get("storageClassName", ""),
        spec.get("volumeAttributesClassName") or "<unset>",
        age,
        spec.get("volumeMode") or "<unset>",
    ]


def _storage_class(value: Json, now_ns: int) -> list[Any]:
    name, age = name_and_age(value, now_ns)
    is_default = section(value, "metadata", "annotations").get(_DEFAULT_CLASS) == "true"
    return [
        f"{name} (default)" if is_default else name,
        value.get("provisioner", ""),
        value.get("reclaimPolicy", "Delete"),
        value.get("volumeBindingMode", "Immediate"),
        bool(value.get("allowVolumeExpansion", False)),
        age,
    ]


_CLASS: Final = ("StorageClass", "VolumeAttributesClass")
VOLUME: Final = Printer(
    columns(
        "Name",
        "Capacity",
        "Access Modes",
        "Reclaim Policy",
        "Status",
        "Claim",
        *_CLASS,
        "Reason",
        "Age",
        "+VolumeMode",
    ),
    _volume,
)
CLAIM: Final = Printer(
    columns("Name", "Status", "Volume", "Capacity", "Access Modes", *_CLASS, "Age", "+VolumeMode"), _claim
)
STORAGE_CLASS: Final = Printer(
    columns("Name", "Provisioner", "ReclaimPolicy", "VolumeBindingMode", "AllowVolumeExpansion", "Age"), _storage_class
)
