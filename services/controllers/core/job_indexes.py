"""Indexed Jobs: which completion index a pod has, which are done, failed, or next.

Source: kubernetes `pkg/controller/job/indexed_job_utils.go`.
"""

from collections.abc import Collection
from typing import Final

from podwire.proto.kube.json_objects import items, section
from podwire.services.controllers.core import job_policies as policies
from podwire.services.controllers.core import pods as judge
from podwire.services.controllers.core.index_ranges import numbers
from podwire.services.controllers.core.writes import Json

INDEX: Final = "batch.kubernetes.io/job-completion-index"
_FAILURES: Final = "batch.kubernetes.io/job-index-failure-count"
_VARIABLE: Final = "JOB_COMPLETION_INDEX"


def index_of(pod: Json) -> int | None:
    """A pod's completion index."""
    text = section(pod, "metadata", "annotations").get(INDEX, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _of_phase(job: Json, pods: list[Json], phase: str) -> list[int]:
    most = section(job, "spec").get("completions") or 0
    ended = [index_of(pod) for pod in pods if judge.phase(pod) == phase]
    return [index for index in ended if index is not None and index < most]


def completed(job: Json, pods: list[Json]) -> list[int]:
    """Indexes that succeeded, as the status and the pods say."""
    if section(job, "spec").get("completionMode") != "Indexed":
        return []
    known = numbers(section(job, "status").get("completedIndexes", ""))
    return sorted(dict.fromkeys(known + _of_phase(job, pods, "Succeeded")))


def failed(job: Json, pods: list[Json]) -> list[int]:
    """Indexes that failed more often than backoffLimitPerIndex allows (KEP-3850)."""
    limit = section(job, "spec").get("backoffLimitPerIndex")
    if limit is None:
        return []
    known = numbers(section(job, "status").get("failedIndexes", ""))
    ended = [pod for pod in pods if judge.phase(pod) == "Failed" and index_of(pod) is not None]
    over = [index for pod in ended if (index := index_of(pod)) is not None and _gives_up(job, pod, limit)]
    return sorted(dict.fromkeys(known + over))


def _gives_up(job: Json, pod: Json, limit: int) -> bool:
    """Whether an index fails with this pod: by its rule, or because it failed too often."""
    action = policies.verdict(job, pod).action
    return action == policies.FAIL_INDEX or (action != policies.IGNORE and failures_before(pod) >= limit)


def failures_before(pod: Json) -> int:
    """How often the pod's index had failed when the pod was made."""
    text = section(pod, "metadata", "annotations").get(_FAILURES, "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def next_indexes(job: Json, pods: list[Json], done: Collection[int], count: int) -> list[int]:
    """The lowest indexes that are neither done nor running."""
    running = [index_of(pod) for pod in pods if judge.is_active(pod)]
    taken = {*done, *running}
    most = section(job, "spec").get("completions") or 0
    return [index for index in range(most) if index not in taken][:count]


def mark(pod: Json, job: Json, index: int, pods: list[Json]) -> None:
    """Gives a new pod its index: annotation, label, host name and the containers' variable."""
    meta, spec = pod["metadata"], pod["spec"]
    meta["generateName"] = f"{job['metadata']['name']}-{index}-"
    meta.setdefault("annotations", {})[INDEX] = str(index)
    meta.setdefault("labels", {})[INDEX] = str(index)
    if "backoffLimitPerIndex" in section(job, "spec"):
        earlier = [other for other in pods if index_of(other) == index and judge.phase(other) == "Failed"]
        meta["annotations"][_FAILURES] = str(max((failures_before(other) + 1 for other in earlier), default=0))
    spec["hostname"] = f"{job['metadata']['name']}-{index}"
    source = {"fieldRef": {"fieldPath": f"metadata.labels['{INDEX}']"}}
    for container in items(spec, "initContainers") + items(spec, "containers"):
        if not any(entry.get("name") == _VARIABLE for entry in items(container, "env")):
            container.setdefault("env", []).append({"name": _VARIABLE, "valueFrom": source})
