"""Rules of PodDisruptionBudgets and HorizontalPodAutoscalers.

Source: kubernetes `pkg/apis/{policy,autoscaling}/validation/validation.go`.
"""

from podwire.proto.kube.json_objects import items, section
from podwire.services.apiserver.core.errors import FieldErrors
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.validation.metadata import not_negative, one_of, selector
from podwire.services.apiserver.core.validation.workloads import int_or_percent


def disruption_budget(value: Json, old: Json | None, errors: FieldErrors) -> None:
    """A PodDisruptionBudget: one bound, not two."""
    spec = section(value, "spec")
    if "minAvailable" in spec and "maxUnavailable" in spec:
        errors.invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set")
    for key in ("minAvailable", "maxUnavailable"):
        if key in spec:
            int_or_percent(spec[key], f"spec.{key}", errors)
    selector(section(spec, "selector"), "spec.selector", errors)
    one_of(spec, "unhealthyPodEvictionPolicy", ["AlwaysAllow", "IfHealthyBudget"], "spec", errors)


def autoscaler(value: Json, old: Json | None, errors: FieldErrors) -> None:
    """A HorizontalPodAutoscaler: sane bounds, a target, well-formed metrics."""
    spec = section(value, "spec")
    least, most = spec.get("minReplicas", 1), spec.get("maxReplicas", 0)
    if least < 1:
        errors.invalid("spec.minReplicas", least, "must be greater than or equal to 1")
    if most < 1:
        errors.invalid("spec.maxReplicas", most, "must be greater than 0")
    if most < least:
        errors.invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`")
    reference = section(spec, "scaleTargetRef")
    for key in ("kind", "name"):
        if not reference.get(key):
            errors.required(f"spec.scaleTargetRef.{key}")
    kinds = ["ContainerResource", "External", "Object", "Pods", "Resource"]
    for index, metric in enumerate(items(spec, "metrics")):
        one_of(metric, "type", kinds, f"spec.metrics[{index}]", errors)
    for direction in ("scaleUp", "scaleDown"):
        rules = section(spec, "behavior", direction)
        not_negative(rules, "stabilizationWindowSeconds", f"spec.behavior.{direction}", errors)
