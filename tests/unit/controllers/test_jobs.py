"""Jobs count each pod once, whatever the order of writes; CronJobs run each time once."""

from typing import Any

import pytest

from podwire.proto.kube.json_objects import copy_json
from podwire.proto.kube.resources import CRON_JOBS, JOBS, PODS
from podwire.proto.kube.times import rfc3339
from podwire.services.controllers.core import cronjobs, index_ranges, jobs
from podwire.services.controllers.core.writes import Create, Delete

SECOND = 1_000_000_000


def job(**spec: Any) -> dict[str, Any]:
    labels = {"job": "pi"}
    template = {"metadata": {"labels": labels}, "spec": {"restartPolicy": "Never", "containers": [{"name": "a"}]}}
    base = {"parallelism": 1, "completions": 1, "backoffLimit": 6, "selector": {"matchLabels": labels}}
    return {"metadata": {"name": "pi"}, "spec": {**base, "template": template, **spec}}


def settle(world: Any) -> None:
    world.settle(jobs.decide, world.key(JOBS, "pi"))


def end(world: Any, name: str, phase: str = "Succeeded") -> None:
    pod = copy_json(world.get(PODS, name))
    ended = {"terminated": {"finishedAt": rfc3339(world.now)}}
    pod["status"] = {"phase": phase, "containerStatuses": [{"name": "a", "state": ended}]}
    world.put(PODS, pod)


def running(world: Any) -> list[str]:
    return [name for name in world.names(PODS) if "status" not in world.get(PODS, name)]


def status(world: Any) -> dict[str, Any]:
    found: dict[str, Any] = world.get(JOBS, "pi")["status"]
    return found


def ends(world: Any) -> list[str]:
    return [entry["type"] for entry in status(world).get("conditions", []) if entry["status"] == "True"]


def test_a_job_runs_to_its_completions(world: Any) -> None:
    world.put(JOBS, job(completions=5, parallelism=2))
    settle(world)
    for done in range(5):
        assert len(running(world)) == min(2, 5 - done)
        end(world, running(world)[0])
        settle(world)
    assert (status(world)["succeeded"], ends(world)) == (5, ["SuccessCriteriaMet", "Complete"])
    assert status(world)["completionTime"]
    assert "Job completed" in world.said


def test_each_end_is_counted_exactly_once_wherever_the_controller_dies(world: Any) -> None:
    """Writes are applied one by one, in any order, as after a death between them."""
    world.put(JOBS, job(completions=3, parallelism=3))
    settle(world)
    for name in running(world):
        end(world, name)
    for _ in range(60):
        writes = world.decide(jobs.decide, world.key(JOBS, "pi"))
        if not writes:
            break
        world.apply(writes[world.random.getrandbits(8) % len(writes)])
        assert status(world).get("succeeded", 0) <= 3
    assert (status(world)["succeeded"], "Complete" in ends(world)) == (3, True)
    assert not any(world.get(PODS, name)["metadata"].get("finalizers") for name in world.names(PODS))


def test_a_pod_that_vanishes_after_its_end_was_noted_still_counts(world: Any) -> None:
    world.put(JOBS, job())
    settle(world)
    end(world, running(world)[0])
    world.apply(world.decide(jobs.decide, world.key(JOBS, "pi"))[0])
    assert status(world)["uncountedTerminatedPods"]["succeeded"]
    world.drop(PODS, world.names(PODS)[0])
    settle(world)
    assert (status(world)["succeeded"], "Complete" in ends(world)) == (1, True)


