"""Which ports of which Services are reached from outside, and at which address of the machines' segment each."""

from collections.abc import Iterable
from typing import NamedTuple

from podwire.proto.kube.families import host_port
from podwire.proto.kube.network import EndpointSlice, Node, Service, ServicePort, nodes_with_endpoints


class Exposure(NamedTuple):
    """One port of a Service as a client outside knows it: a node port ("" for the address: any machine's), or a port of
    a load balancer's address."""

    namespace: str
    name: str
    port_name: str
    protocol: str
    address: str
    port: int

    def __str__(self) -> str:
        service = f"{self.namespace}/{self.name}" + (f":{self.port_name}" if self.port_name else "")
        return f"{service} {host_port(self.address or 'NodePort', self.port)}/{self.protocol}"


def exposures(services: Iterable[Service]) -> list[Exposure]:
    """All of them for TCP and UDP, in order."""
    found: dict[Exposure, None] = {}
    for service in services:
        for port in service.spec.ports or []:
            if port.protocol in ("TCP", "UDP"):
                found.update((each, None) for each in _of_port(service, port))
    return sorted(found)


def _of_port(service: Service, port: ServicePort) -> list[Exposure]:
    place = service.metadata.namespace, service.metadata.name, port.name, port.protocol
    made = [Exposure(*place, "", port.node_port)] if port.node_port else []
    balancers = service.status.load_balancer.ingress or []
    return made + [Exposure(*place, entry.ip, port.port) for entry in balancers if entry.ip]


def entrances(
    exposure: Exposure, service: Service | None, slices: Iterable[EndpointSlice], nodes: Iterable[Node]
) -> list[str]:
    """The addresses at which a client may enter: the load balancer's, or those of the Ready machines; with
    externalTrafficPolicy Local of those that have an endpoint. `service` is the one that is exposed."""
    if exposure.address:
        return [exposure.address]
    ready = [node for node in nodes if node.internal_ip and node.is_ready]
    if service is not None and service.spec.external_traffic_policy == "Local":
        having = nodes_with_endpoints(slices).get((exposure.namespace, exposure.name), {})
        ready = [node for node in ready if node.metadata.name in having]
    return [node.internal_ip for node in sorted(ready, key=lambda node: node.metadata.name)]
