"""ClusterIPs and node ports: what must be unique is an object whose name is the claim.

A ClusterIP's claim is its IPAddress object (KEP-1880); a node port's is an object of a kind that is stored but not
served. The claim is appended first; a claim whose Service never came is released by `abandoned`.

Source: kubernetes `pkg/registry/core/service/ipallocator`, `portallocator`; KEP-3070 (the upper part of the range is
for chance, the lower for those who ask for an address).
"""

import ipaddress
from collections.abc import Iterator
from typing import Final

from podwire.proto.kube.families import Network, family_of
from podwire.proto.kube.json_objects import items, section
from podwire.proto.kube.times import SECOND
from podwire.proto.subjects import ObjectKey
from podwire.services.apiserver.core.errors import FieldErrors
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.store import Store
from podwire.services.apiserver.core.times import parse_time
from podwire.services.chassis.chance import RandomBits, below

NODE_PORTS: Final = range(30000, 32768)
_RESERVED: Final = 256
"""How many addresses of a range are for those who ask for them, at most (calculateRangeOffset)."""
_STATIC_PORTS: Final = 86
_GRACE: Final = 60 * SECOND
CIDR_STORAGE: Final = ("networking.k8s.io", "servicecidrs")
IP_STORAGE: Final = ("networking.k8s.io", "ipaddresses")
PORT_STORAGE: Final = ("claims.podwire", "nodeports")
_SERVICES: Final = ("", "services")


class Exhausted(Exception):
    """No address or port is left."""


def ip_key(address: str) -> ObjectKey:
    """The claim of a ClusterIP, named by its canonical form."""
    try:
        return ObjectKey(*IP_STORAGE, "", str(ipaddress.ip_address(address)))
    except ValueError:
        return ObjectKey(*IP_STORAGE, "", address)


def ranges(store: Store) -> list[Network]:
    """Where ClusterIPs come from: the networks of all ServiceCIDRs, those of the API server's own first."""
    found = [each for each in store.objects(CIDR_STORAGE) if not each["metadata"].get("deletionTimestamp")]
    own_first = sorted(found, key=lambda each: (each["metadata"]["name"] != "kubernetes", each["metadata"]["name"]))
    return [ipaddress.ip_network(cidr) for each in own_first for cidr in items(section(each, "spec"), "cidrs")]


def families(store: Store) -> list[str]:
    """The families that Services can have, the default one first."""
    return list(dict.fromkeys(family_of(str(network)) for network in ranges(store)))


def port_key(port: int) -> ObjectKey:
    """The claim of a node port."""
    return ObjectKey(*PORT_STORAGE, "", str(port))


def holder(claim: Json) -> tuple[str, str]:
    """Namespace and name of the Service that a claim names."""
    parent = section(claim, "spec", "parentRef")
    return str(parent.get("namespace", "")), str(parent.get("name", ""))


def is_free(store: Store, key: ObjectKey, service: Json) -> bool:
    """Whether a claim is not taken, or taken by the very Service and not in use by an older one of that name."""
    claim = store.get(key)
    meta = section(service, "metadata")
    mine = (meta.get("namespace", ""), meta.get("name", ""))
    return claim is None or (holder(claim) == mine and store.get(ObjectKey(*_SERVICES, *mine)) is None)


def check_cluster_ip(store: Store, service: Json, address: str, errors: FieldErrors) -> None:
    """Reports an asked-for ClusterIP that cannot be had."""
    path = "spec.clusterIPs"
    given = items(section(service, "spec"), "clusterIPs") or [address]
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return
    known = ranges(store)
    inside = any(
        int(parsed) - int(network.network_address) in _usable(network) for network in known if parsed in network
    )
    why = f"failed to allocate IP {address}: "
    if not inside:
        is_known = any(network.version == parsed.version for network in known)
        text = f"the provided network does not match the current range{'' if is_known else ' family'}"
        errors.invalid(path, given, why + f"the provided IP ({address}) is not in the valid range. {text}")
    elif not is_free(store, ip_key(address), service):
        errors.invalid(path, given, why + "provided IP is already allocated")


