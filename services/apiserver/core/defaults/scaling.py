"""Defaults of HorizontalPodAutoscalers (`pkg/apis/autoscaling/v2/defaults.go`)."""

from podwire.services.apiserver.core.json_types import Json


def autoscaler(value: Json) -> None:
    """One replica at least; 80 % of the requested CPU, unless metrics are named."""
    spec = value.setdefault("spec", {})
    spec.setdefault("minReplicas", 1)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    value.setdefault("status", {})
