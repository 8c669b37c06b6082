"""A Job's count, its end, and its status.

Source: kubernetes `pkg/controller/job/job_controller.go` (syncJob, enactJobFinished,
trackJobStatusAndRemoveFinalizers).
"""

from typing import Final, NamedTuple

from podwire.proto.kube.json_objects import items, section
from podwire.proto.kube.times import SECOND, parse, rfc3339
from podwire.services.controllers.core import job_indexes as indexes
from podwire.services.controllers.core import job_policies as policies
from podwire.services.controllers.core import pods as judge
from podwire.services.controllers.core.cluster import is_going
from podwire.services.controllers.core.index_ranges import ranges
from podwire.services.controllers.core.writes import Json

_ENDS: Final = ("Complete", "Failed")


class Tally(NamedTuple):
    """Pods that ended: counted in the status, written down there, or seen for the first time; uids of each kind."""

    succeeded: int
    failed: int
    new_succeeded: list[str]
    new_failed: list[str]
    leaving: list[str]
    """Written down and free of the finalizer: to be counted now."""
    completed: list[int]
    """Indexes of an Indexed Job that succeeded."""
    failed_indexes: list[int]


class Finish(NamedTuple):
    """How a Job ends: the condition's type, reason and message."""

    kind: str
    reason: str
    message: str


def finished(job: Json) -> int | None:
    """When a Job ended (ns), or None."""
    for entry in items(section(job, "status"), "conditions"):
        if entry.get("type") in _ENDS and entry.get("status") == "True":
            return parse(entry.get("lastTransitionTime"))
    return None


def ended_at(pod: Json) -> int:
    """When a pod's last container ended (ns)."""
    ends = [
        parse(section(entry, "state", "terminated").get("finishedAt"))
        for entry in items(section(pod, "status"), "containerStatuses")
    ]
    return max(ends, default=0) or parse(pod["metadata"].get("deletionTimestamp"))


def tally(job: Json, pods: list[Json], finalizer: str) -> Tally:
    """All that is known of the ends of a Job's pods."""
    status = section(job, "status")
    written = section(status, "uncountedTerminatedPods")
    noted = {name: list(items(written, name)) for name in ("succeeded", "failed")}
    held = [pod for pod in pods if finalizer in items(pod["metadata"], "finalizers")]
    held_uids = [pod["metadata"]["uid"] for pod in held]
    fresh = [pod for pod in held if pod["metadata"]["uid"] not in noted["succeeded"] + noted["failed"]]
    return Tally(
        status.get("succeeded", 0),
        status.get("failed", 0),
        [pod["metadata"]["uid"] for pod in fresh if judge.phase(pod) == "Succeeded"],
        [pod["metadata"]["uid"] for pod in fresh if _has_failed(pod) and not policies.is_ignored(job, pod)],
        [uid for uid in noted["succeeded"] + noted["failed"] if uid not in held_uids],
        indexes.completed(job, pods),
        indexes.failed(job, pods),
    )


def _has_failed(pod: Json) -> bool:
    """A pod that is deleted before it ended counts as failed once it is over."""
    return judge.phase(pod) == "Failed" or (is_going(pod) and not section(pod, "spec").get("nodeName"))


def succeeded_in_all(job: Json, count: Tally) -> int:
    """Successes, counted and not yet."""
    if section(job, "spec").get("completionMode") == "Indexed":
        return len(count.completed)
    written = items(section(job, "status", "uncountedTerminatedPods"), "succeeded")
    return count.succeeded + len(written) + len(count.new_succeeded)


def failed_in_all(job: Json, count: Tally) -> int:
    """Failures, counted and not yet."""
    written = items(section(job, "status", "uncountedTerminatedPods"), "failed")
    return count.failed + len(written) + len(count.new_failed)


def wanted_active(job: Json, count: Tally) -> int:
    """How many pods should run now."""
    spec, done = section(job, "spec"), succeeded_in_all(job, count)
    parallelism, completions = spec.get("parallelism", 1), spec.get("completions")
    if completions is None:
        return 0 if done else int(parallelism)
    left = int(completions) - done - (len(count.failed_indexes) if "backoffLimitPerIndex" in spec else 0)
    return max(0, min(int(parallelism), left))


