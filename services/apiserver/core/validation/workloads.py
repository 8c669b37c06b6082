"""Rules of the workloads of group apps (`pkg/apis/apps/validation/validation.go`)."""

from typing import Any, Final

from podwire.proto.kube.json_objects import items, section
from podwire.proto.kube.labels import matches_labels
from podwire.services.apiserver.core.errors import FieldErrors
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.selectors import from_object
from podwire.services.apiserver.core.validation.metadata import labels, not_negative, one_of, selector
from podwire.services.apiserver.core.validation.pods import pod_spec
from podwire.services.apiserver.core.validation.storage import claim_spec

_STATEFUL_UPDATES: Final = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
_STATEFUL_CHANGES: Final = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)


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
    pod_spec(_with_claims(section(template, "spec"), spec), "spec.template.spec", errors)
    policy = section(template, "spec").get("restartPolicy")
    if policy in ("OnFailure", "Never"):
        errors.unsupported("spec.template.spec.restartPolicy", policy, ["Always"])
    if old is not None and title != "statefulset" and section(old, "spec").get("selector") != wanted:
        errors.invalid("spec.selector", wanted, "field is immutable")


def _with_claims(pod: Json, spec: Json) -> Json:
    """A StatefulSet's containers may mount its claims, which are volumes of its pods."""
    claims = [section(claim, "metadata").get("name", "") for claim in items(spec, "volumeClaimTemplates")]
    if not claims:
        return pod
    own = [volume for volume in items(pod, "volumes") if volume.get("name") not in claims]
    return pod | {"volumes": own + [{"name": name} for name in claims]}


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


def stateful_set(value: Json, old: Json | None, errors: FieldErrors) -> None:
    """A StatefulSet."""
    spec = section(value, "spec")
    for key in ("replicas", "minReadySeconds", "revisionHistoryLimit"):
        not_negative(spec, key, "spec", errors)
    one_of(spec, "podManagementPolicy", ["OrderedReady", "Parallel"], "spec", errors)
    strategy = section(spec, "updateStrategy")
    one_of(strategy, "type", ["RollingUpdate", "OnDelete"], "spec.updateStrategy", errors)
    not_negative(section(strategy, "rollingUpdate"), "partition", "spec.updateStrategy.rollingUpdate", errors)
    not_negative(section(spec, "ordinals"), "start", "spec.ordinals", errors)
    retention = section(spec, "persistentVolumeClaimRetentionPolicy")
    for key in ("whenDeleted", "whenScaled"):
        one_of(retention, key, ["Retain", "Delete"], "spec.persistentVolumeClaimRetentionPolicy", errors)
    _template(value, "statefulset", old, errors)
    for index, claim in enumerate(items(spec, "volumeClaimTemplates")):
        claim_spec(section(claim, "spec"), f"spec.volumeClaimTemplates[{index}].spec", errors)
    if old is not None and _without_changes(section(old, "spec")) != _without_changes(spec):
        errors.forbidden("spec", _STATEFUL_UPDATES)


def _without_changes(spec: Json) -> Json:
    return {key: entry for key, entry in spec.items() if key not in _STATEFUL_CHANGES}


def controller_revision(value: Json, old: Json | None, errors: FieldErrors) -> None:
    """A ControllerRevision: its data never changes."""
    not_negative(value, "revision", "", errors)
    if old is None and not value.get("data"):
        errors.required("data", "data is mandatory")
    if old is not None and old.get("data") != value.get("data"):
        errors.invalid("data", value.get("data"), "field is immutable")


def _rolling(rolling: Json, path: str, deployment: bool, errors: FieldErrors) -> None:
    for key in ("maxUnavailable", "maxSurge"):
        int_or_percent(rolling.get(key), f"{path}.{key}", errors)
    unavailable, surge = _zero(rolling.get("maxUnavailable")), _zero(rolling.get("maxSurge"))
    if unavailable and surge:
        text = "may not be 0 when `maxSurge` is 0" if deployment else "cannot be 0 when maxSurge is 0"
        errors.invalid(f"{path}.maxUnavailable", rolling.get("maxUnavailable"), text)


def _zero(value: Any) -> bool:
    return value in (0, "0", "0%", None)


def int_or_percent(value: Any, path: str, errors: FieldErrors) -> None:
    """A number of pods or a percentage of them."""
    if isinstance(value, str) and not (value.endswith("%") and value[:-1].isdigit() and len(value) < 9):
        errors.invalid(
            path,
            value,
            "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', "
            "regex used for validation is '[0-9]+%')",
        )
    elif isinstance(value, int) and value < 0:
        errors.invalid(path, value, "must be greater than or equal to 0")
