"""Kinds that share one storage: Events (core/v1 and events.k8s.io/v1), HorizontalPodAutoscalers (v2 is stored, v1 too).

Kinds of a CustomResourceDefinition are stored in its storage version; another one differs by its apiVersion alone
(conversion `None`), and what is read has the defaults and fields of the schema as it is now (apiextensions-apiserver
`pkg/apiserver/conversion/nop_converter.go`, `customresource_handler.go`).

Source: kubernetes `pkg/apis/events/v1/conversion.go`, `pkg/apis/autoscaling/v1/conversion.go`. A v1 autoscaler shows
the first CPU utilization among the metrics; the other metrics stay as they are stored.
"""

from typing import Final

from podwire.proto.kube.json_objects import items, section
from podwire.services.apiserver.core.custom import structural
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.kinds.kind import Kind

_NAMES: Final = (
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
    ("reportingController", "reportingComponent"),
)
_OUT: Final = {core: event for event, core in _NAMES}
_IN: Final = dict(_NAMES)
_TARGET: Final = "targetCPUUtilizationPercentage"
_CURRENT: Final = "currentCPUUtilizationPercentage"


def to_storage(kind: Kind, value: Json) -> Json:
    """The stored form of an object of this kind."""
    if kind.custom is not None:
        return value | {"apiVersion": kind.storage_api_version}
    if kind.stored_as is None:
        return value
    if kind.group == "autoscaling":
        return _autoscaler_in(value)
    return {_IN.get(key, key): entry for key, entry in value.items()} | {"apiVersion": "v1"}


def from_storage(kind: Kind, value: Json) -> Json:
    """The served form of a stored object."""
    if kind.custom is not None:
        return _custom_out(kind, value)
    if kind.stored_as is None:
        return value
    if kind.group == "autoscaling":
        return _autoscaler_out(value)
    return {_OUT.get(key, key): entry for key, entry in value.items()} | {"apiVersion": kind.api_version}


def is_stored_as_shown(kind: Kind) -> bool:
    """Whether objects of this kind are shown just as they are stored."""
    return kind.stored_as is None and kind.custom is None


def _custom_out(kind: Kind, value: Json) -> Json:
    pruned, _ = structural.decode(kind.custom.schema if kind.custom is not None else {}, value)
    kind.defaults(pruned)
    return pruned | {"apiVersion": kind.api_version}


def _autoscaler_in(value: Json) -> Json:
    spec = dict(section(value, "spec"))
    target = spec.pop(_TARGET, None)
    if target is not None:
        wanted = {"type": "Utilization", "averageUtilization": target}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": wanted}}]
    status = {key: entry for key, entry in section(value, "status").items() if key != _CURRENT}
    return value | {"apiVersion": "autoscaling/v2", "spec": spec, "status": status}


def _autoscaler_out(value: Json) -> Json:
    spec = dict(section(value, "spec"))
    status = dict(section(value, "status"))
    target = _utilization(items(spec, "metrics"), "target")
    current = _utilization(items(status, "currentMetrics"), "current")
    for name in ("metrics", "behavior"):
        spec.pop(name, None)
    for name in ("currentMetrics", "conditions"):
        status.pop(name, None)
    if target is not None:
        spec[_TARGET] = target
    if current is not None:
        status[_CURRENT] = current
    return value | {"apiVersion": "autoscaling/v1", "spec": spec, "status": status}


def _utilization(metrics: list[Json], field: str) -> int | None:
    for metric in metrics:
        if metric.get("type") == "Resource" and section(metric, "resource").get("name") == "cpu":
            found = section(metric, "resource", field).get("averageUtilization")
            return found if isinstance(found, int) else None
    return None
