"""Rules of Deployments, ReplicaSets and DaemonSets (`pkg/apis/apps/validation/validation.go`)."""

from typing import Any

from podwire.services.apiserver.core.errors import FieldErrors
from podwire.services.apiserver.core.json_types import Json, section
from podwire.services.apiserver.core.selectors import from_object, matches_labels
from podwire.services.apiserver.core.validation.metadata import labels, not_negative, one_of, selector
from podwire.services.apiserver.core.validation.pods import pod_spec


def _template(value: Json, title: str, old: Json | None, errors: FieldErrors) -> None:
    spec = section(value, "spec")
    wanted = spec.get("selector")
    if wanted is None:
        errors.required("spec.selector")
    elif not from_object(wanted):
        errors.invalid("spec.selector", wanted, f"empty selector is invalid for {title}")
    else:
        selector(wanted, "spec.selector", errors)
    template = section(spec, "template")
    given = section(template, "metadata", "labels")
    if wanted and not matches_labels(from_object(wanted), given):
        errors.invalid("spec.template.metadata.labels", given, "`selector` does not match template `labels`")
    labels(given, "spec.template.labels", errors)
    pod_spec(section(template, "spec"), "spec.template.spec", errors)
    policy = section(template, "spec").get("restartPolicy")
    if policy in ("OnFailure", "Never"):
        errors.unsupported("spec.template.spec.restartPolicy", policy, ["Always"])
    if old is not None and section(old, "spec").get("selector") != wanted:
        errors.invalid("spec.selector", wanted, "field is immutable")


def deployment(value: Json, old: Json | None, errors: FieldErrors) -> None:
    """A Deployment."""
    spec = section(value, "spec")
    for key in ("replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"):
        not_negative(spec, key, "spec", errors)
    _template(value, "deployment", old, errors)
    strategy = section(spec, "strategy")
    one_of(strategy, "type", ["Recreate", "RollingUpdate"], "spec.strategy", errors)
    path = "spec.strategy.rollingUpdate"
    if strategy.get("type") == "Recreate" and strategy.get("rollingUpdate") is not None:
        errors.forbidden(path, "may not be specified when strategy `type` is 'Recreate'")
    elif strategy.get("type") == "RollingUpdate":
        _rolling(section(strategy, "rollingUpdate"), path, True, errors)
    if spec.get("progressDeadlineSeconds", 600) <= spec.get("minReadySeconds", 0):
        errors.invalid(
            "spec.progressDeadlineSeconds",
            spec.get("progressDeadlineSeconds"),
            "must be greater than minReadySeconds",
        )


def replica_set(value: Json, old: Json | None, errors: FieldErrors) -> None:
    """A ReplicaSet."""
    for key in ("replicas", "minReadySeconds"):
        not_negative(section(value, "spec"), key, "spec", errors)
    _template(value, "deployment", old, errors)


def daemon_set(value: Json, old: Json | None, errors: FieldErrors) -> None:
    """A DaemonSet."""
    spec = section(value, "spec")
    for key in ("minReadySeconds", "revisionHistoryLimit"):
        not_negative(spec, key, "spec", errors)
    _template(value, "daemonset", old, errors)
    strategy = section(spec, "updateStrategy")
    one_of(strategy, "type", ["RollingUpdate", "OnDelete"], "spec.updateStrategy", errors)
    if strategy.get("type") == "RollingUpdate":
        _rolling(section(strategy, "rollingUpdate"), "spec.updateStrategy.rollingUpdate", False, errors)


def _rolling(rolling: Json, path: str, deployment: bool, errors: FieldErrors) -> None:
    for key in ("maxUnavailable", "maxSurge"):
        _int_or_percent(rolling.get(key), f"{path}.{key}", errors)
    unavailable, surge = _zero(rolling.get("maxUnavailable")), _zero(rolling.get("maxSurge"))
    if unavailable and surge:
        text = "may not be 0 when `maxSurge` is 0" if deployment else "cannot be 0 when maxSurge is 0"
        errors.invalid(f"{path}.maxUnavailable", rolling.get("maxUnavailable"), text)


def _zero(value: Any) -> bool:
    return value in (0, "0", "0%", None)


def _int_or_percent(value: Any, path: str, errors: FieldErrors) -> None:
    if isinstance(value, str) and not (value.endswith("%") and value[:-1].isdigit() and len(value) < 9):
        errors.invalid(
            path,
            value,
            "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', "
            "regex used for validation is '[0-9]+%')",
        )
    elif isinstance(value, int) and value < 0:
        errors.invalid(path, value, "must be greater than or equal to 0")
