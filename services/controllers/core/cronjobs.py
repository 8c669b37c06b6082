"""CronJobs: a Job for each time of a schedule.

Source: kubernetes `pkg/controller/cronjob/{cronjob_controllerv2,utils}.go`. Of several missed times the last is made up
for; the Job's name follows from its time, so that no time is run twice.
"""

from typing import Final

from podwire.proto.kube import cron
from podwire.proto.kube.json_objects import copy_json, items, section
from podwire.proto.kube.resources import CRON_JOBS, JOBS
from podwire.proto.kube.times import SECOND, parse, rfc3339
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.chance import RandomBits
from podwire.services.controllers.core import job_status
from podwire.services.controllers.core.cluster import Cluster, is_going, owner_reference
from podwire.services.controllers.core.turn import Turn
from podwire.services.controllers.core.writes import About, Create, Delete, Json, Patch, Plan

_COMPONENT: Final = "cronjob-controller"
_SCHEDULED: Final = "batch.kubernetes.io/cronjob-scheduled-timestamp"
_TOO_MANY: Final = 100


def decide(key: ObjectKey, cluster: Cluster, now: int, random: RandomBits) -> Plan:
    """The writes that one CronJob needs."""
    plan = Plan()
    value = cluster[CRON_JOBS].objects.get(key)
    if value is None or is_going(value):
        return plan
    turn = Turn(plan, cluster, now, random)
    jobs = cluster[JOBS].owned_by(value["metadata"]["uid"])
    _clean(value, jobs, turn)
    status = dict(section(value, "status"))
    active = [job for job in jobs if job_status.finished(job) is None]
    _note_success(status, jobs)
    if not section(value, "spec").get("suspend"):
        active = _run_due(value, status, active, turn)
    _write_status(value, status, active, turn)
    return plan


def _run_due(value: Json, status: Json, active: list[Json], turn: Turn) -> list[Json]:
    """Starts the latest time that is due; answers what is active then."""
    spec = section(value, "spec")
    due, coming = _latest_due(value, status, turn)
    if coming:
        turn.plan.again_at(coming)
    if not due:
        return active
    deadline = spec.get("startingDeadlineSeconds")
    if deadline is not None and turn.now > due + deadline * SECOND:
        _say(value, turn, "MissSchedule", f"Missed scheduled time to start a job: {rfc3339(due)}", "Warning")
        status["lastScheduleTime"] = rfc3339(due)
        return active
    if active and spec.get("concurrencyPolicy") == "Forbid":
        text = "Not starting job because prior execution is running and concurrency policy is Forbid"
        _say(value, turn, "JobAlreadyActive", text)
        return active
    if spec.get("concurrencyPolicy") == "Replace":
        for job in active:
            _delete(value, job, turn)
        active = []
    job = _job(value, due)
    status["lastScheduleTime"] = rfc3339(due)
    if turn.cluster[JOBS].get(value["metadata"]["namespace"], job["metadata"]["name"]) is None:
        turn.plan.writes.append(Create(JOBS, job))
        _say(value, turn, "SuccessfulCreate", f"Created job {job['metadata']['name']}")
    return active


def _latest_due(value: Json, status: Json, turn: Turn) -> tuple[int, int]:
    """The last time that is due and was not started (0: none), and the next time to come (0: never)."""
    spec, meta = section(value, "spec"), value["metadata"]
    last = parse(status.get("lastScheduleTime")) or parse(meta.get("creationTimestamp"))
    deadline = spec.get("startingDeadlineSeconds")
    if deadline is not None:
        last = max(last, turn.now - deadline * SECOND)
    due, missed = 0, 0
    try:
        for moment in cron.times(spec.get("schedule", ""), spec.get("timeZone", ""), last):
            if moment > turn.now:
                return due, moment
            due, missed = moment, missed + 1
            if missed == _TOO_MANY + 1:
                text = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
                _say(value, turn, "TooManyMissedTimes", text, "Warning")
    except (cron.BadSchedule, ValueError, OSError) as error:
        _say(value, turn, "UnparseableSchedule", f"unparseable schedule: {spec.get('schedule')} : {error}", "Warning")
    return due, 0


def _job(value: Json, due: int) -> Json:
    """The Job of one time; its name ends in that time's minutes since the epoch."""
    meta, template = value["metadata"], section(value, "spec", "jobTemplate")
    given = section(template, "metadata")
    annotations = {**section(given, "annotations"), _SCHEDULED: rfc3339(due)}
    return {
        "metadata": {
            "name": f"{meta['name']}-{due // (60 * SECOND)}",
            "namespace": meta["namespace"],
            "labels": dict(section(given, "labels")),
            "annotations": annotations,
            "ownerReferences": [owner_reference(CRON_JOBS, value)],
        },
        "spec": copy_json(section(template, "spec")),
    }


def _clean(value: Json, jobs: list[Json], turn: Turn) -> None:
    """Deletes the oldest finished Jobs over the two limits."""
    spec = section(value, "spec")
    for kind, limit in (("Complete", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit")):
        ended = [job for job in jobs if _ended_as(job, kind) and not is_going(job)]
        ended.sort(key=lambda job: (parse(section(job, "status").get("startTime")), job["metadata"]["name"]))
        most = spec.get(limit, 3 if kind == "Complete" else 1)
        for job in ended[: max(0, len(ended) - most)]:
            _delete(value, job, turn)


def _ended_as(job: Json, kind: str) -> bool:
    conditions = items(section(job, "status"), "conditions")
    return any(entry.get("type") == kind and entry.get("status") == "True" for entry in conditions)


def _delete(value: Json, job: Json, turn: Turn) -> None:
    meta = job["metadata"]
    turn.plan.writes.append(Delete(JOBS, meta["namespace"], meta["name"], meta["uid"]))
    _say(value, turn, "SuccessfulDelete", f"Deleted job {meta['name']}")


def _note_success(status: Json, jobs: list[Json]) -> None:
    times = [str(section(job, "status").get("completionTime", "")) for job in jobs if _ended_as(job, "Complete")]
    latest = max(times, default="")
    if latest > str(status.get("lastSuccessfulTime", "")):
        status["lastSuccessfulTime"] = latest


def _write_status(value: Json, status: Json, active: list[Json], turn: Turn) -> None:
    wanted = [
        {
            "apiVersion": JOBS.api_version,
            "kind": JOBS.kind,
            "name": job["metadata"]["name"],
            "namespace": job["metadata"]["namespace"],
            "uid": job["metadata"]["uid"],
        }
        for job in active
    ]
    status["active"] = wanted
    before = section(value, "status")
    if {**before, "active": items(before, "active")} == status:
        return
    meta = value["metadata"]
    revision = turn.cluster[CRON_JOBS].revision(value)
    turn.plan.patch(Patch(CRON_JOBS, meta["namespace"], meta["name"], {"status": status}, "status", revision))


def _say(value: Json, turn: Turn, reason: str, text: str, kind: str = "Normal") -> None:
    about = About(_COMPONENT, value, CRON_JOBS.api_version, CRON_JOBS.kind)
    turn.say(about, reason, text, kind)
