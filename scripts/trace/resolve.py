"""What SOURCE and DESTINATION of `podwire trace` and `podwire inject` mean."""

import ipaddress
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlsplit

from podwire.proto.kube import resources
from podwire.proto.kube.families import family_of, host_port, of_family
from podwire.proto.messages.machine import ExchangeKind
from podwire.scripts.cluster.layout import OUTSIDE
from podwire.scripts.cluster.operator import Operator
from podwire.scripts.cluster.visitors import any_addresses
from podwire.scripts.errors import UserError

Json = dict[str, Any]
_PODS: Final = ("pod", "pods", "po")
_WORKLOADS: Final = ("deploy", "deployment", "deployments", "rs", "replicaset", "ds", "daemonset")
"""Of a workload the first pod is taken, as `kubectl exec` does."""
_EXCHANGES: Final[dict[str, ExchangeKind]] = {"tcp": "tcp", "udp": "udp", "sctp": "sctp", "icmp": "icmp"}


@dataclass(frozen=True, slots=True)
class Source:
    """Where a packet starts: a machine, and a pod on it ("" for the machine itself); or outside the cluster."""

    node: str
    namespace: str = ""
    pod: str = ""
    addresses: tuple[str, ...] = ()
    """The primary family's first."""

    @property
    def address(self) -> str:
        """The primary family's ("" while there is none)."""
        return self.addresses[0] if self.addresses else ""

    def towards(self, destination: str) -> str:
        """The address that packets to a destination come from: of its family, if there is one."""
        return of_family(self.addresses, family_of(destination)) or self.address

    @property
    def is_external(self) -> bool:
        """Whether it is a host on the machines' segment that is none of them."""
        return self.node == OUTSIDE

    def described(self, destination: str) -> str:
        """In words; of a host outside the address that it sends to a destination from."""
        if self.is_external:
            return f"outside host {self.towards(destination)}"
        return f"pod {self.namespace}/{self.pod} on {self.node}" if self.pod else f"node {self.node}"


@dataclass(frozen=True, slots=True)
class Destination:
    """Where it goes, and how it is asked for."""

    kind: ExchangeKind
    address: str
    port: int
    host: str = ""
    path: str = "/"

    def __str__(self) -> str:
        name = f"{self.host} = " if self.host and self.host.strip("[]") != self.address else ""
        return f"{name}{host_port(self.address, self.port)}" if self.port else f"{name}{self.address}"


async def source(client: Operator, text: str, namespace: str) -> Source:
    """A pod (`NAME`, `pod/NAME`, `deploy/NAME`, `NAMESPACE/NAME`), a node (`NAME`, `node/NAME`) or `external`.

    Raises UserError.
    """
    kind, _, name = text.partition("/")
    if text == OUTSIDE:
        return Source(OUTSIDE, addresses=any_addresses(client.random))
    if kind in ("node", "nodes"):
        return await _node_source(client, name)
    if kind not in _PODS and kind not in _WORKLOADS and "/" in text:
        namespace = kind
    pod = await _pod(client, name or kind, namespace)
    if pod is not None:
        return pod_source(pod)
    if "/" not in text:
        return await _node_source(client, text)
    raise UserError(f"SOURCE {text}: no such pod in namespace {namespace}")


async def _pod(client: Operator, name: str, namespace: str) -> Json | None:
    """The pod of that name, or the first of a workload of that name."""
    pods = await client.api.list(resources.PODS, namespace)
    exact = [pod for pod in pods if pod["metadata"]["name"] == name]
    begins = [pod for pod in pods if pod["metadata"]["name"].startswith(f"{name}-")]
    return next(iter(exact or begins), None)


def pod_source(pod: Json) -> Source:
    """Where a pod's packets start: of a pod of the host's network at the machine. Raises UserError without address."""
    metadata, node = pod["metadata"], pod["spec"].get("nodeName", "")
    status = pod.get("status") or {}
    addresses = tuple(str(entry["ip"]) for entry in status.get("podIPs") or [])
    if not addresses:
        raise UserError(f"SOURCE {metadata['name']}: the pod has no address yet (kubectl describe pod tells why)")
    if pod["spec"].get("hostNetwork"):
        return Source(node, addresses=addresses)
    return Source(node, metadata["namespace"], metadata["name"], addresses)


async def _node_source(client: Operator, name: str) -> Source:
    return Source(name, addresses=await node_addresses(client, name, "SOURCE", "neither a pod nor a node"))


