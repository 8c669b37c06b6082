"""Rules of ephemeral containers (kubernetes `pkg/apis/core/validation/validation.go`, validateEphemeralContainers)."""

from typing import Final

from podwire.proto.kube.json_objects import items
from podwire.services.apiserver.core.errors import FieldErrors
from podwire.services.apiserver.core.json_types import Json

_FORBIDDEN: Final = ("ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "resizePolicy")
_NOT_ALLOWED: Final = "cannot be set for an Ephemeral Container"


def ephemeral_containers(spec: Json, path: str, errors: FieldErrors) -> None:
    """What they may not have, and whom they may look at."""
    others = [entry.get("name") for field in ("initContainers", "containers") for entry in items(spec, field)]
    for index, container in enumerate(items(spec, "ephemeralContainers")):
        place, target = f"{path}.ephemeralContainers[{index}]", container.get("targetContainerName", "")
        if target and target not in others:
            errors.not_found(f"{place}.targetContainerName", target)
        for field in _FORBIDDEN:
            if container.get(field):
                errors.forbidden(f"{place}.{field}", _NOT_ALLOWED)
        if container.get("resources"):
            errors.forbidden(f"{place}.resources", _NOT_ALLOWED)
        for number, mount in enumerate(items(container, "volumeMounts")):
            for field in ("subPath", "subPathExpr"):
                if mount.get(field):
                    errors.forbidden(f"{place}.volumeMounts[{number}].{field}", _NOT_ALLOWED)


def only_additions(spec: Json, old: Json, errors: FieldErrors) -> None:
    """What was there stays as it was."""
    present = {entry.get("name"): entry for entry in items(spec, "ephemeralContainers")}
    for entry in items(old, "ephemeralContainers"):
        name = entry.get("name", "")
        if name not in present:
            text = f"existing ephemeral containers {name!r} may not be removed\n".replace("'", '"')
            errors.forbidden("spec.ephemeralContainers", text)
        elif present[name] != entry:
            text = f"existing ephemeral containers {name!r} may not be changed\n".replace("'", '"')
            errors.forbidden("spec.ephemeralContainers", text)
