"""From a name in the cluster's domain to what it stands for (plugin/kubernetes: parse.go, kubernetes.go).

The names are those of the Kubernetes DNS specification 1.1; of endpoints the ready ones are told (object/endpoint.go).
Nothing is kept, each lookup reads the cluster as it is.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from podwire.proto.kube.labels import LabelSelector, matches_labels
from podwire.proto.kube.meta import ObjectMeta
from podwire.proto.kube.network import Endpoint, EndpointPort, EndpointSlice, Service, ServicePort
from podwire.services.coredns.core.cluster import Cluster, ServiceName, canonical, is_headless
from podwire.services.coredns.core.zones import without_zone

SVC: Final = "svc"
POD: Final = "pod"
DEFAULT_NS: Final = "ns.dns."
_LONGEST_POD_NAME: Final = 63


class NoSuchName(Exception):
    """NXDOMAIN."""


class Found(NamedTuple):
    """One thing that a name stands for: an address or another name, and the name that SRV records give it.

    A port of -1 is that of endpoints which have none.
    """

    host: str
    port: int
    target: str


@dataclass(frozen=True, slots=True)
class Options:
    """What the plugin's block says about names."""

    zone: str
    pods: str = "disabled"
    namespaces: frozenset[str] = frozenset()
    endpoint_pod_names: bool = False
    endpoints: bool = True
    ignore_empty_service: bool = False
    labels: LabelSelector = ()
    """Of the Services, EndpointSlices and pods that have names."""
    namespace_labels: LabelSelector = ()
    """Of the namespaces that have names."""

    def selects(self, metadata: ObjectMeta) -> bool:
        """Whether an object is one of those that have names."""
        return matches_labels(self.labels, metadata.labels or {})


@dataclass(frozen=True, slots=True)
class NameParts:
    """The labels of a name before the zone, by their place."""

    kind: str = ""
    namespace: str = ""
    name: str = ""
    endpoint: str = ""
    port: str = ""
    protocol: str = ""


def parse_name(name: str, zone: str) -> NameParts:
    """The parts of a name: `_port._protocol.service.namespace.svc`, `endpoint.service.namespace.svc`, or shorter.

    Raises NoSuchName for what has no such form (parse.go, parseRequest).
    """
    labels = without_zone(name, zone).split(".")[::-1]
    if labels in ([""], [SVC], [POD]):
        return NameParts()
    if labels[0] not in (SVC, POD) or len(labels) > 5:
        raise NoSuchName
    parts = dict(zip(("kind", "namespace", "name"), labels, strict=False))
    if len(labels) == 4:
        parts["endpoint"] = labels[3]
    elif len(labels) == 5:
        parts["protocol"], parts["port"] = (label.removeprefix("_") for label in labels[3:])
    return NameParts(**parts)


def find(cluster: Cluster, options: Options, name: str, zone: str) -> list[Found]:
    """What a name below a zone stands for; empty for a name that only has others below it. Raises NoSuchName."""
    parts = parse_name(name, zone)
    if not parts.kind:
        return []
    if is_reverse(name) or not is_exposed(cluster, options, parts.namespace):
        raise NoSuchName
    if not parts.name:
        return []
    found = find_pod(cluster, options, parts) if parts.kind == POD else find_service(cluster, options, parts)
    if found is None:
        raise NoSuchName
    return found


def is_exposed(cluster: Cluster, options: Options, namespace: str) -> bool:
    """Whether names of a namespace are answered: it exists, and is one of those that the Corefile names or selects."""
    known = cluster.namespaces.get(namespace)
    if known is None or not matches_labels(options.namespace_labels, known.metadata.labels or {}):
        return False
    return not options.namespaces or namespace in options.namespaces


def is_reverse(name: str) -> bool:
    """Whether a name is an address's."""
    return name.endswith((".in-addr.arpa.", ".ip6.arpa."))


# -- pods


def find_pod(cluster: Cluster, options: Options, parts: NameParts) -> list[Found] | None:
    """A pod's record by its address with dashes (`findPods`); None if there is no such name."""
    if options.pods == "disabled" or parts.endpoint or parts.port or len(parts.name) > _LONGEST_POD_NAME:
        return None
    address = pod_address(parts.name)
    if not address:
        return None
    pods = [pod.metadata for pod in cluster.pods_at(address) if pod.metadata.namespace == parts.namespace]
    known = any(options.selects(metadata) for metadata in pods)
    if options.pods == "verified" and not known:
        return None
    return [Found(address, 0, "")]


def pod_address(label: str) -> str:
    """The address that a pod's label spells: 10-244-1-5, fd00-10-244--5 ("" for none)."""
    separator = "." if label.count("-") == 3 and "--" not in label else ":"
    return canonical(label.replace("-", separator))


# -- services


