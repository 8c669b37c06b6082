"""A Job's own rules about failure and success.

Source: kubernetes `pkg/controller/job/{pod_failure_policy,success_policy}.go`, KEP-3329, KEP-3998. The first rule that
matches a failed pod decides; a pod that no rule matches is counted.
"""

from typing import Final, NamedTuple

from podwire.proto.kube.json_objects import items, section
from podwire.services.controllers.core import pods as judge
from podwire.services.controllers.core.index_ranges import numbers
from podwire.services.controllers.core.writes import Json

FAIL_JOB: Final = "FailJob"
FAIL_INDEX: Final = "FailIndex"
IGNORE: Final = "Ignore"
COUNT: Final = "Count"


class Verdict(NamedTuple):
    """What a failed pod means for its Job, and why."""

    action: str
    message: str = ""


def verdict(job: Json, pod: Json) -> Verdict:
    """The verdict on one failed pod."""
    for at, rule in enumerate(items(section(job, "spec", "podFailurePolicy"), "rules")):
        action = rule.get("action", COUNT)
        matched = _by_exit_code(section(rule, "onExitCodes"), pod) or _by_condition(rule, pod)
        if matched:
            return Verdict(action, f"{matched} matching {action} rule at index {at}")
    return Verdict(COUNT)


def is_ignored(job: Json, pod: Json) -> bool:
    """Whether a pod's failure does not count."""
    return judge.phase(pod) == "Failed" and verdict(job, pod).action == IGNORE


def failing(job: Json, pods: list[Json]) -> str:
    """Why the Job fails at once because of one pod ("": it does not)."""
    found = [verdict(job, pod) for pod in pods if judge.phase(pod) == "Failed"]
    return next((each.message for each in found if each.action == FAIL_JOB), "")


def _title(pod: Json) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def _by_exit_code(wanted: Json, pod: Json) -> str:
    if not wanted:
        return ""
    listed, inverted = items(wanted, "values"), wanted.get("operator") == "NotIn"
    for kind in ("initContainerStatuses", "containerStatuses"):
        for entry in items(section(pod, "status"), kind):
            code = section(entry, "state", "terminated").get("exitCode", 0)
            if wanted.get("containerName", entry.get("name")) != entry.get("name") or code == 0:
                continue
            if (code in listed) != inverted:
                return f"Container {entry.get('name')} for pod {_title(pod)} failed with exit code {code}"
    return ""


def _by_condition(rule: Json, pod: Json) -> str:
    conditions = items(section(pod, "status"), "conditions")
    held = [(entry.get("type"), entry.get("status")) for entry in conditions]
    for pattern in items(rule, "onPodConditions"):
        if (pattern.get("type"), pattern.get("status", "True")) in held:
            return f"Pod {_title(pod)} has condition {pattern.get('type')}"
    return ""


def met_rule(job: Json, completed: list[int]) -> int | None:
    """The first rule of the success policy that the completed indexes satisfy."""
    for at, rule in enumerate(items(section(job, "spec", "successPolicy"), "rules")):
        wanted = numbers(rule["succeededIndexes"]) if "succeededIndexes" in rule else None
        counted = completed if wanted is None else [index for index in completed if index in wanted]
        needed = rule.get("succeededCount", len(wanted or []))
        if needed and len(counted) >= needed:
            return at
    return None
