"""Schedules: which chaos objects they make and delete now.

Source: chaos-mesh `controllers/schedule/{cron,active,gc,pause}`, `controllers/schedule/utils`.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from podwire.proto.kube import cron
from podwire.proto.kube.json_objects import items, section
from podwire.proto.kube.times import SECOND, parse, rfc3339
from podwire.services.chaos.core import experiment
from podwire.services.chaos.core.kinds import FIELDS, SCHEDULES, BadChaos, Json
from podwire.services.chassis.durations import parse_duration

MANAGED_BY: Final = "managed-by"
_SUFFIX: Final = 5
_EVERY: Final = "@every "


@dataclass(slots=True)
class Turn:
    """What is to be done for one Schedule."""

    create: list[Json] = field(default_factory=list)
    delete: list[Json] = field(default_factory=list)
    status: Json | None = None
    says: list[tuple[str, str]] = field(default_factory=list)
    """Events: reason and message."""
    again_at: int | None = None


def decide(schedule: Json, children: list[Json], now: int) -> Turn:
    """The turn of one Schedule with what it made. Raises BadChaos."""
    turn = Turn()
    if experiment.is_going(schedule):
        return turn
    active = [child for child in children if not experiment.is_finished(child, now)]
    status = dict(section(schedule, "status"))
    if not experiment.is_paused(schedule):
        _spawn(schedule, active, status, now, turn)
    _forget(schedule, [child for child in children if child not in active], turn)
    status["active"] = [_reference(child) for child in active]
    turn.status = None if status == section(schedule, "status") else status
    return turn


def _spawn(schedule: Json, active: list[Json], status: Json, now: int, turn: Turn) -> None:
    due, turn.again_at = _latest(schedule, now)
    deadline = schedule["spec"].get("startingDeadlineSeconds")
    if not due or (deadline is not None and now > due + deadline * SECOND):
        return
    status["time"] = rfc3339(due)
    if active and schedule["spec"].get("concurrencyPolicy", "Forbid") == "Forbid":
        names = ", ".join(child["metadata"]["name"] for child in active)
        turn.says.append(("Forbid", f"Forbid spawning new job because: {names} is still running"))
        return
    child = _child(schedule, due)
    turn.create.append(child)
    turn.says.append(("Spawned", f"Create new object: {child['metadata']['name']}"))


def _latest(schedule: Json, now: int) -> tuple[int, int | None]:
    """The last time that is due and was not used (0: none), and the next."""
    text = str(schedule["spec"].get("schedule", ""))
    last = parse(section(schedule, "status").get("time")) or parse(schedule["metadata"].get("creationTimestamp"))
    due = 0
    try:
        for moment in _times(text, last):
            if moment > now:
                return due, moment
            due = moment
    except (cron.BadSchedule, ValueError) as error:
        raise BadChaos(f"spec.schedule {text!r}: {error}") from None
    return due, None


def _times(text: str, last: int) -> Iterator[int]:
    """The moments of a schedule after one; `@every 30s` counts from there (robfig/cron, ConstantDelaySchedule)."""
    if not text.startswith(_EVERY):
        yield from cron.times(text, "", last)
        return
    seconds = parse_duration(text.removeprefix(_EVERY).strip())
    if seconds is None:
        raise BadChaos(f"spec.schedule {text!r}: @every needs a duration, as in @every 1h30m")
    step = max(int(seconds), 1) * SECOND
    while True:
        last += step
        yield last


def _child(schedule: Json, due: int) -> Json:
    """The object of one time; its name follows from the time, so that none is used twice."""
    meta, kind = schedule["metadata"], schedule["spec"]["type"]
    spec = schedule["spec"].get(FIELDS[kind])
    if not isinstance(spec, dict):
        raise BadChaos(f"spec.{FIELDS[kind]}: is needed for the type {kind}")
    suffix = hashlib.sha1(f"{meta['uid']}/{due}".encode()).hexdigest()[:_SUFFIX]
    owner = {
        "apiVersion": SCHEDULES.api_version,
        "kind": SCHEDULES.kind,
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {
        "apiVersion": SCHEDULES.api_version,
        "kind": kind,
        "metadata": {
            "name": f"{meta['name']}-{suffix}",
            "namespace": meta["namespace"],
            "labels": {MANAGED_BY: meta["name"]},
            "ownerReferences": [owner],
        },
        "spec": spec,
    }


def _forget(schedule: Json, ended: list[Json], turn: Turn) -> None:
    """Deletes the oldest that have ended over the limit."""
    limit = schedule["spec"].get("historyLimit", 1)
    ordered = sorted(ended, key=lambda child: (child["metadata"]["creationTimestamp"], child["metadata"]["name"]))
    turn.delete = [child for child in ordered[: max(0, len(ordered) - limit)] if not experiment.is_going(child)]


def _reference(child: Json) -> Json:
    meta = child["metadata"]
    return {
        "apiVersion": child.get("apiVersion", SCHEDULES.api_version),
        "kind": child.get("kind", ""),
        "namespace": meta["namespace"],
        "name": meta["name"],
        "uid": meta["uid"],
    }


def schedule_uid(child: Json) -> str:
    """The uid of the Schedule that made an object; "" where none did."""
    owners = items(child["metadata"], "ownerReferences")
    return next((str(owner.get("uid", "")) for owner in owners if owner.get("kind") == SCHEDULES.kind), "")
