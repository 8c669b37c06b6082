"""Defaults of Deployments, ReplicaSets, DaemonSets and StatefulSets (`pkg/apis/apps/v1/defaults.go`)."""

from podwire.proto.kube.json_objects import items
from podwire.services.apiserver.core.defaults import pods, storage
from podwire.services.apiserver.core.json_types import Json


def deployment(value: Json) -> None:
    """Rolling update by 25 %, ten old revisions, ten minutes to make progress."""
    spec = value.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    strategy = spec.setdefault("strategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    pods.template(value)
    value.setdefault("status", {})


def replica_set(value: Json) -> None:
    """One replica."""
    value.setdefault("spec", {}).setdefault("replicas", 1)
    pods.template(value)
    value.setdefault("status", {}).setdefault("replicas", 0)


def daemon_set(value: Json) -> None:
    """Rolling update, one node at a time."""
    spec = value.setdefault("spec", {})
    strategy = spec.setdefault("updateStrategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", 1)
        rolling.setdefault("maxSurge", 0)
    spec.setdefault("revisionHistoryLimit", 10)
    pods.template(value)
    status = value.setdefault("status", {})
    for name in ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady"):
        status.setdefault(name, 0)


def stateful_set(value: Json) -> None:
    """One replica, in order, rolled over from the highest ordinal; claims are kept."""
    spec = value.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    spec.setdefault("podManagementPolicy", "OrderedReady")
    strategy = spec.setdefault("updateStrategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        strategy.setdefault("rollingUpdate", {}).setdefault("partition", 0)
    spec.setdefault("revisionHistoryLimit", 10)
    retention = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
    for name in ("whenDeleted", "whenScaled"):
        retention.setdefault(name, "Retain")
    for claim in items(spec, "volumeClaimTemplates"):
        claim.setdefault("apiVersion", "v1")
        claim.setdefault("kind", "PersistentVolumeClaim")
        storage.claim(claim)
    pods.template(value)
    status = value.setdefault("status", {})
    for name in ("replicas", "availableReplicas"):
        status.setdefault(name, 0)
