"""What CoreDNS knows of the cluster: its objects, and indexes that each change touches where it must.

The counterpart of plugin/kubernetes/controller.go: services by name and by cluster IP, endpoints by service and by
address, pods by address, and which namespaces there are.
"""

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from podwire.proto.kube.chaos import DnsChaos
from podwire.proto.kube.meta import Namespace
from podwire.proto.kube.network import EndpointSlice, Service
from podwire.proto.kube.pod import Pod
from podwire.proto.subjects import ObjectKey

ServiceName = tuple[str, str]
"""Namespace and name."""


def canonical(address: str) -> str:
    """An address in its one spelling ("" for what is none)."""
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return ""


def is_headless(service: Service) -> bool:
    """Whether a Service has endpoints' addresses instead of one of its own."""
    return service.spec.cluster_ip == "None"


@dataclass(slots=True)
class Cluster:
    """The fold of everything that was watched."""

    synced: bool = False
    serial: int = 0
    services: dict[ServiceName, Service] = field(default_factory=dict)
    namespaces: dict[str, Namespace] = field(default_factory=dict)
    experiments: dict[ObjectKey, DnsChaos] = field(default_factory=dict)
    """The DNSChaos objects that have somebody."""
    _slices: dict[ServiceName, dict[ObjectKey, EndpointSlice]] = field(default_factory=dict)
    _slice_owner: dict[ObjectKey, ServiceName] = field(default_factory=dict)
    _by_cluster_ip: dict[str, ServiceName] = field(default_factory=dict)
    _by_endpoint: dict[str, dict[ServiceName, int]] = field(default_factory=dict)
    _pods: dict[ObjectKey, Pod] = field(default_factory=dict)
    _by_pod_ip: dict[str, dict[ObjectKey, None]] = field(default_factory=dict)

    # -- changes

    def set_namespace(self, key: ObjectKey, namespace: Namespace | None) -> None:
        """A namespace is there, or is gone (None)."""
        self.namespaces.pop(key.name, None)
        if namespace is not None:
            self.namespaces[key.name] = namespace

    def set_experiment(self, key: ObjectKey, chaos: DnsChaos | None) -> None:
        """A DNSChaos is as given, or is gone (None)."""
        self.experiments.pop(key, None)
        if chaos is not None and chaos.status.addresses:
            self.experiments[key] = chaos

    def set_service(self, key: ObjectKey, service: Service | None) -> None:
        """A Service is as given, or is gone (None)."""
        name = (key.namespace, key.name)
        before = self.services.pop(name, None)
        for address in _cluster_ips(before):
            if self._by_cluster_ip.get(address) == name:
                del self._by_cluster_ip[address]
        if service is not None:
            self.services[name] = service
            self._by_cluster_ip.update((address, name) for address in _cluster_ips(service))

    def set_slice(self, key: ObjectKey, endpoint_slice: EndpointSlice | None) -> None:
        """An EndpointSlice is as given, or is gone (None)."""
        self._forget_slice(key)
        if endpoint_slice is None or not endpoint_slice.service:
            return
        name = (key.namespace, endpoint_slice.service)
        self._slices.setdefault(name, {})[key] = endpoint_slice
        self._slice_owner[key] = name
        for address in _addresses(endpoint_slice):
            counts = self._by_endpoint.setdefault(address, {})
            counts[name] = counts.get(name, 0) + 1

    def _forget_slice(self, key: ObjectKey) -> None:
        name = self._slice_owner.pop(key, None)
        if name is None:
            return
        before = self._slices[name].pop(key)
        if not self._slices[name]:
            del self._slices[name]
        for address in _addresses(before):
            counts = self._by_endpoint[address]
            counts[name] -= 1
            if not counts[name]:
                del counts[name]
            if not counts:
                del self._by_endpoint[address]

    def set_pod(self, key: ObjectKey, pod: Pod | None) -> None:
        """A Pod is as given, or is gone (None)."""
        for address in _pod_ips(self._pods.pop(key, None)):
            keys = self._by_pod_ip[address]
            keys.pop(key, None)
            if not keys:
                del self._by_pod_ip[address]
        if pod is not None:
            self._pods[key] = pod
            for address in _pod_ips(pod):
                self._by_pod_ip.setdefault(address, {})[key] = None

    # -- what the names need

    def slices(self, name: ServiceName) -> Iterable[EndpointSlice]:
        """A Service's EndpointSlices."""
        return self._slices.get(name, {}).values()

    def service_at(self, address: str) -> ServiceName | None:
        """The Service with a cluster IP."""
        return self._by_cluster_ip.get(address)

    def services_behind(self, address: str) -> Iterable[ServiceName]:
        """The Services of which an address is an endpoint."""
        return self._by_endpoint.get(address, ())

    def pods_at(self, address: str) -> Iterator[Pod]:
        """The pods with an address."""
        return (self._pods[key] for key in self._by_pod_ip.get(address, ()))


def _cluster_ips(service: Service | None) -> list[str]:
    if service is None or is_headless(service) or service.spec.type == "ExternalName":
        return []
    given = service.spec.cluster_ips or [service.spec.cluster_ip]
    return [address for address in map(canonical, given) if address]


def _pod_ips(pod: Pod | None) -> dict[str, None]:
    if pod is None or pod.spec.host_network:
        return {}
    given = [pod.status.pod_ip, *(entry.ip for entry in pod.status.pod_ips or [])]
    return dict.fromkeys(address for address in map(canonical, given) if address)


def _addresses(endpoint_slice: EndpointSlice) -> Iterator[str]:
    return (canonical(address) for entry in endpoint_slice.ready_endpoints for address in entry.addresses)
