"""What makes pods, and what guards and scales them: apps, batch, policy, autoscaling."""

from typing import Final

from podwire.services.apiserver.core.defaults import batch as batch_defaults
from podwire.services.apiserver.core.defaults import scaling as scaling_defaults
from podwire.services.apiserver.core.defaults import workloads as workload_defaults
from podwire.services.apiserver.core.kinds.kind import SCALE, STATUS, Kind, readers
from podwire.services.apiserver.core.printers import batch as batch_printers
from podwire.services.apiserver.core.printers import scaling as scaling_printers
from podwire.services.apiserver.core.printers import workloads as workload_printers
from podwire.services.apiserver.core.printers.table import Printer
from podwire.services.apiserver.core.selectors import field_reader
from podwire.services.apiserver.core.validation import batch as batch_rules
from podwire.services.apiserver.core.validation import scaling as scaling_rules
from podwire.services.apiserver.core.validation import workloads as workload_rules

_SCALABLE: Final = (SCALE, STATUS)


def _row(group: str, resource: str, kind: str, printer: Printer, **more: object) -> Kind:
    definition = f"io.k8s.api.{group}.v1.{kind}"
    return Kind(
        group,
        "v1",
        resource,
        kind,
        definition,
        printer,
        counts_generation=True,
        **more,  # type: ignore[arg-type]  # rows below
    )


KINDS: Final[tuple[Kind, ...]] = (
    _row(
        "apps",
        "controllerrevisions",
        "ControllerRevision",
        workload_printers.CONTROLLER_REVISION,
        validate=workload_rules.controller_revision,
    ),
    _row(
        "apps",
        "daemonsets",
        "DaemonSet",
        workload_printers.DAEMON_SET,
        short_names=("ds",),
        categories=("all",),
        subresources=(STATUS,),
        defaults=workload_defaults.daemon_set,
        validate=workload_rules.daemon_set,
    ),
    _row(
        "apps",
        "deployments",
        "Deployment",
        workload_printers.DEPLOYMENT,
        short_names=("deploy",),
        categories=("all",),
        subresources=_SCALABLE,
        defaults=workload_defaults.deployment,
        validate=workload_rules.deployment,
    ),
    _row(
        "apps",
        "replicasets",
        "ReplicaSet",
        workload_printers.REPLICA_SET,
        short_names=("rs",),
        categories=("all",),
        subresources=_SCALABLE,
        defaults=workload_defaults.replica_set,
        validate=workload_rules.replica_set,
        fields=readers("status.replicas"),
    ),
    _row(
        "apps",
        "statefulsets",
        "StatefulSet",
        workload_printers.STATEFUL_SET,
        short_names=("sts",),
        categories=("all",),
        subresources=_SCALABLE,
        defaults=workload_defaults.stateful_set,
        validate=workload_rules.stateful_set,
    ),
    _row(
        "batch",
        "cronjobs",
        "CronJob",
        batch_printers.CRON_JOB,
        short_names=("cj",),
        categories=("all",),
        subresources=(STATUS,),
        defaults=batch_defaults.cron_job,
        validate=batch_rules.cron_job,
    ),
    _row(
        "batch",
        "jobs",
        "Job",
        batch_printers.JOB,
        categories=("all",),
        subresources=(STATUS,),
        defaults=batch_defaults.job,
        on_create=batch_defaults.new_job,
        validate=batch_rules.job,
        fields={"status.successful": field_reader("status.succeeded")},
    ),
    _row(
        "policy",
        "poddisruptionbudgets",
        "PodDisruptionBudget",
        scaling_printers.DISRUPTION_BUDGET,
        short_names=("pdb",),
        subresources=(STATUS,),
        validate=scaling_rules.disruption_budget,
    ),
    Kind(
        "autoscaling",
        "v2",
        "horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
        "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",
        scaling_printers.AUTOSCALER,
        short_names=("hpa",),
        categories=("all",),
        subresources=(STATUS,),
        defaults=scaling_defaults.autoscaler,
        validate=scaling_rules.autoscaler,
    ),
    Kind(
        "autoscaling",
        "v1",
        "horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
        "io.k8s.api.autoscaling.v1.HorizontalPodAutoscaler",
        scaling_printers.AUTOSCALER,
        short_names=("hpa",),
        categories=("all",),
        subresources=(STATUS,),
        defaults=scaling_defaults.autoscaler,
        validate=scaling_rules.autoscaler,
        stored_as=("autoscaling", "horizontalpodautoscalers"),
    ),
)
