"""Which address each Service of type LoadBalancer has.

The Services themselves hold the answer: what stands in a status stays, so that nothing need be remembered. A Service
of another loadBalancerClass is another's (KEP-1959).
"""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from podwire.proto.kube.network import Service
from podwire.proto.subjects import ObjectKey

CLASS = "podwire.io/cloud-provider"


@dataclass(slots=True)
class Assignment:
    """Addresses by Service, and for which Services there is none and why."""

    addresses: dict[ObjectKey, str] = field(default_factory=dict)
    refused: dict[ObjectKey, str] = field(default_factory=dict)


def is_ours(service: Service) -> bool:
    """Whether a Service is to have an address from here."""
    return service.spec.type == "LoadBalancer" and service.spec.load_balancer_class in ("", CLASS)


def status_address(service: Service) -> str:
    """The IPv4 address in a Service's status ("" for none)."""
    ingress = service.status.load_balancer.ingress or []
    return next((entry.ip for entry in ingress if entry.ip and ":" not in entry.ip), "")


def assign(services: Mapping[ObjectKey, Service], pool: str) -> Assignment:
    """The address of each: the one that it has, else the one that it asks for, else the pool's first free one."""
    made = Assignment()
    network = ipaddress.IPv4Network(pool)
    ours = [(key, service) for key, service in services.items() if is_ours(service)]
    taken: dict[str, ObjectKey] = {}
    for key, service in sorted(ours, key=lambda entry: (entry[1].metadata.creation_timestamp or "", *entry[0])):
        address = status_address(service)
        wanted = service.spec.load_balancer_ip
        if address and address not in taken and _is_in(address, network) and wanted in ("", address):
            taken[address] = key
            made.addresses[key] = address
    for key, service in sorted(ours, key=lambda entry: (entry[1].metadata.creation_timestamp or "", *entry[0])):
        families = service.spec.ip_families or ["IPv4"]
        if "IPv4" not in families:
            made.refused[key] = f"spec.ipFamilies {families}: {network} has IPv4 addresses alone"
        elif key not in made.addresses:
            _give(made, key, service.spec.load_balancer_ip, taken, network)
    return made


def _is_in(address: str, network: ipaddress.IPv4Network) -> bool:
    try:
        return ipaddress.IPv4Address(address) in network
    except ValueError:
        return False


def _give(
    made: Assignment, key: ObjectKey, wanted: str, taken: dict[str, ObjectKey], network: ipaddress.IPv4Network
) -> None:
    if wanted and not _is_in(wanted, network):
        made.refused[key] = f"spec.loadBalancerIP {wanted} is not in {network}"
    elif wanted and wanted in taken:
        owner = taken[wanted]
        made.refused[key] = f"spec.loadBalancerIP {wanted} is that of {owner.namespace}/{owner.name}"
    else:
        address = wanted or _first_free(network.hosts(), taken)
        if not address:
            made.refused[key] = f"all addresses of {network} are given away"
            return
        taken[address] = key
        made.addresses[key] = address


def _first_free(hosts: Iterable[ipaddress.IPv4Address], taken: Mapping[str, ObjectKey]) -> str:
    return next((str(host) for host in hosts if str(host) not in taken), "")
