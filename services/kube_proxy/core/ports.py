"""Service ports as kube-proxy sees them from one node, in one family (pkg/proxy/serviceport.go, v1.33)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from podwire.proto.kube.network import Service, ServicePort, ServiceSpec
from podwire.services.kube_proxy.core.endpoints import Backends, Endpoint, categorize
from podwire.services.kube_proxy.core.family import Family, addresses, prefixes

PROXY_NAME_LABEL: Final = "service.kubernetes.io/service-proxy-name"
HEADLESS_LABEL: Final = "service.kubernetes.io/headless"
PROTOCOLS: Final = ("tcp", "udp", "sctp")
_NAME: Final = re.compile(r"[a-z0-9.-]*")


class ServicePortName(NamedTuple):
    """Namespace, name and port name; prints as upstream's ServicePortName."""

    namespace: str
    name: str
    port: str

    def __str__(self) -> str:
        base = f"{self.namespace}/{self.name}"
        return f"{base}:{self.port}" if self.port else base


PortKey = tuple[ServicePortName, str]
"""What names a Service port: a port name may be there once for TCP and once for UDP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePortState:
    """One port of one Service, and its endpoints. `affinity_seconds` is 0 without session affinity."""

    name: ServicePortName
    protocol: str
    cluster_ip: str
    port: int
    node_port: int = 0
    external_ips: tuple[str, ...] = ()
    load_balancer_ips: tuple[str, ...] = ()
    source_ranges: tuple[str, ...] = ()
    health_check_node_port: int = 0
    external_local: bool = False
    internal_local: bool = False
    affinity_seconds: int = 0
    endpoints: tuple[Endpoint, ...] = ()
    """Every endpoint, usable or not."""
    cluster_endpoints: tuple[Endpoint, ...] = ()
    local_endpoints: tuple[Endpoint, ...] = ()

    @property
    def key(self) -> PortKey:
        """What names it."""
        return self.name, self.protocol

    @property
    def is_external(self) -> bool:
        """Whether anything from outside the cluster can reach it."""
        return bool(self.node_port or self.external_ips or self.load_balancer_ips)

    @property
    def uses_cluster_endpoints(self) -> bool:
        """Whether some traffic goes to endpoints anywhere: what this node sends to an external address always does."""
        return not self.internal_local or self.is_external

    @property
    def uses_local_endpoints(self) -> bool:
        """Whether some traffic goes to endpoints of this node only."""
        return self.internal_local or (self.is_external and self.external_local)

    @property
    def has_endpoints(self) -> bool:
        """Whether any endpoint is usable, on whatever node."""
        return any(entry.usable for entry in (*self.cluster_endpoints, *self.local_endpoints, *self.endpoints))

    @property
    def has_internal_endpoints(self) -> bool:
        """Whether traffic to the cluster IP is served."""
        return bool(self.local_endpoints) if self.internal_local else self.has_endpoints

    @property
    def has_external_endpoints(self) -> bool:
        """Whether traffic from outside is served."""
        return bool(self.local_endpoints) if self.external_local else self.has_endpoints

    @property
    def reachable_endpoints(self) -> tuple[Endpoint, ...]:
        """Every endpoint that some traffic of this node may go to."""
        return tuple(dict.fromkeys((*self.cluster_endpoints, *self.local_endpoints)))

    @property
    def is_fenced(self) -> bool:
        """Whether only some sources may reach its load balancer addresses."""
        return bool(self.load_balancer_ips and self.source_ranges)


def is_proxied(service: Service) -> bool:
    """Headless and ExternalName Services, and those of another proxy, are not ours."""
    labels, spec = service.metadata.labels or {}, service.spec
    if PROXY_NAME_LABEL in labels or HEADLESS_LABEL in labels or spec.type == "ExternalName":
        return False
    return spec.cluster_ip not in ("", "None") and bool(_NAME.fullmatch(service.metadata.name))


def port_states(service: Service, given: Backends, family: Family, zone: str) -> Iterator[ServicePortState]:
    """The ports of one Service that has an address of the family."""
    spec = service.spec
    own = addresses([*(spec.cluster_ips or ()), spec.cluster_ip], family)
    if not own or not is_proxied(service):
        return
    for port in spec.ports or []:
        if port.protocol.lower() in PROTOCOLS and _NAME.fullmatch(port.name):
            yield _state(service, port, own[0], given.get((port.name, port.protocol.lower()), ()), family, zone)


def _state(
    service: Service, port: ServicePort, address: str, endpoints: tuple[Endpoint, ...], family: Family, zone: str
) -> ServicePortState:
    spec = service.spec
    ingress = service.status.load_balancer.ingress or []
    bare = ServicePortState(
        name=ServicePortName(service.metadata.namespace, service.metadata.name, port.name),
        protocol=port.protocol.lower(),
        cluster_ip=address,
        port=port.port,
        node_port=port.node_port,
        external_ips=addresses(spec.external_ips or (), family),
        load_balancer_ips=addresses((entry.ip for entry in ingress if entry.ip_mode != "Proxy"), family),
        source_ranges=prefixes(spec.load_balancer_source_ranges or (), family),
        health_check_node_port=_health_check_port(spec),
        external_local=_is_external_local(spec),
        internal_local=spec.internal_traffic_policy == "Local",
        affinity_seconds=_affinity(spec),
        endpoints=endpoints,
    )
    return _categorized(bare, zone)


def _categorized(bare: ServicePortState, zone: str) -> ServicePortState:
    """The state with the endpoints that each policy uses (what the policies are decides which count)."""
    found = categorize(bare.endpoints, zone, cluster=bare.uses_cluster_endpoints, local=bare.uses_local_endpoints)
    return replace(bare, cluster_endpoints=found.cluster, local_endpoints=found.local)


def _is_external_local(spec: ServiceSpec) -> bool:
    reachable = spec.type in ("LoadBalancer", "NodePort") or bool(spec.external_ips)
    return spec.external_traffic_policy == "Local" and reachable


def _health_check_port(spec: ServiceSpec) -> int:
    return spec.health_check_node_port if spec.type == "LoadBalancer" and _is_external_local(spec) else 0


def _affinity(spec: ServiceSpec) -> int:
    if spec.session_affinity != "ClientIP":
        return 0
    config = spec.session_affinity_config
    return config.client_ip.timeout_seconds if config else 10800