def finish_of(job: Json, count: Tally, pods: list[Json], now: int) -> Finish | None:
    """How the Job ends now; None while it goes on."""
    spec = section(job, "spec")
    if (decided := _decided(job)) is not None:
        return decided
    if broken := policies.failing(job, pods):
        return Finish("Failed", "PodFailurePolicy", broken)
    limit, start = spec.get("activeDeadlineSeconds"), parse(section(job, "status").get("startTime"))
    if limit is not None and start and now >= start + limit * SECOND and not spec.get("suspend"):
        return Finish("Failed", "DeadlineExceeded", "Job was active longer than specified deadline")
    retries = spec.get("backoffLimit", 6)
    if failed_in_all(job, count) > retries or _restarts(spec, pods) >= max(1, retries):
        return Finish("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    return _finish_of_indexes(job, count) or _completion(job, count, pods)


def _decided(job: Json) -> Finish | None:
    """The end that is written down already: its pods only have to go."""
    targets = {"FailureTarget": "Failed", "SuccessCriteriaMet": "Complete"}
    for entry in items(section(job, "status"), "conditions"):
        if entry.get("type") in targets and entry.get("status") == "True":
            return Finish(targets[entry["type"]], str(entry.get("reason", "")), str(entry.get("message", "")))
    return None


def _restarts(spec: Json, pods: list[Json]) -> int:
    """Restarts in place count as failures (restartPolicy OnFailure)."""
    if section(spec, "template", "spec").get("restartPolicy") != "OnFailure":
        return 0
    running = [pod for pod in pods if judge.phase(pod) in ("Running", "Pending")]
    return sum(
        entry.get("restartCount", 0)
        for pod in running
        for key in ("initContainerStatuses", "containerStatuses")
        for entry in items(section(pod, "status"), key)
    )


def _finish_of_indexes(job: Json, count: Tally) -> Finish | None:
    spec = section(job, "spec")
    if "backoffLimitPerIndex" not in spec or not count.failed_indexes:
        return None
    most = spec.get("maxFailedIndexes")
    if most is not None and len(count.failed_indexes) > most:
        text = "Job has exceeded the specified maximal number of failed indexes"
        return Finish("Failed", "MaxFailedIndexesExceeded", text)
    if len(count.failed_indexes) + len(count.completed) >= spec.get("completions", 0):
        return Finish("Failed", "FailedIndexes", "Job has failed indexes")
    return None


def _completion(job: Json, count: Tally, pods: list[Json]) -> Finish | None:
    spec, done = section(job, "spec"), succeeded_in_all(job, count)
    completions = spec.get("completions")
    if (rule := policies.met_rule(job, count.completed)) is not None:
        return Finish("Complete", "SuccessPolicy", f"Matched rules at index {rule}")
    active = [pod for pod in pods if judge.is_active(pod)]
    over = done > 0 and not active if completions is None else done >= completions and not active
    return Finish("Complete", "CompletionsReached", "Reached expected number of succeeded pods") if over else None


def next_status(job: Json, pods: list[Json], active: list[Json], count: Tally, end: Finish | None, now: int) -> Json:
    """The status as it should be."""
    before, spec = section(job, "status"), section(job, "spec")
    status: Json = {name: entry for name, entry in before.items() if name in ("conditions", "startTime")}
    written = section(before, "uncountedTerminatedPods")
    uncounted = {}
    for name, new in (("succeeded", count.new_succeeded), ("failed", count.new_failed)):
        noted = items(written, name)
        left = [uid for uid in noted if uid not in count.leaving] + new
        counted = before.get(name, 0) + sum(uid in count.leaving for uid in noted)
        if counted:
            status[name] = counted
        if left:
            uncounted[name] = left
    status["uncountedTerminatedPods"] = uncounted
    running = 0 if end is not None or spec.get("suspend") else len(active)
    if running:
        status["active"] = running
    status["ready"] = sum(judge.is_ready(pod) for pod in active) if running else 0
    status["terminating"] = sum(is_going(pod) and not judge.is_over(pod) for pod in pods)
    _indexes(status, spec, count)
    _conditions(status, job, uncounted, end, now)
    return status


def _indexes(status: Json, spec: Json, count: Tally) -> None:
    if spec.get("completionMode") != "Indexed":
        return
    status["completedIndexes"] = ranges(count.completed)
    status["succeeded"] = len(count.completed)
    if "backoffLimitPerIndex" in spec:
        status["failedIndexes"] = ranges(count.failed_indexes)


def _conditions(status: Json, job: Json, uncounted: Json, end: Finish | None, now: int) -> None:
    """Suspension, and the end once every pod is counted."""
    conditions = list(items(status, "conditions"))
    moment = rfc3339(now)
    suspended = bool(section(job, "spec").get("suspend"))
    held = any(entry["type"] == "Suspended" and entry["status"] == "True" for entry in conditions)
    if suspended and not held:
        conditions = _set(conditions, Finish("Suspended", "JobSuspended", "Job suspended"), "True", moment)
        status.pop("startTime", None)
    elif held and not suspended:
        conditions = _set(conditions, Finish("Suspended", "JobResumed", "Job resumed"), "False", moment)
    if not suspended:
        status.setdefault("startTime", moment)
    if end is not None:
        target = "SuccessCriteriaMet" if end.kind == "Complete" else "FailureTarget"
        conditions = _set(conditions, end._replace(kind=target), "True", moment)
        if not uncounted and not status["terminating"]:
            conditions = _set(conditions, end, "True", moment)
            if end.kind == "Complete":
                status["completionTime"] = moment
    if conditions:
        status["conditions"] = conditions


def _set(conditions: list[Json], what: Finish, status: str, moment: str) -> list[Json]:
    present = next((entry for entry in conditions if entry["type"] == what.kind), None)
    if present is not None and present["status"] == status:
        return conditions
    others = [entry for entry in conditions if entry["type"] != what.kind]
    made = {
        "type": what.kind,
        "status": status,
        "lastProbeTime": moment,
        "lastTransitionTime": moment,
        "reason": what.reason,
        "message": what.message,
    }
    return [*others, made]


def news(before: Json, after: Json) -> list[Json]:
    """Conditions that an Event should tell of."""
    known = [(entry["type"], entry["status"]) for entry in items(before, "conditions")]
    told = ("Complete", "Failed", "Suspended")
    return [
        entry
        for entry in items(after, "conditions")
        if entry["type"] in told and (entry["type"], entry["status"]) not in known
    ]
