"""Values of the downward API: fields of the pod, requests and limits of its containers.

Source: kubernetes `pkg/fieldpath/fieldpath.go`, `pkg/api/v1/resource/helpers.go` (ExtractContainerResourceValue),
`pkg/kubelet/kubelet_pods.go` (podFieldSelectorRuntimeValue).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from podwire.proto.kube.container import Container
from podwire.proto.kube.pod import Pod
from podwire.proto.kube.quantity import QuantityError, thousandths
from podwire.proto.kube.volume import ResourceSelector
from podwire.services.kubelet.core.node import CAPACITY
from podwire.services.kubelet.core.references import CannotConfigure

_KEYED: Final = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")
_RESOURCE: Final = re.compile(r"(limits|requests)\.(cpu|memory|ephemeral-storage)")


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses that a pod has while its containers are made, the primary family's first."""

    hosts: tuple[str, ...]
    pods: tuple[str, ...]

    @property
    def host(self) -> str:
        """The machine's primary address ("" while it is unknown)."""
        return self.hosts[0] if self.hosts else ""

    @property
    def pod(self) -> str:
        """The pod's primary address ("" before it has one)."""
        return self.pods[0] if self.pods else ""


def pod_field(pod: Pod, path: str, addresses: Addresses) -> str:
    """A field as an environment variable gets it. Raises CannotConfigure."""
    metadata = pod.metadata
    simple = {
        "metadata.name": metadata.name,
        "metadata.namespace": metadata.namespace,
        "metadata.uid": metadata.uid,
        "spec.nodeName": pod.spec.node_name,
        "spec.serviceAccountName": pod.spec.service_account_name,
        "status.hostIP": addresses.host,
        "status.hostIPs": ",".join(addresses.hosts),
        "status.podIP": addresses.pod,
        "status.podIPs": ",".join(addresses.pods),
    }
    if path in simple:
        return simple[path]
    keyed = _KEYED.fullmatch(path)
    if keyed is None:
        raise CannotConfigure(f"fieldPath {path!r} is not supported")
    holder = metadata.labels if keyed[1] == "labels" else metadata.annotations
    return (holder or {}).get(keyed[2], "")


def file_field(pod: Pod, path: str, addresses: Addresses) -> str:
    """A field as a downwardAPI file has it: all labels or annotations are possible too. Raises CannotConfigure."""
    if path == "metadata.labels":
        return format_map(pod.metadata.labels or {})
    if path == "metadata.annotations":
        return format_map(pod.metadata.annotations or {})
    return pod_field(pod, path, addresses)


def format_map(values: Mapping[str, str]) -> str:
    """`key="value"` lines, sorted (fieldpath.FormatMap; Go's %q)."""
    return "\n".join(f"{key}={json.dumps(values[key], ensure_ascii=False)}" for key in sorted(values))


def resource_field(pod: Pod, selector: ResourceSelector, own: Container | None) -> str:
    """A request or limit in units of the divisor, rounded up; a limit that is not set is what the node has.
    Raises CannotConfigure."""
    container = _named(pod, selector.container_name) if selector.container_name else own
    if container is None:
        raise CannotConfigure(f"container {selector.container_name} not found")
    match = _RESOURCE.fullmatch(selector.resource)
    if match is None:
        raise CannotConfigure(f"unsupported container resource : {selector.resource}")
    kind, name = match[1], match[2]
    amounts = (container.resources.limits if kind == "limits" else container.resources.requests) or {}
    fallback = CAPACITY[name] if kind == "limits" else "0"
    try:
        amount, divisor = thousandths(amounts.get(name, fallback)), thousandths(selector.divisor or "0") or 1000
    except QuantityError as error:
        raise CannotConfigure(str(error)) from None
    return str(-(-amount // divisor))


def _named(pod: Pod, name: str) -> Container | None:
    return next((entry for entry in pod.spec.all_containers if entry.name == name), None)