def find_service(cluster: Cluster, options: Options, parts: NameParts) -> list[Found] | None:
    """A Service's records, or an endpoint's (`findServices`); None if there is no such name."""
    service = _service(cluster, options, (parts.namespace, parts.name))
    if service is None:
        return None
    base = f"{parts.name}.{parts.namespace}.{SVC}.{options.zone}"
    if service.spec.type == "ExternalName":
        plain = not (parts.endpoint or parts.port)
        target = service.spec.external_name.rstrip(".").lower() + "."
        return [Found(target, 0, base)] if plain and not canonical(target.rstrip(".")) else None
    if options.ignore_empty_service and not is_headless(service) and not _has_endpoints(cluster, options, parts):
        return None
    if is_headless(service) or parts.endpoint:
        return list(_endpoints(cluster, options, parts, base)) or None
    return list(_cluster_ips(service, parts, base)) or None


def _service(cluster: Cluster, options: Options, name: ServiceName) -> Service | None:
    service = cluster.services.get(name)
    return service if service is not None and options.selects(service.metadata) else None


def _slices(cluster: Cluster, options: Options, name: ServiceName) -> list[EndpointSlice]:
    return [each for each in cluster.slices(name) if options.selects(each.metadata)]


def _has_endpoints(cluster: Cluster, options: Options, parts: NameParts) -> bool:
    slices = _slices(cluster, options, (parts.namespace, parts.name))
    return any(entry.addresses for each in slices for entry in each.ready_endpoints)


def _cluster_ips(service: Service, parts: NameParts, base: str) -> Iterator[Found]:
    for port in service.spec.ports or []:
        if _fits(port, parts):
            for address in service.spec.cluster_ips or [service.spec.cluster_ip]:
                yield Found(canonical(address), port.port, base)


def _fits(port: ServicePort | EndpointPort, parts: NameParts) -> bool:
    """Whether a port is the one asked for (`matchPortAndProtocol`)."""
    return parts.port in ("", port.name.lower()) and parts.protocol in ("", port.protocol.lower())


def _endpoints(cluster: Cluster, options: Options, parts: NameParts, base: str) -> Iterator[Found]:
    if not options.endpoints:
        return
    for entry in _slices(cluster, options, (parts.namespace, parts.name)):
        ports = [(port, port.port or -1) for port in entry.ports or []] or [(EndpointPort(), -1)]
        for endpoint in entry.ready_endpoints:
            yield from _one_endpoint(endpoint, options, parts, base, ports)


def _one_endpoint(
    endpoint: Endpoint, options: Options, parts: NameParts, base: str, ports: Iterable[tuple[EndpointPort, int]]
) -> Iterator[Found]:
    for address in endpoint.addresses:
        label = endpoint_label(endpoint, address, options)
        if parts.endpoint in ("", label):
            for port, number in ports:
                if _fits(port, parts):
                    yield Found(canonical(address), number, f"{label}.{base}")


def endpoint_label(endpoint: Endpoint, address: str, options: Options) -> str:
    """An endpoint's own label: its hostname, its pod's name if the Corefile says so, else its address with dashes
    (`endpointHostname`)."""
    if endpoint.hostname:
        return endpoint.hostname.lower()
    pod = endpoint.target_ref.name if endpoint.target_ref and endpoint.target_ref.kind == "Pod" else ""
    if options.endpoint_pod_names and 0 < len(pod) <= _LONGEST_POD_NAME:
        return pod
    return canonical(address).replace(".", "-").replace(":", "-")


# -- addresses to names


def find_pointers(cluster: Cluster, options: Options, address: str) -> list[str]:
    """The names of an address: of the Service with this cluster IP, else of endpoints that have a hostname
    (`serviceRecordForIP`)."""
    named = cluster.service_at(address)
    if named is not None and _service(cluster, options, named) is not None:
        return [_service_name(named, options)] if is_exposed(cluster, options, named[0]) else []
    return [
        f"{endpoint.hostname.lower()}.{_service_name(name, options)}"
        for name in cluster.services_behind(address)
        if is_exposed(cluster, options, name[0])
        for entry in _slices(cluster, options, name)
        for endpoint in entry.ready_endpoints
        if endpoint.hostname and address in map(canonical, endpoint.addresses)
    ]


def _service_name(name: ServiceName, options: Options) -> str:
    return f"{name[1]}.{name[0]}.{SVC}.{options.zone}"


# -- the zone's own server


def find_name_servers(cluster: Cluster, options: Options, own_addresses: Iterable[str]) -> list[tuple[str, str]]:
    """Names and addresses of the zone's servers: of the Services in front of this process, or `ns.dns.ZONE` with its
    own addresses (ns.go, nsAddrs)."""
    found: list[tuple[str, str]] = []
    own = [canonical(address) for address in own_addresses]
    for name in dict.fromkeys(each for address in own for each in cluster.services_behind(address)):
        service = _service(cluster, options, name)
        if service is None:
            continue
        base = _service_name(name, options)
        if is_headless(service):
            parts = NameParts(SVC, name[0], name[1])
            found += [(entry.target, entry.host) for entry in _endpoints(cluster, options, parts, base)]
        else:
            found += [(base, canonical(address)) for address in service.spec.cluster_ips or [service.spec.cluster_ip]]
    return list(dict.fromkeys(found)) or [(f"{DEFAULT_NS}{options.zone}", address) for address in own]
