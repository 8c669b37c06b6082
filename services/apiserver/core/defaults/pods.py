"""Defaults of Pods and pod templates (`pkg/apis/core/v1/defaults.go`)."""

from typing import Any, Final

from podwire.proto.kube.json_objects import items, section
from podwire.proto.kube.quantity import thousandths
from podwire.services.apiserver.core.json_types import Json

_MODES: Final = {"configMap": 420, "secret": 420, "downwardAPI": 420, "projected": 420}
_PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")
_TOLERATION_SECONDS: Final = 300
_NODE_TAINTS: Final = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def pull_policy(image: str) -> str:
    """Always for `latest` or no tag, else IfNotPresent."""
    last = image.rpartition("/")[2]
    if "@" in last:
        return "IfNotPresent"
    tag = last.partition(":")[2]
    return "IfNotPresent" if tag not in ("", "latest") else "Always"


def _http_get(handler: Json) -> None:
    action = handler.get("httpGet")
    if isinstance(action, dict):
        action.setdefault("path", "/")
        action.setdefault("scheme", "HTTP")


def _probe(probe: Json) -> None:
    probe.setdefault("timeoutSeconds", 1)
    probe.setdefault("periodSeconds", 10)
    probe.setdefault("successThreshold", 1)
    probe.setdefault("failureThreshold", 3)
    _http_get(probe)
    if isinstance(probe.get("grpc"), dict):
        probe["grpc"].setdefault("service", "")


def _container(container: Json) -> None:
    container.setdefault("imagePullPolicy", pull_policy(container.get("image", "")))
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    container.setdefault("resources", {})
    for port in items(container, "ports"):
        port.setdefault("protocol", "TCP")
    for name in _PROBES:
        if isinstance(container.get(name), dict):
            _probe(container[name])
    for hook in section(container, "lifecycle").values():
        if isinstance(hook, dict):
            _http_get(hook)
    for variable in items(container, "env"):
        reference = section(variable, "valueFrom").get("fieldRef")
        if isinstance(reference, dict):
            reference.setdefault("apiVersion", "v1")


def _volume(volume: Json) -> None:
    if set(volume) <= {"name"}:
        volume["emptyDir"] = {}
    for source, mode in _MODES.items():
        if isinstance(volume.get(source), dict):
            volume[source].setdefault("defaultMode", mode)
    if isinstance(volume.get("hostPath"), dict):
        volume["hostPath"].setdefault("type", "")
    for projected in items(section(volume, "projected"), "sources"):
        if isinstance(projected.get("serviceAccountToken"), dict):
            projected["serviceAccountToken"].setdefault("expirationSeconds", 3600)
    for source in [volume, *items(section(volume, "projected"), "sources")]:
        for item in items(section(source, "downwardAPI"), "items"):
            section(item, "fieldRef").setdefault("apiVersion", "v1")


def _host_ports(spec: Json) -> None:
    for container in items(spec, "containers"):
        for port in items(container, "ports"):
            if "containerPort" in port:
                port.setdefault("hostPort", port["containerPort"])


def pod_spec(spec: Json) -> None:
    """Defaults shared by Pods and templates."""
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("securityContext", {})
    spec.setdefault("schedulerName", "default-scheduler")
    if spec.get("serviceAccountName"):
        spec["serviceAccount"] = spec["serviceAccountName"]
    elif spec.get("serviceAccount"):
        spec["serviceAccountName"] = spec["serviceAccount"]
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for container in items(spec, field):
            _container(container)
    for volume in items(spec, "volumes"):
        _volume(volume)
    for constraint in items(spec, "topologySpreadConstraints"):
        constraint.setdefault("whenUnsatisfiable", "DoNotSchedule")
    if spec.get("hostNetwork"):
        _host_ports(spec)


def template(value: Json) -> None:
    """Defaults of a workload's pod template."""
    inner = section(value, "spec").get("template")
    if isinstance(inner, dict):
        inner.setdefault("metadata", {}).setdefault("creationTimestamp", None)
        inner["metadata"].pop("creationTimestamp")
        pod_spec(inner.setdefault("spec", {}))


def _requests_from_limits(container: Json) -> None:
    resources = section(container, "resources")
    limits = section(resources, "limits")
    if limits:
        requests = resources.setdefault("requests", {})
        for name, amount in limits.items():
            requests.setdefault(name, amount)


def quality_of_service(spec: Json) -> str:
    """Guaranteed, Burstable or BestEffort (`pkg/apis/core/v1/helper/qos`)."""
    containers = items(spec, "initContainers") + items(spec, "containers")
    named = [section(container, "resources") for container in containers]
    amounts = [_positive(section(entry, kind)) for entry in named for kind in ("requests", "limits")]
    if not any(amounts):
        return "BestEffort"
    guaranteed = all(
        _positive(section(entry, "limits")).keys() >= {"cpu", "memory"}
        and _positive(section(entry, "limits")) == _positive(section(entry, "requests"))
        for entry in named
    )
    return "Guaranteed" if guaranteed else "Burstable"


def _positive(amounts: Json) -> dict[str, int]:
    measured = {name: thousandths(amounts[name]) for name in ("cpu", "memory") if name in amounts}
    return {name: amount for name, amount in measured.items() if amount > 0}


def pod(value: Json) -> None:
    """Defaults of a Pod, with those of the priority, service account and toleration admission plugins."""
    spec: Json = value.setdefault("spec", {})
    pod_spec(spec)
    spec.setdefault("enableServiceLinks", True)
    for container in items(spec, "initContainers") + items(spec, "containers"):
        _requests_from_limits(container)
    status = value.setdefault("status", {})
    status.setdefault("phase", "Pending")
    status.setdefault("qosClass", quality_of_service(spec))


def pod_admission(value: Json) -> None:
    """The account's name and DefaultTolerationSeconds, on creation."""
    spec = value["spec"]
    spec.setdefault("serviceAccountName", "default")
    spec["serviceAccount"] = spec["serviceAccountName"]
    tolerations: list[Any] = spec.setdefault("tolerations", [])
    for taint in _NODE_TAINTS:
        if not any(_tolerates(toleration, taint) for toleration in tolerations):
            tolerations.append(
                {
                    "key": taint,
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": _TOLERATION_SECONDS,
                }
            )


def _tolerates(toleration: Json, taint: str) -> bool:
    return toleration.get("key") in (taint, None, "") and toleration.get("effect") in ("NoExecute", None, "")
