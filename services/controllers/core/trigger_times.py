"""Since when endpoints are due to change: what the annotation of Endpoints and EndpointSlices tells kube-proxy.

Source: kubernetes `staging/src/k8s.io/endpointslice/util/trigger_time_tracker.go`. As there, the time is wrong if one
pod changes twice between two decisions, and what makes no condition turn (a deletion) has none.
"""

from dataclasses import dataclass, field
from typing import Final

from podwire.proto.kube.json_objects import items, section
from podwire.proto.kube.times import parse, rfc3339
from podwire.proto.subjects import ObjectKey
from podwire.services.controllers.core.writes import Json

TRIGGER_TIME: Final = "endpoints.kubernetes.io/last-change-trigger-time"


@dataclass(slots=True)
class _Known:
    """What a Service's last decision saw; ns since the epoch."""

    created: int = 0
    pods: dict[str, int] = field(default_factory=dict)


class TriggerTimes:
    """What one controller remembers of each Service. A new process knows nothing."""

    def __init__(self) -> None:
        self._known: dict[ObjectKey, _Known] = {}

    def annotations(self, key: ObjectKey, service: Json, pods: list[Json]) -> dict[str, str | None]:
        """The annotation for what is written now, as a merge patch (null clears it): the earliest change since the last
        decision; of a Service that is new here, its creation."""
        created = parse(service["metadata"].get("creationTimestamp"))
        times = {pod["metadata"]["name"]: _ready_since(pod) for pod in pods}
        before, self._known[key] = self._known.get(key), _Known(created, times)
        if before is None:
            return {TRIGGER_TIME: rfc3339(created) if created else None}
        changed = [time for name, time in times.items() if time > before.pods.get(name, 0)]
        changed += [created] if created > before.created else []
        return {TRIGGER_TIME: rfc3339(min(changed)) if changed else None}

    def forget(self, key: ObjectKey) -> None:
        """The Service is gone."""
        self._known.pop(key, None)


def _ready_since(pod: Json) -> int:
    """When its Ready condition turned last; 0 without one."""
    conditions = items(section(pod, "status"), "conditions")
    return next((parse(each.get("lastTransitionTime")) for each in conditions if each.get("type") == "Ready"), 0)


def present(annotations: dict[str, str | None]) -> dict[str, str]:
    """The annotations of a new object."""
    return {name: value for name, value in annotations.items() if value is not None}
