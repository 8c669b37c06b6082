"""Routes straight to the other nodes: all of them with host-gw, those on the same segment with DirectRouting.

pkg/backend/hostgw and pkg/backend/vxlan (directRouting): one route through the node's own address for each subnet.
Routes into the pod network through a gateway on the node's interface are flanneld's; others are not touched.
"""

import ipaddress
from collections.abc import Iterable

from podwire.proto.messages import kernel as operations
from podwire.services.cni.flannel.core.leases import Lease


def is_on_segment(public_ip: str, addresses: Iterable[str]) -> bool:
    """Whether a node can be reached without a router from an interface with these addresses (`10.0.0.1/24`)."""
    return any(ipaddress.ip_address(public_ip) in ipaddress.ip_interface(each).network for each in addresses)


def changes(
    device: str, network: str, leases: Iterable[Lease], present: Iterable[operations.Route]
) -> list[operations.Operation]:
    """The operations that bring the interface's routes to what the leases say; none if they are so already."""
    wanted = {lease.subnet: lease.public_ip for lease in sorted(leases)}
    ours = {route.destination: route.via for route in present if route.via and _is_inside(route.destination, network)}
    stale: list[operations.Operation] = [
        operations.RouteDelete(destination=subnet, device=device, via=via)
        for subnet, via in ours.items()
        if subnet not in wanted
    ]
    return stale + [
        operations.RouteReplace(destination=subnet, device=device, via=via)
        for subnet, via in wanted.items()
        if ours.get(subnet) != via
    ]


def _is_inside(subnet: str, network: str) -> bool:
    inner, outer = ipaddress.ip_network(subnet), ipaddress.ip_network(network)
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]  # versions are equal
