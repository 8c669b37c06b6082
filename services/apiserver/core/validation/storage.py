"""Rules of volumes, claims and storage classes (`pkg/apis/{core,storage}/validation/validation.go`)."""

from typing import Final

from podwire.proto.kube.json_objects import items, section
from podwire.proto.kube.quantity import thousandths
from podwire.services.apiserver.core.errors import FieldErrors
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.validation.metadata import one_of, selector

ACCESS_MODES: Final = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"]
_VOLUME_MODES: Final = ["Block", "Filesystem"]
_SOURCES: Final = ("hostPath", "local", "csi", "nfs", "iscsi", "fc", "cephfs", "rbd", "portworxVolume", "storageos")
_CLAIM_UPDATES: Final = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
)


def _access_modes(spec: Json, path: str, errors: FieldErrors) -> None:
    modes = items(spec, "accessModes")
    if not modes:
        errors.required(f"{path}.accessModes", "at least 1 access mode is required")
    for index, mode in enumerate(modes):
        if mode not in ACCESS_MODES:
            errors.unsupported(f"{path}.accessModes[{index}]", mode, ACCESS_MODES)


def _storage(amounts: Json, path: str, errors: FieldErrors) -> None:
    if "storage" not in amounts:
        errors.required(f"{path}[storage]")
    elif thousandths(amounts["storage"]) <= 0:
        errors.invalid(f"{path}[storage]", amounts["storage"], "must be greater than zero")


def claim_spec(spec: Json, path: str, errors: FieldErrors) -> None:
    """What a claim asks for."""
    _access_modes(spec, path, errors)
    selector(section(spec, "selector"), f"{path}.selector", errors)
    _storage(section(spec, "resources", "requests"), f"{path}.resources", errors)
    one_of(spec, "volumeMode", _VOLUME_MODES, path, errors)


def claim(value: Json, old: Json | None, errors: FieldErrors) -> None:
    """A PersistentVolumeClaim: after its creation only more may be asked for, and its volume may be named once."""
    spec = section(value, "spec")
    claim_spec(spec, "spec", errors)
    if old is None:
        return
    before = section(old, "spec")
    if _frozen(spec, before) != _frozen(before, before):
        errors.forbidden("spec", _CLAIM_UPDATES)
    asked, had = section(spec, "resources", "requests"), section(before, "resources", "requests")
    if "storage" in asked and "storage" in had and thousandths(asked["storage"]) < thousandths(had["storage"]):
        errors.forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")


def _frozen(spec: Json, before: Json) -> Json:
    free = ["resources"]
    if not before.get("volumeName"):
        free.append("volumeName")
    if not before.get("storageClassName"):
        free.append("storageClassName")
    return {key: entry for key, entry in spec.items() if key not in free}


def volume(value: Json, old: Json | None, errors: FieldErrors) -> None:
    """A PersistentVolume: its source never changes."""
    spec = section(value, "spec")
    _access_modes(spec, "spec", errors)
    if not section(spec, "capacity"):
        errors.required("spec.capacity")
    else:
        _storage(section(spec, "capacity"), "spec.capacity", errors)
    one_of(spec, "persistentVolumeReclaimPolicy", ["Delete", "Recycle", "Retain"], "spec", errors)
    one_of(spec, "volumeMode", _VOLUME_MODES, "spec", errors)
    found = [name for name in _SOURCES if name in spec]
    if not found:
        errors.required("spec", "must specify a volume type")
    for name in found[1:]:
        errors.forbidden(f"spec.{name}", "may not specify more than 1 volume type")
    if "local" in spec and not section(spec, "nodeAffinity", "required"):
        errors.required("spec.nodeAffinity", "Local volume requires node affinity")
    if old is not None and any(section(old, "spec").get(name) != spec.get(name) for name in _SOURCES):
        errors.forbidden("spec.persistentvolumesource", "spec.persistentvolumesource is immutable after creation")


def storage_class(value: Json, old: Json | None, errors: FieldErrors) -> None:
    """A StorageClass: only its annotations, labels and mount options may change."""
    if not value.get("provisioner"):
        errors.required("provisioner")
    one_of(value, "reclaimPolicy", ["Delete", "Retain"], "", errors)
    one_of(value, "volumeBindingMode", ["Immediate", "WaitForFirstConsumer"], "", errors)
    if old is None:
        return
    for name in ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"):
        if old.get(name) != value.get(name):
            errors.forbidden(
                name, "updates to provisioner are forbidden." if name == "provisioner" else "field is immutable"
            )
