"""Jobs: pods that run to their end, counted exactly once.

Source: kubernetes `pkg/controller/job/{job_controller,tracking_utils,backoff_utils}.go`. A finished pod keeps the
finalizer batch.kubernetes.io/job-tracking until it is counted: its uid is written to status.uncountedTerminatedPods,
then the finalizer goes, then the count grows and the uid leaves. Each step is a write of its own, so that a controller
that dies between two counts neither twice nor never.
"""

from typing import Final

from podwire.proto.kube.json_objects import items, section
from podwire.proto.kube.resources import JOBS, PODS
from podwire.proto.kube.times import SECOND, parse
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.chance import RandomBits, name_suffix
from podwire.services.controllers.core import job_indexes as indexes
from podwire.services.controllers.core import job_policies as policies
from podwire.services.controllers.core import job_status
from podwire.services.controllers.core import pods as judge
from podwire.services.controllers.core.cluster import Cluster, is_going
from podwire.services.controllers.core.job_status import Finish, Tally, finish_of
from podwire.services.controllers.core.ownership import own_pods
from podwire.services.controllers.core.templates import pod_from
from podwire.services.controllers.core.turn import Turn
from podwire.services.controllers.core.writes import About, Create, Delete, Json, Patch, Plan

FINALIZER: Final = "batch.kubernetes.io/job-tracking"
_COMPONENT: Final = "job-controller"
_BURST: Final = 500
_FIRST_BACKOFF: Final = 10 * SECOND
_LONGEST_BACKOFF: Final = 600 * SECOND


def decide(key: ObjectKey, cluster: Cluster, now: int, random: RandomBits) -> Plan:
    """The writes that one Job needs."""
    plan = Plan()
    job = cluster[JOBS].objects.get(key)
    if job is None:
        return plan
    turn = Turn(plan, cluster, now, random)
    pods = own_pods(JOBS, job, cluster, plan)
    done = job_status.finished(job)
    if done is not None or is_going(job):
        _let_go(pods, turn)
        if done is not None:
            _expire(job, done, turn)
        return plan
    tally = job_status.tally(job, pods, FINALIZER)
    active = [pod for pod in pods if judge.is_active(pod)]
    end = finish_of(job, tally, pods, now)
    if end is not None:
        _stop(job, active, turn)
    elif not section(job, "spec").get("suspend"):
        _look_at_deadline(job, turn)
        active = _adjust(job, pods, active, tally, turn)
    else:
        _stop(job, active, turn)
    _release_counted(job, pods, turn)
    _write_status(job, pods, active, tally, end, turn)
    return plan


# -- pods


def _adjust(job: Json, pods: list[Json], active: list[Json], tally: Tally, turn: Turn) -> list[Json]:
    """Makes or gives up pods until as many run as are wanted; answers those that stay."""
    wanted = job_status.wanted_active(job, tally)
    surplus = len(active) - wanted
    if surplus > 0:
        order = sorted(active, key=lambda pod: judge.deletion_order(pod, 0))
        for pod in order[:surplus]:
            _delete(job, pod, turn)
        return order[surplus:]
    waiting = [pod for pod in pods if is_going(pod) and not judge.is_over(pod)]
    if section(job, "spec").get("podReplacementPolicy") == "Failed":
        surplus += len(waiting)
    if surplus < 0 and not _backing_off(pods, turn):
        _create(job, pods, min(-surplus, _BURST), tally, turn)
    return active


def _backing_off(pods: list[Json], turn: Turn) -> bool:
    """Whether new pods wait, since the last ones failed: 10 s, doubled each time, 10 minutes at most."""
    ends = sorted((job_status.ended_at(pod), judge.phase(pod)) for pod in pods if judge.is_over(pod))
    failures = 0
    for _, phase in reversed(ends):
        if phase != "Failed":
            break
        failures += 1
    if not failures:
        return False
    delay = min(_FIRST_BACKOFF << min(failures - 1, 20), _LONGEST_BACKOFF)
    until = ends[-1][0] + delay
    if until <= turn.now:
        return False
    turn.plan.again_at(until)
    return True


