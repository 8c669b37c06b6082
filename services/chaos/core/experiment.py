"""The life of an experiment: what is wanted, what is so far, and what its status says.

Source: chaos-mesh `controllers/common/{records,desiredphase,condition,finalizers}` of v2.7.
"""

from typing import Final, Literal

from podwire.proto.kube.json_objects import items, section
from podwire.proto.kube.times import SECOND, parse, rfc3339
from podwire.services.chaos.core.kinds import BadChaos, Json
from podwire.services.chassis.durations import parse_duration

type Phase = Literal["Run", "Stop"]
type Operation = Literal["Apply", "Recover"]

FINALIZER: Final = "chaos-mesh/records"
PAUSE: Final = "experiment.chaos-mesh.org/pause"
FORCED: Final = ("chaos-mesh.chaos-mesh.org/cleanFinalizer", "forced")
INJECTED: Final = "Injected"
NOT_INJECTED: Final = "Not Injected"
_MOST_EVENTS: Final = 5
_ONE_SHOT: Final = ("pod-kill", "container-kill")


def is_going(chaos: Json) -> bool:
    """Whether an object is being deleted."""
    return bool(chaos["metadata"].get("deletionTimestamp"))


def is_paused(chaos: Json) -> bool:
    """Whether somebody wants it to stop for a while."""
    return bool(section(chaos, "metadata", "annotations").get(PAUSE) == "true")


def is_one_shot(chaos: Json) -> bool:
    """Whether what it does is done at once, and cannot be taken back."""
    return section(chaos, "spec").get("action") in _ONE_SHOT


def ends_at(chaos: Json) -> int | None:
    """When it is over (ns), None for never. Raises BadChaos."""
    text = section(chaos, "spec").get("duration")
    if text is None or is_one_shot(chaos):
        return None
    seconds = parse_duration(text)
    if seconds is None:
        raise BadChaos(f"spec.duration {text!r}: a duration is needed, as in 30s or 1h30m")
    return parse(chaos["metadata"].get("creationTimestamp")) + round(seconds * SECOND)


def desired_phase(chaos: Json, now: int) -> Phase:
    """What is wanted now. Raises BadChaos."""
    if is_going(chaos):
        return "Stop"
    if is_one_shot(chaos):
        return "Run"
    end = ends_at(chaos)
    return "Stop" if is_paused(chaos) or (end is not None and now >= end) else "Run"


def records_of(chaos: Json) -> list[Json] | None:
    """What is recorded of each pod; None before pods were selected."""
    found = section(chaos, "status", "experiment").get("containerRecords")
    return found if isinstance(found, list) else None


def new_record(identifier: str, key: str) -> Json:
    """A pod or container before anything was done to it."""
    counts = {"injectedCount": 0, "recoveredCount": 0}
    return {"id": identifier, "selectorKey": key, "phase": NOT_INJECTED, "events": [], **counts}


def due(record: Json, wanted: Phase) -> Operation | None:
    """What a pod's record asks for."""
    if wanted == "Run" and record.get("phase") == NOT_INJECTED:
        return "Apply"
    return "Recover" if wanted == "Stop" and record.get("phase") != NOT_INJECTED else None


def done(record: Json, operation: Operation, now: int, failure: str = "") -> Json:
    """The record after an operation."""
    applied = operation == "Apply"
    event: Json = {"type": "Failed" if failure else "Succeeded", "operation": operation, "timestamp": rfc3339(now)}
    if failure:
        event["message"] = failure
    result = record | {"events": [*items(record, "events"), event][-_MOST_EVENTS:]}
    if failure:
        return result
    count = "injectedCount" if applied else "recoveredCount"
    return result | {"phase": INJECTED if applied else NOT_INJECTED, count: record.get(count, 0) + 1}


def status(chaos: Json, records: list[Json] | None, wanted: Phase) -> Json:
    """The whole status."""
    experiment: Json = {"desiredPhase": wanted}
    if records is not None:
        experiment["containerRecords"] = records
    return {"conditions": _conditions(chaos, records), "experiment": experiment}


def _conditions(chaos: Json, records: list[Json] | None) -> list[Json]:
    phases = [record.get("phase") for record in records or []]
    holds = {
        "Selected": bool(records),
        "AllInjected": bool(records) and all(phase == INJECTED for phase in phases),
        "AllRecovered": records is not None and all(phase == NOT_INJECTED for phase in phases),
        "Paused": is_paused(chaos),
    }
    return [{"type": name, "status": "True" if value else "False"} for name, value in holds.items()]


def finalizers(chaos: Json, records: list[Json] | None) -> list[str]:
    """What holds the object: the records, until everything is as it was."""
    present = items(chaos["metadata"], "finalizers")
    others = [entry for entry in present if entry != FINALIZER]
    forced = section(chaos, "metadata", "annotations").get(FORCED[0]) == FORCED[1]
    recovered = all(record.get("phase") == NOT_INJECTED for record in records or [])
    if is_going(chaos) and (recovered or forced or is_one_shot(chaos)):
        return others
    return present if is_going(chaos) or FINALIZER in present else [*present, FINALIZER]


def is_finished(chaos: Json, now: int) -> bool:
    """Whether nothing will come of it any more."""
    records = records_of(chaos)
    if records is None:
        return False
    if is_one_shot(chaos):
        return all(record.get("phase") == INJECTED for record in records)
    try:
        end = ends_at(chaos)
    except BadChaos:
        return False
    return end is not None and now >= end and all(record.get("phase") == NOT_INJECTED for record in records)
