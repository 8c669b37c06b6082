"""How Jobs and CronJobs print (`pkg/printers/internalversion/printers.go`)."""

from typing import Any, Final

from podwire.proto.kube.json_objects import items, section
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.printers.table import Printer, columns, name_and_age, template_cells
from podwire.services.apiserver.core.times import age, human_duration, parse_time

_STATES: Final = (
    ("Complete", "Complete"),
    ("Failed", "Failed"),
    ("FailureTarget", "FailureTarget"),
    ("SuccessCriteriaMet", "SuccessCriteriaMet"),
    ("Suspended", "Suspended"),
)


def _job_status(value: Json) -> str:
    conditions = items(section(value, "status"), "conditions")
    held = [entry.get("type") for entry in conditions if entry.get("status") == "True"]
    if section(value, "metadata").get("deletionTimestamp") and not {"Complete", "Failed"} & set(held):
        return "Terminating"
    return next((shown for kind, shown in _STATES if kind in held), "Running")


def _completions(value: Json) -> str:
    spec, succeeded = section(value, "spec"), section(value, "status").get("succeeded", 0)
    if spec.get("completions") is not None:
        return f"{succeeded}/{spec['completions']}"
    parallelism = spec.get("parallelism") or 0
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _duration(value: Json, now_ns: int) -> str:
    status = section(value, "status")
    start = parse_time(status.get("startTime"))
    if start is None:
        return ""
    end = parse_time(status.get("completionTime"))
    return human_duration((now_ns if end is None else end) - start)


def _job(value: Json, now_ns: int) -> list[Any]:
    name, since = name_and_age(value, now_ns)
    return [
        name,
        _job_status(value),
        _completions(value),
        _duration(value, now_ns),
        since,
        *template_cells(section(value, "spec")),
    ]


def _cron_job(value: Json, now_ns: int) -> list[Any]:
    spec, status = section(value, "spec"), section(value, "status")
    name, since = name_and_age(value, now_ns)
    return [
        name,
        spec.get("schedule", ""),
        spec.get("timeZone", "<none>"),
        "True" if spec.get("suspend") else "False",
        len(items(status, "active")),
        age(status["lastScheduleTime"], now_ns) if status.get("lastScheduleTime") else "<none>",
        since,
        *template_cells(section(spec, "jobTemplate", "spec")),
    ]


_WIDE: Final = ("+Containers", "+Images", "+Selector")
JOB: Final = Printer(columns("Name", "Status", "Completions", "Duration", "Age", *_WIDE), _job)
CRON_JOB: Final = Printer(
    columns("Name", "Schedule", "Timezone", "Suspend", "Active#", "Last Schedule", "Age", *_WIDE), _cron_job
)