async def node_addresses(client: Operator, name: str, option: str, otherwise: str = "no such node") -> tuple[str, ...]:
    """A machine's own addresses (none while they are not known). Raises UserError."""
    nodes = {node["metadata"]["name"]: node for node in await client.api.list(resources.NODES)}
    if name not in nodes:
        raise UserError(f"{option} {name}: {otherwise}; nodes are {', '.join(nodes)}")
    addresses = (nodes[name].get("status") or {}).get("addresses") or []
    return tuple(str(entry["address"]) for entry in addresses if entry["type"] == "InternalIP")


async def destination(client: Operator, text: str, namespace: str, protocol: str = "") -> Destination:
    """A URL, ADDRESS:PORT, ADDRESS (a ping), a Service (`NAME[:PORT]`, `svc/NAME`) or a pod (`pod/NAME[:PORT]`).

    An IPv6 address with a port stands in brackets. `protocol` (tcp, udp, sctp, icmp) goes before what the form of the
    text says. Raises UserError.
    """
    if protocol and protocol not in _EXCHANGES:
        raise UserError(f"--protocol {protocol}: tcp, udp, sctp or icmp is needed")
    if "://" in text:
        if protocol:
            raise UserError(f"--protocol {protocol}: a URL is asked for by HTTP; leave the option out")
        return await _url(client, text, namespace)
    found = await _without_url(client, text, namespace, protocol)
    if protocol in ("tcp", "udp", "sctp") and not found.port:
        raise UserError(f"DESTINATION {text}: {protocol} needs a port, as in {text}:80")
    if protocol == "icmp" and found.port:
        raise UserError(f"DESTINATION {text}: icmp has no ports; leave the port out")
    return replace(found, kind=_EXCHANGES[protocol]) if protocol else found


async def _without_url(client: Operator, text: str, namespace: str, protocol: str) -> Destination:
    name, port = _split_port(text)
    if _is_address(name):
        return Destination("tcp" if port else "icmp", name, port)
    kind, _, rest = name.partition("/")
    if kind in _PODS:
        return await _to_pod(client, rest, port, namespace)
    if kind in ("svc", "service", "services"):
        name = rest
    return await _to_service(client, name, port, namespace, protocol.upper() or "TCP")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def _split_port(text: str) -> tuple[str, int]:
    if _is_address(text):
        return text, 0
    name, separator, port = text.rpartition(":")
    if not separator or (text.startswith("[") and text.endswith("]")):
        return text.strip("[]"), 0
    name = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    if not (port.isdigit() and 0 < int(port) < 65536):
        raise UserError(f"DESTINATION {text}: {port!r} is not a port from 1 to 65535")
    return name, int(port)


async def _url(client: Operator, text: str, namespace: str) -> Destination:
    try:
        parts = urlsplit(text)
        port = parts.port or 80
    except ValueError as error:
        raise UserError(f"DESTINATION {text}: {error}") from None
    if parts.scheme != "http" or not parts.hostname:
        raise UserError(f"DESTINATION {text}: http://HOST[:PORT][/PATH] is needed")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if _is_address(parts.hostname):
        return Destination("http", parts.hostname, port, parts.netloc, path)
    found = await _to_service(client, parts.hostname, port, namespace)
    return Destination("http", found.address, port, parts.netloc, path)


async def _to_pod(client: Operator, name: str, port: int, namespace: str) -> Destination:
    pod = await _pod(client, name, namespace)
    address = ((pod or {}).get("status") or {}).get("podIP", "")
    if not address:
        raise UserError(f"DESTINATION pod/{name}: no such pod with an address in namespace {namespace}")
    return Destination("tcp" if port else "icmp", address, port)


async def _to_service(client: Operator, name: str, port: int, namespace: str, protocol: str = "TCP") -> Destination:
    """NAME, NAME.NAMESPACE or NAME.NAMESPACE.svc…; the Service's first port of the protocol if none is given."""
    labels = name.rstrip(".").split(".")
    place = labels[1] if len(labels) > 1 else namespace
    services = await client.api.list(resources.SERVICES, place)
    found = next((entry for entry in services if entry["metadata"]["name"] == labels[0]), None)
    if found is None:
        raise UserError(f"DESTINATION {name}: no such Service in namespace {place}")
    address = found["spec"].get("clusterIP", "")
    if not _is_address(address):
        raise UserError(f"DESTINATION {name}: the Service has no cluster IP ({address or 'none'}); trace to a pod")
    declared = [entry for entry in found["spec"].get("ports") or [] if entry.get("protocol", "TCP") == protocol]
    if not port and not declared and protocol != "ICMP":
        raise UserError(f"DESTINATION {name}: the Service has no {protocol} port; give one with {name}:PORT")
    first = 0 if protocol == "ICMP" else int(declared[0]["port"]) if declared else 0
    return Destination("tcp", address, port or first, name)
