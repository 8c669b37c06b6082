"""How PodDisruptionBudgets and HorizontalPodAutoscalers print (`pkg/printers/internalversion/printers.go`)."""

from typing import Any, Final

from podwire.proto.kube.json_objects import items, section
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.printers.table import Printer, columns, name_and_age

_SHOWN: Final = 2


def _disruption_budget(value: Json, now_ns: int) -> list[Any]:
    spec = section(value, "spec")
    name, age = name_and_age(value, now_ns)
    return [
        name,
        str(spec.get("minAvailable", "N/A")),
        str(spec.get("maxUnavailable", "N/A")),
        section(value, "status").get("disruptionsAllowed", 0),
        age,
    ]


def _target(metric: Json, current: Json) -> str:
    """One metric as `<current>/<target>` (formatHPAMetrics)."""
    source = metric.get("type", "")
    field = source[:1].lower() + source[1:]
    wanted = section(metric, field, "target")
    seen = section(current, field, "current")
    prefix = f"{section(metric, field).get('name')}: " if source in ("Resource", "ContainerResource") else ""
    if wanted.get("averageUtilization") is not None:
        shown = seen.get("averageUtilization")
        return f"{prefix}{'<unknown>' if shown is None else f'{shown}%'}/{wanted['averageUtilization']}%"
    if wanted.get("averageValue") is not None:
        average = " (avg)" if source in ("Object", "External") else ""
        return f"{prefix}{seen.get('averageValue', '<unknown>')}/{wanted['averageValue']}{average}"
    return f"{prefix}{seen.get('value', '<unknown>')}/{wanted.get('value', '<unknown>')}"


def _targets(value: Json) -> str:
    metrics, seen = items(section(value, "spec"), "metrics"), items(section(value, "status"), "currentMetrics")
    if not metrics:
        return "<none>"
    shown = [
        _target(metric, seen[at] if at < len(seen) and isinstance(seen[at], dict) else {})
        for at, metric in enumerate(metrics[:_SHOWN])
    ]
    rest = f" + {len(metrics) - _SHOWN} more..." if len(metrics) > _SHOWN else ""
    return ", ".join(shown) + rest


def _autoscaler(value: Json, now_ns: int) -> list[Any]:
    spec = section(value, "spec")
    reference = section(spec, "scaleTargetRef")
    name, age = name_and_age(value, now_ns)
    return [
        name,
        f"{reference.get('kind', '')}/{reference.get('name', '')}",
        _targets(value),
        str(spec.get("minReplicas", "<unset>")),
        spec.get("maxReplicas", 0),
        section(value, "status").get("currentReplicas", 0),
        age,
    ]


DISRUPTION_BUDGET: Final = Printer(
    columns("Name", "Min Available", "Max Unavailable", "Allowed Disruptions#", "Age"), _disruption_budget
)
AUTOSCALER: Final = Printer(
    columns("Name", "Reference", "Targets", "MinPods", "MaxPods#", "Replicas#", "Age"), _autoscaler
)
