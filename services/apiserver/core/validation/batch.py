"""Rules of Jobs and CronJobs (`pkg/apis/batch/validation/validation.go`)."""

from typing import Final

from podwire.proto.kube import cron
from podwire.proto.kube.json_objects import section
from podwire.proto.kube.labels import matches_labels
from podwire.services.apiserver.core.errors import FieldErrors
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.selectors import from_object
from podwire.services.apiserver.core.validation.metadata import labels, not_negative, one_of, selector
from podwire.services.apiserver.core.validation.pods import pod_spec

_LONGEST_CRON_JOB: Final = 52
_COUNTS: Final = (
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
)
_IMMUTABLE: Final = ("completions", "selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex")


def _job_spec(spec: Json, path: str, errors: FieldErrors) -> None:
    for key in _COUNTS:
        not_negative(spec, key, path, errors)
    one_of(spec, "completionMode", ["Indexed", "NonIndexed"], path, errors)
    one_of(spec, "podReplacementPolicy", ["Failed", "TerminatingOrFailed"], path, errors)
    if spec.get("completionMode") == "Indexed" and spec.get("completions") is None:
        errors.required(f"{path}.completions", "when completion mode is Indexed")
    for key in ("backoffLimitPerIndex", "maxFailedIndexes", "successPolicy"):
        if key in spec and spec.get("completionMode") != "Indexed":
            errors.invalid(f"{path}.{key}", spec[key], "requires indexed completion mode")
    template = section(spec, "template")
    labels(section(template, "metadata", "labels"), f"{path}.template.labels", errors)
    inner, place = section(template, "spec"), f"{path}.template.spec"
    pod_spec(inner, place, errors)
    policy = inner.get("restartPolicy", "Always")
    if policy == "Always":
        errors.required(f"{place}.restartPolicy", 'valid values: "OnFailure", "Never"')
    elif policy != "Never" and spec.get("podFailurePolicy"):
        errors.invalid(f"{place}.restartPolicy", policy, 'only "Never" is supported when podFailurePolicy is specified')


def job(value: Json, old: Json | None, errors: FieldErrors) -> None:
    """A Job."""
    spec = section(value, "spec")
    _job_spec(spec, "spec", errors)
    wanted = spec.get("selector")
    if wanted is None:
        errors.required("spec.selector")
    else:
        selector(wanted, "spec.selector", errors)
        given = section(spec, "template", "metadata", "labels")
        if not matches_labels(from_object(wanted), given):
            errors.invalid("spec.template.metadata.labels", given, "`selector` does not match template `labels`")
    if old is not None:
        _job_update(spec, section(old, "spec"), errors)


def _job_update(spec: Json, before: Json, errors: FieldErrors) -> None:
    for key in _IMMUTABLE:
        if spec.get(key) != before.get(key):
            errors.invalid(f"spec.{key}", spec.get(key), "field is immutable")
    if spec.get("template") != before.get("template"):
        errors.invalid("spec.template", spec.get("template"), "field is immutable")


def cron_job(value: Json, old: Json | None, errors: FieldErrors) -> None:
    """A CronJob: a schedule in a time zone, and a Job's rules for its template."""
    name, spec = section(value, "metadata").get("name", ""), section(value, "spec")
    if old is None and len(name) > _LONGEST_CRON_JOB:
        errors.invalid("metadata.name", name, "must be no more than 52 characters")
    _schedule(spec, errors)
    one_of(spec, "concurrencyPolicy", ["Allow", "Forbid", "Replace"], "spec", errors)
    for key in ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        not_negative(spec, key, "spec", errors)
    inner = section(spec, "jobTemplate", "spec")
    if inner.get("manualSelector"):
        errors.unsupported("spec.jobTemplate.spec.manualSelector", True, ["nil", "false"])
    _job_spec(inner, "spec.jobTemplate.spec", errors)


def _schedule(spec: Json, errors: FieldErrors) -> None:
    schedule, zone = spec.get("schedule", ""), spec.get("timeZone")
    if not schedule:
        errors.required("spec.schedule")
        return
    if "TZ" in schedule:
        errors.invalid("spec.schedule", schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead")
        return
    try:
        cron.parse(schedule)
    except cron.BadSchedule as error:
        errors.invalid("spec.schedule", schedule, str(error))
    if zone is not None and not cron.is_zone(zone):
        errors.invalid("spec.timeZone", zone, f"unknown time zone {zone}")