def test_failures_are_retried_later_and_later_until_the_limit(world: Any) -> None:
    world.put(JOBS, job(backoffLimit=2))
    waited = []
    for _ in range(3):
        settle(world)
        start = world.now
        while not running(world):
            world.now = jobs.decide(world.key(JOBS, "pi"), world.cluster, world.now, world.random).look_again
            settle(world)
        waited.append((world.now - start) // SECOND)
        end(world, running(world)[0], "Failed")
    settle(world)
    assert waited == [0, 10, 20]
    assert (status(world)["failed"], ends(world)) == (3, ["FailureTarget", "Failed"])
    assert "Job has reached the specified backoff limit" in world.said


def test_a_job_that_takes_too_long_fails(world: Any) -> None:
    world.put(JOBS, job(activeDeadlineSeconds=30))
    settle(world)
    world.now = jobs.decide(world.key(JOBS, "pi"), world.cluster, world.now, world.random).look_again
    settle(world)
    conditions = status(world)["conditions"]
    assert [entry["reason"] for entry in conditions] == ["DeadlineExceeded", "DeadlineExceeded"]
    assert world.names(PODS) == []


def test_suspending_stops_and_resuming_starts_anew(world: Any) -> None:
    world.put(JOBS, job(suspend=True))
    settle(world)
    assert (world.names(PODS), ends(world), "startTime" in status(world)) == ([], ["Suspended"], False)
    value = copy_json(world.get(JOBS, "pi"))
    value["spec"]["suspend"] = False
    world.put(JOBS, value)
    settle(world)
    assert len(running(world)) == 1 and ends(world) == []


def test_without_completions_the_first_success_ends_it(world: Any) -> None:
    world.put(JOBS, job(completions=None, parallelism=3))
    settle(world)
    for name in running(world):
        end(world, name)
    settle(world)
    assert "Complete" in ends(world)


def test_every_index_is_run_once(world: Any) -> None:
    world.put(JOBS, job(completionMode="Indexed", completions=3, parallelism=2))
    settle(world)
    first = running(world)[0]
    pod = world.get(PODS, first)
    assert pod["metadata"]["annotations"] == {"batch.kubernetes.io/job-completion-index": "0"}
    assert (first.startswith("pi-0-"), pod["spec"]["hostname"]) == (True, "pi-0")
    assert pod["spec"]["containers"][0]["env"][0]["name"] == "JOB_COMPLETION_INDEX"
    end(world, running(world)[1])
    settle(world)
    assert status(world)["completedIndexes"] == "1"
    for name in running(world):
        end(world, name)
    settle(world)
    assert (status(world)["completedIndexes"], "Complete" in ends(world)) == ("0-2", True)


def test_an_index_that_fails_too_often_fails_alone(world: Any) -> None:
    world.put(JOBS, job(completionMode="Indexed", completions=2, parallelism=2, backoffLimitPerIndex=0))
    settle(world)
    one, other = running(world)
    end(world, one, "Failed")
    settle(world)
    assert status(world)["failedIndexes"] == "0"
    end(world, other)
    settle(world)
    assert status(world)["conditions"][-1]["reason"] == "FailedIndexes"


def fail(world: Any, name: str, code: int = 1, condition: str = "") -> None:
    pod = copy_json(world.get(PODS, name))
    ended = {"terminated": {"finishedAt": rfc3339(world.now), "exitCode": code}}
    conditions = [{"type": condition, "status": "True"}] if condition else []
    pod["status"] = {
        "phase": "Failed",
        "containerStatuses": [{"name": "a", "state": ended}],
        "conditions": conditions,
    }
    world.put(PODS, pod)


POLICY = {
    "rules": [
        {"action": "FailJob", "onExitCodes": {"containerName": "a", "operator": "In", "values": [42]}},
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]},
        {"action": "Count", "onExitCodes": {"operator": "NotIn", "values": [1]}},
    ]
}


@pytest.mark.parametrize(
    ("code", "condition", "failed", "reason"),
    [(42, "", 1, "PodFailurePolicy"), (1, "DisruptionTarget", 0, ""), (2, "", 1, ""), (1, "", 1, "")],
)
def test_a_pod_failure_policy_decides_what_a_failure_means(
    world: Any, code: int, condition: str, failed: int, reason: str
) -> None:
    world.put(JOBS, job(podFailurePolicy=POLICY))
    settle(world)
    name = running(world)[0]
    fail(world, name, code, condition)
    settle(world)
    assert status(world).get("failed", 0) == failed
    assert [entry["reason"] for entry in status(world).get("conditions", [])] == [reason] * (2 if reason else 0)
    assert "finalizers" not in world.get(PODS, name)["metadata"]
    if reason:
        text = f"Container a for pod default/{name} failed with exit code 42 matching FailJob rule at index 0"
        assert status(world)["conditions"][-1]["message"] == text