def _usable(network: Network) -> range:
    """The numbers of a range's addresses: without the network's own, and IPv4's broadcast address."""
    return range(1, network.num_addresses - (1 if network.version == 4 else 0))


def _reserved(network: Network) -> int:
    """How many of the lower addresses are for those who ask for one: a sixteenth, from 16 to 256."""
    size = network.num_addresses
    return 0 if size <= 16 else min(max(16, size // 16), _RESERVED)


def choose_cluster_ip(store: Store, service: Json, family: str, random: RandomBits) -> str:
    """A free ClusterIP of a family by chance; raises Exhausted."""
    for network in ranges(store):
        usable = _usable(network)
        if family_of(str(network)) != family or not usable:
            continue
        for number in _tries(max(usable.start, _reserved(network)), usable.stop - 1, random):
            address = str(network[number])
            if is_free(store, ip_key(address), service):
                return address
    raise Exhausted("range is full")


def choose_node_port(store: Store, service: Json, taken: list[int], random: RandomBits) -> int:
    """A free node port by chance; raises Exhausted."""
    for number in _tries(NODE_PORTS.start + _STATIC_PORTS, NODE_PORTS.stop - 1, random):
        if number not in taken and is_free(store, port_key(number), service):
            return number
    raise Exhausted("range is full")


def _tries(first: int, last: int, random: RandomBits) -> Iterator[int]:
    """A few by chance, then each in order from a chosen start."""
    span = last - first + 1
    for _ in range(8):
        yield first + below(random, span)
    start = below(random, span)
    for step in range(span):
        yield first + (start + step) % span


def cluster_ip_claim(address: str, service: Json) -> Json:
    """The IPAddress object."""
    labels = {
        "ipaddress.kubernetes.io/ip-family": family_of(address),
        "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
    }
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IPAddress",
        "metadata": {"name": address, "labels": labels},
        "spec": {"parentRef": _parent(service)},
    }


def node_port_claim(port: int, service: Json) -> Json:
    """The stored-only claim of a node port."""
    return {
        "apiVersion": "claims.podwire/v1",
        "kind": "NodePort",
        "metadata": {"name": str(port)},
        "spec": {"parentRef": _parent(service)},
    }


def _parent(service: Json) -> Json:
    meta = section(service, "metadata")
    return {
        "group": "",
        "resource": "services",
        "namespace": meta.get("namespace", ""),
        "name": meta.get("name", ""),
    }


def claims_of(service: Json | None) -> dict[ObjectKey, None]:
    """The claims that a Service holds."""
    spec = section(service or {}, "spec")
    found: dict[ObjectKey, None] = {}
    for address in items(spec, "clusterIPs"):
        if address != "None":
            found[ip_key(address)] = None
    for port in [*items(spec, "ports"), {"nodePort": spec.get("healthCheckNodePort")}]:
        if port.get("nodePort"):
            found[port_key(port["nodePort"])] = None
    return found


def abandoned(store: Store, now_ns: int) -> list[ObjectKey]:
    """Claims older than a minute whose Service does not hold them."""
    gone: list[ObjectKey] = []
    for storage in (IP_STORAGE, PORT_STORAGE):
        for claim in store.objects(storage):
            key = ObjectKey(*storage, "", claim["metadata"]["name"])
            made = parse_time(claim["metadata"].get("creationTimestamp")) or 0
            parent = section(claim, "spec", "parentRef")
            service = store.get(ObjectKey(*_SERVICES, *holder(claim)))
            is_service = (parent.get("group"), parent.get("resource")) == ("", "services")
            if is_service and now_ns - made > _GRACE and key not in claims_of(service):
                gone.append(key)
    return gone
