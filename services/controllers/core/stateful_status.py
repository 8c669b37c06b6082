"""A StatefulSet's status: counts, and which revision is current.

Source: kubernetes `pkg/controller/statefulset/stateful_set_{utils,control}.go` (completeRollingUpdate).
"""

from podwire.proto.kube.json_objects import section
from podwire.services.controllers.core import pods as judge
from podwire.services.controllers.core.cluster import is_going
from podwire.services.controllers.core.writes import Json, Plan


def status_of(
    value: Json, pods: list[tuple[str, Json]], current: str, update: str, plan: Plan, now: int
) -> Json | None:
    """The status to write, None when it is right; `pods` are pairs of revision and pod."""
    spec = section(value, "spec")
    staying = [(revision, pod) for revision, pod in pods if not is_going(pod)]
    ready = [pod for _, pod in staying if judge.is_ready(pod)]
    available, moment = judge.available(ready, spec.get("minReadySeconds", 0), now)
    plan.again_at(moment)
    wanted: Json = {
        "replicas": len(pods),
        "readyReplicas": len(ready),
        "availableReplicas": available,
        "currentReplicas": sum(revision == current for revision, _ in staying),
        "updatedReplicas": sum(revision == update for revision, _ in staying),
        "currentRevision": current,
        "updateRevision": update,
        "observedGeneration": value["metadata"].get("generation", 0),
        "collisionCount": 0,
    }
    _complete(wanted, spec, update)
    present = section(value, "status")
    return wanted if any(present.get(name, 0) != entry for name, entry in wanted.items()) else None


def _complete(status: Json, spec: Json, update: str) -> None:
    """A finished roll-over makes the update revision the current one."""
    rolls = section(spec, "updateStrategy").get("type", "RollingUpdate") == "RollingUpdate"
    if rolls and status["updatedReplicas"] == status["replicas"] == status["readyReplicas"]:
        status["currentReplicas"], status["currentRevision"] = status["updatedReplicas"], update