def test_an_index_fails_by_its_rule(world: Any) -> None:
    rules = [{"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [9]}}]
    spec = {"completionMode": "Indexed", "completions": 2, "parallelism": 2, "backoffLimitPerIndex": 5}
    world.put(JOBS, job(podFailurePolicy={"rules": rules}, **spec))
    settle(world)
    fail(world, running(world)[0], 9)
    settle(world)
    assert status(world)["failedIndexes"] == "0"


@pytest.mark.parametrize(
    ("rule", "succeed", "over"),
    [
        ({"succeededIndexes": "0-1"}, [0], False),
        ({"succeededIndexes": "0-1"}, [0, 1], True),
        ({"succeededCount": 1}, [2], True),
        ({"succeededIndexes": "1-3", "succeededCount": 1}, [0], False),
        ({"succeededIndexes": "1-3", "succeededCount": 1}, [3], True),
    ],
)
def test_a_success_policy_ends_a_job_early(world: Any, rule: dict[str, Any], succeed: list[int], over: bool) -> None:
    spec = {"completionMode": "Indexed", "completions": 4, "parallelism": 4, "successPolicy": {"rules": [rule]}}
    world.put(JOBS, job(**spec))
    settle(world)
    names = running(world)
    for index in succeed:
        end(world, names[index])
    settle(world)
    assert ("Complete" in ends(world)) == over
    assert len(running(world)) == (0 if over else 4 - len(succeed))
    if over:
        assert status(world)["conditions"][-1]["reason"] == "SuccessPolicy"


def test_a_finished_job_goes_after_its_time_to_live(world: Any) -> None:
    world.put(JOBS, job(ttlSecondsAfterFinished=60))
    settle(world)
    end(world, running(world)[0])
    settle(world)
    plan = jobs.decide(world.key(JOBS, "pi"), world.cluster, world.now, world.random)
    assert (plan.look_again - world.now) // SECOND == 60
    world.now = plan.look_again
    assert [type(write) for write in world.decide(jobs.decide, world.key(JOBS, "pi"))] == [Delete]


@pytest.mark.parametrize(
    ("numbers", "text"), [([], ""), ([0], "0"), ([0, 1, 2], "0-2"), ([5, 1, 2, 9, 10], "1-2,5,9-10")]
)
def test_ranges_of_indexes(numbers: list[int], text: str) -> None:
    assert index_ranges.ranges(numbers) == text
    assert index_ranges.numbers(text) == sorted(numbers)


# -- CronJobs


def cron_job(world: Any, schedule: str = "*/5 * * * *", **spec: Any) -> None:
    inner = {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a"}]}}}}
    meta = {"name": "tick", "creationTimestamp": rfc3339(world.now)}
    world.put(CRON_JOBS, {"metadata": meta, "spec": {"schedule": schedule, "jobTemplate": inner, **spec}})


def advance(world: Any) -> None:
    """To the next moment that the controller waits for."""
    key = world.key(CRON_JOBS, "tick")
    world.now = cronjobs.decide(key, world.cluster, world.now, world.random).look_again
    world.settle(cronjobs.decide, key)


def finish(world: Any, name: str, kind: str = "Complete") -> None:
    value = copy_json(world.get(JOBS, name))
    value["status"] = {
        "startTime": rfc3339(world.now),
        "completionTime": rfc3339(world.now),
        "conditions": [{"type": kind, "status": "True", "lastTransitionTime": rfc3339(world.now)}],
    }
    world.put(JOBS, value)
    world.settle(cronjobs.decide, world.key(CRON_JOBS, "tick"))


def test_a_job_for_each_time(world: Any) -> None:
    cron_job(world)
    advance(world)
    advance(world)
    minute = world.now // (60 * SECOND)
    assert world.names(JOBS) == [f"tick-{minute - 5}", f"tick-{minute}"]
    assert minute % 5 == 0
    status = world.get(CRON_JOBS, "tick")["status"]
    assert (len(status["active"]), status["lastScheduleTime"]) == (2, rfc3339(world.now))


@pytest.mark.parametrize(("policy", "expected"), [("Allow", 2), ("Forbid", 1), ("Replace", 1)])
def test_what_happens_to_runs_that_overlap(world: Any, policy: str, expected: int) -> None:
    cron_job(world, concurrencyPolicy=policy)
    advance(world)
    first = world.names(JOBS)[0]
    advance(world)
    assert len(world.names(JOBS)) == expected
    assert (first in world.names(JOBS)) == (policy != "Replace")


def test_of_many_missed_times_the_last_is_made_up_for(world: Any) -> None:
    cron_job(world)
    world.now += 3600 * SECOND
    world.settle(cronjobs.decide, world.key(CRON_JOBS, "tick"))
    assert len(world.names(JOBS)) == 1


def test_a_time_that_is_missed_for_too_long_is_let_go(world: Any) -> None:
    cron_job(world, "0 * * * *", startingDeadlineSeconds=60)
    world.now += 4000 * SECOND
    world.settle(cronjobs.decide, world.key(CRON_JOBS, "tick"))
    assert world.names(JOBS) == []


def test_a_suspended_one_waits(world: Any) -> None:
    cron_job(world, suspend=True)
    assert cronjobs.decide(world.key(CRON_JOBS, "tick"), world.cluster, world.now, world.random).look_again == 0


def test_history_is_limited(world: Any) -> None:
    cron_job(world, successfulJobsHistoryLimit=1, failedJobsHistoryLimit=1)
    for kind in ("Complete", "Failed", "Complete", "Failed"):
        known = world.names(JOBS)
        advance(world)
        finish(world, next(name for name in world.names(JOBS) if name not in known), kind)
    kinds = sorted(world.get(JOBS, name)["status"]["conditions"][0]["type"] for name in world.names(JOBS))
    assert kinds == ["Complete", "Failed"]


def test_a_schedule_runs_in_its_time_zone(world: Any) -> None:
    cron_job(world, "30 9 * * *", timeZone="Asia/Kolkata")
    advance(world)
    assert world.get(CRON_JOBS, "tick")["status"]["lastScheduleTime"].endswith("T04:00:00Z")


def test_the_same_time_makes_the_same_job(world: Any) -> None:
    cron_job(world)
    key = world.key(CRON_JOBS, "tick")
    world.now = cronjobs.decide(key, world.cluster, world.now, world.random).look_again
    made = [
        [write.body["metadata"]["name"] for write in world.decide(cronjobs.decide, key) if isinstance(write, Create)]
        for _ in range(2)
    ]
    assert made[0] == made[1] and len(made[0]) == 1
