"""Judgements about pods (kubernetes `pkg/api/v1/pod/util.go`, `pkg/controller/controller_utils.go`)."""

from podwire.proto.kube.json_objects import items, section
from podwire.proto.kube.times import SECOND, parse
from podwire.services.controllers.core.cluster import is_going
from podwire.services.controllers.core.writes import Json

_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


def phase(pod: Json) -> str:
    """Pending, Running, Succeeded, Failed or Unknown."""
    return str(section(pod, "status").get("phase", "Pending"))


def is_over(pod: Json) -> bool:
    """Whether all its containers have ended for good."""
    return phase(pod) in ("Succeeded", "Failed")


def is_active(pod: Json) -> bool:
    """Whether it counts as a replica."""
    return not is_over(pod) and not is_going(pod)


def ready_since(pod: Json) -> int | None:
    """When it became ready (ns); None when it is not."""
    for condition in items(section(pod, "status"), "conditions"):
        if condition.get("type") == "Ready" and condition.get("status") == "True":
            return parse(condition.get("lastTransitionTime"))
    return None


def is_ready(pod: Json) -> bool:
    """Whether its Ready condition is True."""
    return ready_since(pod) is not None


def available_at(pod: Json, minimum_seconds: int) -> int | None:
    """When it counts as available (ns), or None while it is not ready."""
    since = ready_since(pod)
    return None if since is None else since + minimum_seconds * SECOND


def available(pods: list[Json], minimum_seconds: int, now: int) -> tuple[int, int]:
    """How many count as available, and when the next one will (ns; 0: none is on its way)."""
    moments = [moment for pod in pods if (moment := available_at(pod, minimum_seconds)) is not None]
    coming = [moment for moment in moments if moment > now]
    return len(moments) - len(coming), min(coming, default=0)


def deletion_order(pod: Json, neighbours: int) -> tuple[int, int, int, int, int, int, int, str]:
    """Sorts the pods to give up first to the front (ActivePodsWithRanks); `neighbours` share its node."""
    meta, status = pod["metadata"], section(pod, "status")
    restarts = sum(entry.get("restartCount", 0) for entry in items(status, "containerStatuses"))
    cost = section(meta, "annotations").get("controller.kubernetes.io/pod-deletion-cost", "0")
    return (
        1 if section(pod, "spec").get("nodeName") else 0,
        _PHASES.get(phase(pod), 0),
        1 if is_ready(pod) else 0,
        int(cost) if cost.lstrip("-").isdecimal() and len(cost) < 11 else 0,
        -neighbours,
        -(ready_since(pod) or 0),
        -restarts,
        f"{(1 << 63) - parse(meta.get('creationTimestamp')):020d}",
    )
