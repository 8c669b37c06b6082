"""The records of the cluster, by the Kubernetes DNS specification 1.1 and CoreDNS's kubernetes plugin.

The index is rebuilt from the Services and EndpointSlices as they are known; nothing else is state.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from podwire.proto.kube.network import SERVICE_NAME_LABEL, Endpoint, EndpointSlice, Service
from podwire.proto.subjects import ObjectKey

DNS_VERSION: Final = "1.1.0"


class Srv(NamedTuple):
    """A service record's port and target (RFC 2782)."""

    port: int
    target: str


@dataclass(slots=True)
class Node:
    """What one name owns. A node without records exists as an empty non-terminal (NODATA, not NXDOMAIN)."""

    addresses: list[str] = field(default_factory=list)
    services: list[Srv] = field(default_factory=list)
    alias: str = ""
    text: str = ""
    pointer: str = ""


class Records:
    """Every name of one cluster domain."""

    def __init__(self, zone: str) -> None:
        self.zone = zone
        self._names: dict[str, Node] = {}
        self.node(f"dns-version.{zone}").text = DNS_VERSION
        self.node(f"svc.{zone}")
        self.node(f"pod.{zone}")

    def node(self, name: str) -> Node:
        """The node of a name, made if it is new, with the empty non-terminals above it."""
        if (known := self._names.get(name)) is not None:
            return known
        self._names[name] = made = Node()
        parent = name.partition(".")[2]
        if parent and name != self.zone and parent.endswith(self.zone):
            self.node(parent)
        return made

    def lookup(self, name: str) -> Node | None:
        """The node of a name; None where the name does not exist."""
        return self._names.get(name)


def build(zone: str, services: Mapping[ObjectKey, Service], slices: Mapping[ObjectKey, EndpointSlice]) -> Records:
    """All records of the domain `zone` (with its final dot)."""
    records = Records(zone)
    by_service: dict[tuple[str, str], list[EndpointSlice]] = {}
    for entry in slices.values():
        name = (entry.metadata.labels or {}).get(SERVICE_NAME_LABEL, "")
        by_service.setdefault((entry.metadata.namespace, name), []).append(entry)
    for service in services.values():
        place = (service.metadata.namespace, service.metadata.name)
        _add_service(records, service, by_service.get(place, []))
    return records


def _add_service(records: Records, service: Service, slices: list[EndpointSlice]) -> None:
    name = f"{service.metadata.name}.{service.metadata.namespace}.svc.{records.zone}"
    if service.spec.type == "ExternalName":
        records.node(name).alias = service.spec.external_name.rstrip(".").lower() + "."
    elif service.spec.cluster_ip == "None":
        _add_headless(records, service, name, slices)
    elif service.spec.cluster_ip:
        _add_cluster_ip(records, service, name)


def _add_cluster_ip(records: Records, service: Service, name: str) -> None:
    node = records.node(name)
    node.addresses = list(service.spec.cluster_ips or [service.spec.cluster_ip])
    for address in node.addresses:
        records.node(reverse_name(address)).pointer = name
    for port in service.spec.ports or []:
        if port.name:
            owner = records.node(f"_{port.name}._{port.protocol.lower()}.{name}")
            owner.services.append(Srv(port.port, name))


def _add_headless(records: Records, service: Service, name: str, slices: list[EndpointSlice]) -> None:
    shown = [
        (entry, endpoint)
        for entry in slices
        for endpoint in entry.endpoints or []
        if endpoint.conditions.ready is not False or service.spec.publish_not_ready_addresses
    ]
    node = records.node(name) if shown else None
    for entry, endpoint in shown:
        assert node is not None
        _add_endpoint(records, node, name, entry, endpoint)


def _add_endpoint(records: Records, node: Node, name: str, entry: EndpointSlice, endpoint: Endpoint) -> None:
    for address in endpoint.addresses:
        if address not in node.addresses:
            node.addresses.append(address)
        own_name = f"{endpoint.hostname or dashed(address)}.{name}"
        own = records.node(own_name)
        if address not in own.addresses:
            own.addresses.append(address)
        if endpoint.hostname:
            records.node(reverse_name(address)).pointer = own_name
        for port in entry.ports or []:
            if port.name and port.port is not None:
                owner = records.node(f"_{port.name}._{port.protocol.lower()}.{name}")
                if (srv := Srv(port.port, own_name)) not in owner.services:
                    owner.services.append(srv)


def dashed(address: str) -> str:
    """An address as a label: 10-244-1-5."""
    return address.replace(".", "-").replace(":", "-")


def reverse_name(address: str) -> str:
    """The name of an address's PTR record."""
    return f"{ipaddress.ip_address(address).reverse_pointer}."


def pod_address(label: str) -> str | None:
    """The address that a pod record's first label spells (`pods insecure`)."""
    for separator in (".", ":"):
        try:
            return str(ipaddress.ip_address(label.replace("-", separator)))
        except ValueError:
            continue
    return None
