"""Which pods stand behind a Service, and on which port numbers.

Source: kubernetes `pkg/controller/util/endpoint`, `staging/src/k8s.io/endpointslice/utils.go`,
`pkg/api/v1/pod.FindPort`.
"""

from typing import NamedTuple

from podwire.proto.kube.families import IPV4, of_family
from podwire.proto.kube.json_objects import items, section
from podwire.proto.kube.selection import matches_map
from podwire.services.controllers.core import pods as judge
from podwire.services.controllers.core.cluster import is_going
from podwire.services.controllers.core.writes import Json


class Port(NamedTuple):
    """One port of a set of endpoints."""

    name: str
    port: int
    protocol: str
    app_protocol: str


type Ports = tuple[Port, ...]


class Backend(NamedTuple):
    """One pod behind a Service."""

    pod: Json
    address: str
    ports: Ports
    ready: bool
    serving: bool
    terminating: bool


def families(service: Json) -> list[str]:
    """A Service's IP families, its primary one first; IPv4 where it names none."""
    return items(section(service, "spec"), "ipFamilies") or [IPV4]


def selected(service: Json, pods: list[Json]) -> list[Json]:
    """The pods that the Service's selector chooses; none without a selector."""
    selector = section(service, "spec", "selector")
    return [pod for pod in pods if matches_map(selector, section(pod, "metadata", "labels"))] if selector else []


def backends(service: Json, pods: list[Json], family: str) -> list[Backend]:
    """The Service's pods that have an address of a family, in order of namespace and name."""
    always_ready = bool(section(service, "spec").get("publishNotReadyAddresses"))
    addressed = [(pod, _address(pod, family)) for pod in selected(service, pods) if not judge.is_over(pod)]
    return [_backend(service, pod, address, always_ready) for pod, address in addressed if address]


def _address(pod: Json, family: str) -> str:
    status = section(pod, "status")
    addresses = [str(entry.get("ip", "")) for entry in items(status, "podIPs")] or [str(status.get("podIP", ""))]
    return of_family(addresses, family)


def _backend(service: Json, pod: Json, address: str, always_ready: bool) -> Backend:
    serving, going = judge.is_ready(pod), is_going(pod)
    ports = _ports(service, pod)
    return Backend(pod, address, ports, always_ready or (serving and not going), serving, going)


def _ports(service: Json, pod: Json) -> Ports:
    found = []
    for port in items(section(service, "spec"), "ports"):
        protocol = port.get("protocol", "TCP")
        number = target_port(port, pod, protocol)
        if number:
            found.append(Port(port.get("name", ""), number, protocol, port.get("appProtocol", "")))
    return tuple(found)


def target_port(port: Json, pod: Json, protocol: str) -> int:
    """The number of a Service port on a pod; 0 when the pod has no port of that name."""
    target = port.get("targetPort") or port.get("port", 0)
    if isinstance(target, int):
        return target
    for container in items(section(pod, "spec"), "containers"):
        for declared in items(container, "ports"):
            if declared.get("name") == target and declared.get("protocol", "TCP") == protocol:
                return int(declared.get("containerPort", 0))
    return 0


def target_reference(pod: Json) -> Json:
    """What an endpoint says about its pod."""
    meta = pod["metadata"]
    return {"kind": "Pod", "namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]}


def hostname(service: Json, pod: Json) -> str:
    """The pod's own name in DNS, if its subdomain is the Service (headless)."""
    spec, meta = section(pod, "spec"), service["metadata"]
    return str(spec.get("hostname", "")) if spec.get("subdomain") == meta["name"] else ""


def is_headless(service: Json) -> bool:
    """Whether it has no ClusterIP by choice."""
    return section(service, "spec").get("clusterIP") == "None"
