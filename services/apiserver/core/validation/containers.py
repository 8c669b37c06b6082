"""Rules of what a container does around its life: hooks, restart policies of init containers, mounts, environment."""

from typing import Final

from podwire.proto.kube.json_objects import items, section
from podwire.services.apiserver.core.errors import FieldErrors
from podwire.services.apiserver.core.json_types import Json

_SIDECAR_ONLY: Final = ("livenessProbe", "readinessProbe", "startupProbe", "lifecycle")
_HANDLERS: Final = ("exec", "httpGet", "tcpSocket", "sleep")
_SOURCES: Final = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef")


def init_container(container: Json, path: str, errors: FieldErrors) -> None:
    """Only restartable init containers have probes and hooks (validateInitContainers)."""
    policy = container.get("restartPolicy")
    if policy not in (None, "Always"):
        errors.unsupported(f"{path}.restartPolicy", policy, ["Always"])
    if policy is None:
        for field in _SIDECAR_ONLY:
            if container.get(field):
                errors.forbidden(f"{path}.{field}", "may not be set for init containers without restartPolicy=Always")


def main_container(container: Json, path: str, errors: FieldErrors) -> None:
    """Main containers follow the pod's restart policy."""
    if container.get("restartPolicy"):
        errors.forbidden(f"{path}.restartPolicy", "may not be set for non-init containers")


def lifecycle(container: Json, path: str, grace: int, errors: FieldErrors) -> None:
    """Each hook has one handler; a sleep fits into the grace period (validateLifecycle)."""
    for name in ("postStart", "preStop"):
        hook = section(container, "lifecycle").get(name)
        if not isinstance(hook, dict):
            continue
        place = f"{path}.lifecycle.{name}"
        handlers = [handler for handler in _HANDLERS if isinstance(hook.get(handler), dict)]
        if not handlers:
            errors.required(place, "must specify a handler type")
        for extra in handlers[1:]:
            errors.forbidden(f"{place}.{extra}", "may not specify more than 1 handler type")
        if handlers[:1] == ["sleep"] and not 0 < (hook["sleep"].get("seconds") or 0) <= grace:
            seconds = hook["sleep"].get("seconds", 0)
            text = f"must be greater than 0 and less than terminationGracePeriodSeconds ({grace})"
            errors.invalid(f"{place}.sleep", seconds, text)


def mounts(container: Json, path: str, errors: FieldErrors) -> None:
    """subPath and subPathExpr exclude each other and stay below the volume (ValidateVolumeMounts)."""
    for index, mount in enumerate(items(container, "volumeMounts")):
        place = f"{path}.volumeMounts[{index}]"
        for field in ("subPath", "subPathExpr"):
            value = mount.get(field, "")
            if value.startswith("/"):
                errors.invalid(f"{place}.{field}", value, "must be a relative path")
            if ".." in value.split("/"):
                errors.invalid(f"{place}.{field}", value, "must not contain '..'")
        if mount.get("subPath") and mount.get("subPathExpr"):
            errors.invalid(
                f"{place}.subPathExpr", mount["subPathExpr"], "subPathExpr and subPath are mutually exclusive"
            )


def value_sources(container: Json, path: str, errors: FieldErrors) -> None:
    """A variable has one source (validateEnvVarValueFrom)."""
    for index, variable in enumerate(items(container, "env")):
        source = variable.get("valueFrom")
        if not isinstance(source, dict):
            continue
        count = sum(isinstance(source.get(name), dict) for name in _SOURCES)
        place = f"{path}.env[{index}].valueFrom"
        if count == 0:
            errors.invalid(place, "", f"must specify one of: `{'`, `'.join(_SOURCES[:-1])}` or `{_SOURCES[-1]}`")
        elif count > 1:
            errors.invalid(place, "", "may not have more than one field specified at a time")
