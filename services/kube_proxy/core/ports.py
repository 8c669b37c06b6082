"""Service ports with their endpoints, as kube-proxy sees them from one node.

Which endpoints count follows upstream's CategorizeEndpoints (pkg/proxy/topology.go): ready ones, or, when there are
none, those that are serving while they terminate (KEP-1669).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from podwire.proto.kube.network import SERVICE_NAME_LABEL, EndpointSlice, Service, ServicePort
from podwire.proto.subjects import ObjectKey

PROXY_NAME_LABEL: Final = "service.kubernetes.io/service-proxy-name"
HEADLESS_LABEL: Final = "service.kubernetes.io/headless"


class ServicePortName(NamedTuple):
    """Namespace, name and port name; prints as upstream's ServicePortName."""

    namespace: str
    name: str
    port: str

    def __str__(self) -> str:
        base = f"{self.namespace}/{self.name}"
        return f"{base}:{self.port}" if self.port else base


class Endpoint(NamedTuple):
    """One backend: address and port, and what decides whether it gets traffic."""

    address: str
    port: int
    is_local: bool
    ready: bool
    serving: bool
    terminating: bool

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePortState:
    """One port of one Service and its usable endpoints."""

    name: ServicePortName
    protocol: str
    cluster_ip: str
    port: int
    node_port: int = 0
    external_ips: tuple[str, ...] = ()
    load_balancer_ips: tuple[str, ...] = ()
    external_local: bool = False
    internal_local: bool = False
    session_affinity: bool = False
    cluster_endpoints: tuple[Endpoint, ...] = ()
    local_endpoints: tuple[Endpoint, ...] = ()

    @property
    def is_external(self) -> bool:
        """Whether anything from outside the cluster can reach it."""
        return bool(self.node_port or self.external_ips or self.load_balancer_ips)

    @property
    def uses_cluster_endpoints(self) -> bool:
        """Whether some traffic goes to endpoints anywhere."""
        return not self.internal_local or (self.is_external and not self.external_local)

    @property
    def uses_local_endpoints(self) -> bool:
        """Whether some traffic goes to endpoints of this node only."""
        return self.internal_local or (self.is_external and self.external_local)

    @property
    def has_endpoints(self) -> bool:
        """Whether any traffic can be served from this node."""
        cluster = self.uses_cluster_endpoints and self.cluster_endpoints
        return bool(cluster or (self.uses_local_endpoints and self.local_endpoints))


def is_proxied(service: Service) -> bool:
    """Headless and ExternalName Services, and those of another proxy, are not ours."""
    labels = service.metadata.labels or {}
    if PROXY_NAME_LABEL in labels or HEADLESS_LABEL in labels:
        return False
    return service.spec.type != "ExternalName" and service.spec.cluster_ip not in ("", "None")


def service_ports(
    services: Mapping[ObjectKey, Service], slices: Mapping[ObjectKey, EndpointSlice], node: str
) -> list[ServicePortState]:
    """Every port of every Service that is proxied, in order of name."""
    by_service = _endpoints_by_service(slices.values(), node)
    states = []
    for service in services.values():
        if not is_proxied(service):
            continue
        for port in service.spec.ports or []:
            name = ServicePortName(service.metadata.namespace, service.metadata.name, port.name)
            states.append(_state(service, port, name, by_service.get((name, port.protocol), [])))
    return sorted(states, key=lambda state: (state.name, state.protocol))


_ByService = dict[tuple[ServicePortName, str], list[Endpoint]]


def _endpoints_by_service(slices: Iterable[EndpointSlice], node: str) -> _ByService:
    found: dict[tuple[ServicePortName, str], dict[tuple[str, int], Endpoint]] = {}
    for endpoint_slice in slices:
        service = (endpoint_slice.metadata.labels or {}).get(SERVICE_NAME_LABEL)
        if not service or endpoint_slice.address_type != "IPv4":
            continue
        for port in endpoint_slice.ports or []:
            if port.port is None:
                continue
            name = ServicePortName(endpoint_slice.metadata.namespace, service, port.name)
            known = found.setdefault((name, port.protocol), {})
            for endpoint in _endpoints(endpoint_slice, port.port, node):
                known[endpoint.address, endpoint.port] = endpoint
    return {key: [known[place] for place in sorted(known)] for key, known in found.items()}


def _endpoints(endpoint_slice: EndpointSlice, port: int, node: str) -> Iterable[Endpoint]:
    for entry in endpoint_slice.endpoints or []:
        conditions = entry.conditions
        ready = conditions.ready is not False
        serving = ready if conditions.serving is None else conditions.serving
        if entry.addresses:
            yield Endpoint(
                entry.addresses[0], port, entry.node_name == node, ready, serving, conditions.terminating is True
            )


def _usable(endpoints: list[Endpoint]) -> tuple[Endpoint, ...]:
    ready = tuple(entry for entry in endpoints if entry.ready)
    return ready or tuple(entry for entry in endpoints if entry.serving and entry.terminating)


def _state(service: Service, port: ServicePort, name: ServicePortName, endpoints: list[Endpoint]) -> ServicePortState:
    spec = service.spec
    ingress = service.status.load_balancer.ingress or []
    return ServicePortState(
        name=name,
        protocol=port.protocol.lower(),
        cluster_ip=spec.cluster_ip,
        port=port.port,
        node_port=port.node_port,
        external_ips=tuple(spec.external_ips or ()),
        load_balancer_ips=tuple(entry.ip for entry in ingress if entry.ip),
        external_local=spec.external_traffic_policy == "Local",
        internal_local=spec.internal_traffic_policy == "Local",
        session_affinity=spec.session_affinity == "ClientIP",
        cluster_endpoints=_usable(endpoints),
        local_endpoints=_usable([entry for entry in endpoints if entry.is_local]),
    )
