"""Which addresses each Service of type LoadBalancer has: one of each of its IP families, as far as there are pools.

The Services themselves hold the answer: what stands in a status stays, so that nothing need be remembered. A Service
of another loadBalancerClass is another's (KEP-1959).
"""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from podwire.proto.kube.families import IPV4, Network, family_of, networks
from podwire.proto.kube.network import Service
from podwire.proto.subjects import ObjectKey

CLASS = "podwire.io/cloud-provider"

Pools = Mapping[str, Network]
"""The pool of each IP family."""


def read_pools(text: str) -> dict[str, Network]:
    """The pools of a list such as `172.18.200.0/24,fd00::/112`. Raises ValueError."""
    return {family_of(str(network)): network for network in networks(text)}


@dataclass(slots=True)
class Assignment:
    """Addresses by Service, its primary family's first, and for which Services one is missing and why."""

    addresses: dict[ObjectKey, tuple[str, ...]] = field(default_factory=dict)
    refused: dict[ObjectKey, str] = field(default_factory=dict)


def is_ours(service: Service) -> bool:
    """Whether a Service is to have addresses from here."""
    return service.spec.type == "LoadBalancer" and service.spec.load_balancer_class in ("", CLASS)


def status_addresses(service: Service) -> tuple[str, ...]:
    """The addresses in a Service's status."""
    return tuple(entry.ip for entry in service.status.load_balancer.ingress or [] if entry.ip)


def assign(services: Mapping[ObjectKey, Service], pools: Pools) -> Assignment:
    """The addresses of each: those that it has, else the one that it asks for, else a pool's first free one."""
    found = [(key, service) for key, service in services.items() if is_ours(service)]
    ours = sorted(found, key=lambda entry: (entry[1].metadata.creation_timestamp or "", *entry[0]))
    taken: dict[str, ObjectKey] = {}
    held: dict[ObjectKey, dict[str, str]] = {}
    for key, service in ours:
        held[key] = _kept(service, pools, taken)
        taken.update(dict.fromkeys(held[key].values(), key))
    made = Assignment()
    for key, service in ours:
        for family in _families(service):
            if family not in held[key]:
                _give(made, key, service, family, pools, taken, held[key])
        if addresses := tuple(held[key][family] for family in _families(service) if family in held[key]):
            made.addresses[key] = addresses
    return made


def _families(service: Service) -> list[str]:
    return service.spec.ip_families or [IPV4]


def _wanted(service: Service, family: str) -> str:
    """The address of a family that a Service asks for ("" for any)."""
    text = service.spec.load_balancer_ip
    return text if text and family_of(text) == family else ""


def _kept(service: Service, pools: Pools, taken: Mapping[str, ObjectKey]) -> dict[str, str]:
    """What stands in the status, by family, as far as it may stay."""
    kept: dict[str, str] = {}
    for address in status_addresses(service):
        family = family_of(address)
        fits = family in _families(service) and family not in kept and _is_in(address, pools.get(family))
        if fits and address not in taken and _wanted(service, family) in ("", address):
            kept[family] = address
    return kept


def _is_in(address: str, network: Network | None) -> bool:
    try:
        return network is not None and ipaddress.ip_address(address) in network
    except ValueError:
        return False


def _give(
    made: Assignment,
    key: ObjectKey,
    service: Service,
    family: str,
    pools: Pools,
    taken: dict[str, ObjectKey],
    held: dict[str, str],
) -> None:
    """One more address of a family, or why there is none."""
    network, wanted = pools.get(family), _wanted(service, family)
    if network is None:
        known = " and ".join(map(str, pools.values()))
        made.refused[key] = f"spec.ipFamilies {_families(service)}: no pool has {family} addresses, {known} alone"
    elif wanted and not _is_in(wanted, network):
        made.refused[key] = f"spec.loadBalancerIP {wanted} is not in {network}"
    elif wanted and wanted in taken:
        owner = taken[wanted]
        made.refused[key] = f"spec.loadBalancerIP {wanted} is that of {owner.namespace}/{owner.name}"
    elif address := wanted or _first_free(network.hosts(), taken):
        taken[address], held[family] = key, address
    else:
        made.refused[key] = f"all addresses of {network} are given away"


def _first_free(hosts: Iterable[ipaddress.IPv4Address | ipaddress.IPv6Address], taken: Mapping[str, ObjectKey]) -> str:
    return next((str(host) for host in hosts if str(host) not in taken), "")
