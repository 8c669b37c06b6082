"""A Deployment's status: counts, and the conditions Available and Progressing.

Source: kubernetes `pkg/controller/deployment/progress.go`, `util/deployment_util.go`.
"""

from typing import Final

from podwire.proto.kube.json_objects import items, section
from podwire.proto.kube.times import SECOND, parse, rfc3339
from podwire.services.controllers.core.writes import Json

_COUNTS: Final = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas")


def status_patch(
    deployment: Json, replica_sets: list[Json], new: Json | None, minimum: int, now: int
) -> tuple[Json | None, int]:
    """The status to write (None when it is right), and when to look again (0: not by the clock)."""
    current = section(deployment, "status")
    counts = _counts(deployment, replica_sets, new)
    conditions = {entry["type"]: entry for entry in items(current, "conditions")}
    available = counts["availableReplicas"] >= minimum
    _set(conditions, *_availability(available), now, False)
    progressed = any(counts[name] != current.get(name, 0) for name in _COUNTS)
    again = _progress(deployment, counts, new, conditions, progressed, now)
    wanted: Json = {**counts, "observedGeneration": deployment["metadata"].get("generation", 0)}
    same = all(current.get(name, 0) == value for name, value in wanted.items())
    listed = [conditions[name] for name in sorted(conditions)]
    if same and listed == sorted(items(current, "conditions"), key=lambda entry: str(entry["type"])):
        return None, again
    return {**wanted, "conditions": listed}, again


def _counts(deployment: Json, replica_sets: list[Json], new: Json | None) -> dict[str, int]:
    def total(name: str, chosen: list[Json]) -> int:
        return sum(section(each, "status").get(name, 0) for each in chosen)

    available = total("availableReplicas", replica_sets)
    asked = sum(section(each, "spec").get("replicas", 0) for each in replica_sets)
    return {
        "replicas": total("replicas", replica_sets),
        "updatedReplicas": total("replicas", [new] if new is not None else []),
        "readyReplicas": total("readyReplicas", replica_sets),
        "availableReplicas": available,
        "unavailableReplicas": max(0, asked - available),
    }


def _availability(available: bool) -> tuple[str, str, str, str]:
    if available:
        return "Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability."
    return "Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."


def _progress(
    deployment: Json,
    counts: dict[str, int],
    new: Json | None,
    conditions: dict[str, Json],
    progressed: bool,
    now: int,
) -> int:
    spec, name = section(deployment, "spec"), deployment["metadata"]["name"]
    replicas, current = spec.get("replicas", 1), conditions.get("Progressing", {})
    subject = f'ReplicaSet "{new["metadata"]["name"]}"' if new is not None else f'Deployment "{name}"'
    complete = counts["updatedReplicas"] == counts["replicas"] == counts["availableReplicas"] == replicas
    if complete and new is not None:
        text = f"{subject} has successfully progressed."
        _set(conditions, "Progressing", "True", "NewReplicaSetAvailable", text, now, False)
        return 0
    if new is None:
        return 0
    if progressed or not current or current.get("reason") == "NewReplicaSetAvailable":
        _set(conditions, "Progressing", "True", "ReplicaSetUpdated", f"{subject} is progressing.", now, True)
    patience = int(spec.get("progressDeadlineSeconds", 600)) * SECOND
    deadline: int = parse(conditions["Progressing"].get("lastUpdateTime")) + patience
    if now < deadline:
        return deadline
    text = f"{subject} has timed out progressing."
    _set(conditions, "Progressing", "False", "ProgressDeadlineExceeded", text, now, False)
    return 0


def _set(conditions: dict[str, Json], kind: str, status: str, reason: str, message: str, now: int, touch: bool) -> None:
    """Sets a condition; its transition time moves only with its status."""
    old = conditions.get(kind, {})
    same = (old.get("status"), old.get("reason")) == (status, reason)
    if same and not touch:
        return
    moment = rfc3339(now)
    conditions[kind] = {
        "type": kind,
        "status": status,
        "lastUpdateTime": moment,
        "lastTransitionTime": old["lastTransitionTime"] if old.get("status") == status else moment,
        "reason": reason,
        "message": message,
    }
