"""Which pods, Services and nodes are sources and targets, from the API's objects."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from podwire.proto.kube.families import IPV6, family_of
from podwire.proto.kube.labels import LabelSelector, matches_labels, parse_term, split_terms
from podwire.scripts.cluster.addressing import ADDRESSING
from podwire.scripts.cluster.layout import OUTSIDE
from podwire.scripts.reach.matrix import PROTOCOLS, Origin, Protocol, Target
from podwire.scripts.trace.resolve import Source, pod_source

Json = dict[str, Any]
type Ports = Sequence[tuple[int, Protocol]]

_ENDED: Final = ("Succeeded", "Failed")


def selected(objects: Sequence[Json], selector: str) -> list[Json]:
    """The objects whose labels a selector (kubectl's `-l`) wants; all of them for ""."""
    wanted: LabelSelector = tuple(parse_term(term) for term in split_terms(selector))
    return [each for each in objects if matches_labels(wanted, each["metadata"].get("labels") or {})]


def living(pods: Sequence[Json]) -> list[Json]:
    """The pods that have not ended (pod lifecycle: the phases Succeeded and Failed are final)."""
    return [pod for pod in pods if (pod.get("status") or {}).get("phase") not in _ENDED]


def pod_origin(pod: Json) -> Origin:
    """A pod as a source; one of the host's network is the machine itself."""
    name = _name(pod)
    if not _address(pod):
        return Origin(name, Source(pod["spec"].get("nodeName", "")), has_address=False)
    return Origin(name, pod_source(pod))


def node_origin(node: Json) -> Origin:
    """A machine as a source."""
    name = node["metadata"]["name"]
    return Origin(name, Source(name))


def outside_origin(addresses: tuple[str, ...]) -> Origin:
    """A host outside as a source."""
    return Origin(OUTSIDE, Source(OUTSIDE, addresses=addresses))


def pod_targets(pod: Json, ports: Sequence[int], protocol: Protocol | None) -> list[Target]:
    """A pod's ports: those asked for (TCP unless said otherwise), else those that its containers declare."""
    wanted = _asked(ports, protocol) or _declared(_container_ports(pod), "containerPort", protocol)
    return [Target(_name(pod), _address(pod), *port) for port in wanted]


def node_targets(node: Json, ports: Sequence[int], protocol: Protocol | None) -> list[Target]:
    """A machine's ports that are asked for."""
    return [Target(node["metadata"]["name"], _machine_address(node), *port) for port in _asked(ports, protocol)]


def outside_targets(nodes: Sequence[Json], ports: Sequence[int], protocol: Protocol | None) -> list[Target]:
    """Ports of the host outside that is always there: the gateway of the machines' network, in the nodes' family."""
    family = "ipv6" if nodes and family_of(_machine_address(nodes[0])) == IPV6 else "ipv4"
    address = ADDRESSING[family].outside[0].partition("/")[0]
    return [Target(OUTSIDE, address, *port) for port in _asked(ports, protocol)]


def _machine_address(node: Json) -> str:
    addresses = (node.get("status") or {}).get("addresses") or []
    return next((str(entry["address"]) for entry in addresses if entry["type"] == "InternalIP"), "")


def service_targets(service: Json, ports: Sequence[int], protocol: Protocol | None) -> list[Target]:
    """A Service's ports at its cluster IP; none of a Service without one (headless, ExternalName)."""
    spec = service["spec"]
    address = spec.get("clusterIP") or ""
    if not family_of(address):
        return []
    wanted = _asked(ports, protocol) or _declared(spec.get("ports") or [], "port", protocol)
    return [Target(f"svc/{_name(service)}", address, *port) for port in wanted]


def _name(value: Json) -> str:
    return f"{value['metadata']['namespace']}/{value['metadata']['name']}"


def _address(pod: Json) -> str:
    return str((pod.get("status") or {}).get("podIP") or "")


def _asked(ports: Sequence[int], protocol: Protocol | None) -> Ports:
    return [(port, protocol or "tcp") for port in dict.fromkeys(ports)]


def _container_ports(pod: Json) -> Iterator[Json]:
    """Of containers and of sidecars, which are init containers that are restarted always."""
    spec = pod["spec"]
    sidecars = [each for each in spec.get("initContainers") or [] if each.get("restartPolicy") == "Always"]
    for container in (*spec["containers"], *sidecars):
        yield from container.get("ports") or []


def _declared(entries: Iterator[Json] | Sequence[Json], field: str, protocol: Protocol | None) -> Ports:
    found: dict[tuple[int, Protocol], None] = {}
    for entry in entries:
        spelled = entry.get("protocol", "TCP").lower()
        for known in PROTOCOLS:
            if spelled == known and protocol in (None, known):
                found[(int(entry[field]), known)] = None
    return list(found)
