"""Defaults of Jobs and CronJobs (`pkg/apis/batch/v1/defaults.go`, `pkg/registry/batch/job/strategy.go`)."""

from typing import Final

from podwire.proto.kube.json_objects import section
from podwire.services.apiserver.core.defaults import pods
from podwire.services.apiserver.core.json_types import Json

_JOB_NAME: Final = "batch.kubernetes.io/job-name"
_CONTROLLER_UID: Final = "batch.kubernetes.io/controller-uid"
_LEGACY: Final = {_JOB_NAME: "job-name", _CONTROLLER_UID: "controller-uid"}


def _job_spec(spec: Json) -> None:
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = spec["parallelism"] = 1
    spec.setdefault("parallelism", 1)
    if "backoffLimitPerIndex" in spec:
        spec.setdefault("backoffLimit", 2**31 - 1)
    spec.setdefault("backoffLimit", 6)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    spec.setdefault("podReplacementPolicy", "Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed")


def job(value: Json) -> None:
    """One completion, six retries."""
    spec = value.setdefault("spec", {})
    _job_spec(spec)
    pods.template(value)
    _labels_of_template(value)
    value.setdefault("status", {})


def _labels_of_template(value: Json) -> None:
    given = section(value, "spec", "template", "metadata", "labels")
    if given:
        value["metadata"].setdefault("labels", dict(given))


def new_job(value: Json) -> None:
    """A Job that was just given its uid selects its pods by it."""
    spec, meta = value["spec"], value["metadata"]
    if not spec.get("manualSelector"):
        _own_selector(spec, meta)
    _labels_of_template(value)


def _own_selector(spec: Json, meta: Json) -> None:
    """Labels that only this Job's pods have (generateSelector)."""
    given = {_JOB_NAME: meta["name"], _CONTROLLER_UID: meta["uid"]}
    labels = spec.setdefault("template", {}).setdefault("metadata", {}).setdefault("labels", {})
    for name, text in given.items():
        labels.setdefault(name, text)
        labels.setdefault(_LEGACY[name], text)
    spec.setdefault("selector", {}).setdefault("matchLabels", {})[_CONTROLLER_UID] = meta["uid"]


def cron_job(value: Json) -> None:
    """Runs may overlap; three successes and one failure are kept."""
    spec = value.setdefault("spec", {})
    spec.setdefault("concurrencyPolicy", "Allow")
    spec.setdefault("suspend", False)
    spec.setdefault("successfulJobsHistoryLimit", 3)
    spec.setdefault("failedJobsHistoryLimit", 1)
    template = spec.setdefault("jobTemplate", {})
    template.setdefault("metadata", {})
    inner = template.setdefault("spec", {})
    pods.template(template)
    inner.setdefault("template", {})
    value.setdefault("status", {})