def _create(job: Json, pods: list[Json], count: int, tally: Tally, turn: Turn) -> None:
    if section(job, "spec").get("completionMode") != "Indexed":
        for _ in range(count):
            _create_pod(job, pod_from(JOBS, job, name_suffix(turn.random)), turn)
        return
    for index in indexes.next_indexes(job, pods, [*tally.completed, *tally.failed_indexes], count):
        pod = pod_from(JOBS, job, f"{index}-{name_suffix(turn.random)}")
        indexes.mark(pod, job, index, pods)
        _create_pod(job, pod, turn)


def _create_pod(job: Json, pod: Json, turn: Turn) -> None:
    pod["metadata"]["finalizers"] = [FINALIZER]
    turn.plan.writes.append(Create(PODS, pod))
    _say(job, turn, "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}")


def _delete(job: Json, pod: Json, turn: Turn) -> None:
    meta = pod["metadata"]
    turn.plan.writes.append(Delete(PODS, meta["namespace"], meta["name"], meta["uid"]))
    _say(job, turn, "SuccessfulDelete", f"Deleted pod: {meta['name']}")


def _stop(job: Json, active: list[Json], turn: Turn) -> None:
    for pod in active:
        _delete(job, pod, turn)


def _release_counted(job: Json, pods: list[Json], turn: Turn) -> None:
    """The finalizer goes from pods whose end is written down."""
    written = section(job, "status", "uncountedTerminatedPods")
    uids = [*items(written, "succeeded"), *items(written, "failed")]
    for pod in pods:
        if pod["metadata"]["uid"] in uids or policies.is_ignored(job, pod):
            _without_finalizer(pod, turn)


def _let_go(pods: list[Json], turn: Turn) -> None:
    """A Job that is over or goes holds no pod any more."""
    for pod in pods:
        _without_finalizer(pod, turn)


def _without_finalizer(pod: Json, turn: Turn) -> None:
    meta = pod["metadata"]
    finalizers = items(meta, "finalizers")
    if FINALIZER in finalizers:
        rest = [entry for entry in finalizers if entry != FINALIZER]
        revision = turn.cluster[PODS].revision(pod)
        body = {"metadata": {"finalizers": rest or None}}
        turn.plan.patch(Patch(PODS, meta["namespace"], meta["name"], body, revision=revision))


# -- time and status


def _look_at_deadline(job: Json, turn: Turn) -> None:
    limit, start = section(job, "spec").get("activeDeadlineSeconds"), parse(section(job, "status").get("startTime"))
    if limit is not None and start:
        turn.plan.again_at(start + limit * SECOND)


def _expire(job: Json, done: int, turn: Turn) -> None:
    """ttlSecondsAfterFinished (`pkg/controller/ttlafterfinished`)."""
    limit = section(job, "spec").get("ttlSecondsAfterFinished")
    if limit is None or is_going(job):
        return
    due = done + limit * SECOND
    if due > turn.now:
        turn.plan.again_at(due)
        return
    meta = job["metadata"]
    turn.plan.writes.append(Delete(JOBS, meta["namespace"], meta["name"], meta["uid"]))


def _write_status(
    job: Json, pods: list[Json], active: list[Json], tally: Tally, end: Finish | None, turn: Turn
) -> None:
    status = job_status.next_status(job, pods, active, tally, end, turn.now)
    before = section(job, "status")
    if status == before:
        return
    meta = job["metadata"]
    body = {"status": _as_patch(before, status)}
    turn.plan.patch(Patch(JOBS, meta["namespace"], meta["name"], body, "status", turn.cluster[JOBS].revision(job)))
    for condition in job_status.news(before, status):
        kind = "Warning" if condition["type"] == "Failed" else "Normal"
        is_complete = condition["type"] == "Complete"
        reason, text = ("Completed", "Job completed") if is_complete else (condition["reason"], condition["message"])
        _say(job, turn, str(reason), text, kind)


def _as_patch(before: Json, status: Json) -> Json:
    """The merge patch from one status to the other: what is gone is null."""
    gone: Json = {name: None for name in before if name not in status}
    noted = section(status, "uncountedTerminatedPods")
    emptied = {name: None for name in section(before, "uncountedTerminatedPods") if name not in noted}
    return {**status, **gone, "uncountedTerminatedPods": {**noted, **emptied}}


def _say(job: Json, turn: Turn, reason: str, text: str, kind: str = "Normal") -> None:
    about = About(_COMPONENT, job, JOBS.api_version, JOBS.kind)
    turn.say(about, reason, text, kind)
