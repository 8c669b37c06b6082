"""Indexed Jobs: which completion index a pod has, which are done, failed, or next.

Source: kubernetes `pkg/controller/job/indexed_job_utils.go`.
"""

from typing import TYPE_CHECKING, Final

from podwire.proto.kube.selection import items, section
from podwire.services.controllers.core import pods as judge
from podwire.services.controllers.core.writes import Json

if TYPE_CHECKING:
    from podwire.services.controllers.core.job_status import Tally

INDEX: Final = "batch.kubernetes.io/job-completion-index"
_FAILURES: Final = "batch.kubernetes.io/job-index-failure-count"
_VARIABLE: Final = "JOB_COMPLETION_INDEX"


def index_of(pod: Json) -> int | None:
    """A pod's completion index."""
    text = section(pod, "metadata", "annotations").get(INDEX, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def ranges(numbers: list[int]) -> str:
    """Numbers as the status has them: `0,2-4`."""
    parts: list[str] = []
    for number in sorted(dict.fromkeys(numbers)):
        first, _, last = parts[-1].partition("-") if parts else ("", "", "")
        if parts and int(last or first) + 1 == number:
            parts[-1] = f"{first}-{number}"
        else:
            parts.append(str(number))
    return ",".join(parts)


def numbers(text: str) -> list[int]:
    """The numbers of `0,2-4`; what cannot be read is left out."""
    found: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        if first.isdigit() and (last or first).isdigit() and int(last or first) - int(first) < 100_000:
            found += range(int(first), int(last or first) + 1)
    return found


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
    over = [
        index
        for pod in pods
        if judge.phase(pod) == "Failed" and (index := index_of(pod)) is not None and failures_before(pod) >= limit
    ]
    return sorted(dict.fromkeys(known + over))


def failures_before(pod: Json) -> int:
    """How often the pod's index had failed when the pod was made."""
    text = section(pod, "metadata", "annotations").get(_FAILURES, "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def next_indexes(job: Json, pods: list[Json], tally: "Tally", count: int) -> list[int]:
    """The lowest indexes that are neither done nor failed nor running."""
    running = [index_of(pod) for pod in pods if judge.is_active(pod)]
    taken = [*tally.completed, *tally.failed_indexes, *running]
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
