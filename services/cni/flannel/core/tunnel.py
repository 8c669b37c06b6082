"""What the tunnel's device should hold for the other nodes, and what to change to get there.

One remote subnet is three entries (pkg/backend/vxlan): a route to it through the remote tunnel address, a neighbour
that gives that address the remote MAC, and an FDB entry that sends the MAC to the remote node. Whatever else is on the
tunnel's device is left over from an earlier life and is removed.
"""

import ipaddress
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from podwire.proto.kube.network import Node
from podwire.proto.messages import kernel as operations

PREFIX: Final = "flannel.alpha.coreos.com"


@dataclass(frozen=True, slots=True, order=True)
class Lease:
    """One node's part of the tunnel."""

    subnet: str
    public_ip: str
    mac: str

    @property
    def tunnel_address(self) -> str:
        """The remote end inside the tunnel: the subnet's own address."""
        return self.subnet.partition("/")[0]


def annotations(public_ip: str, vni: int, mac: str) -> dict[str, str]:
    """By which a node tells the others how to reach it."""
    return {
        f"{PREFIX}/backend-data": json.dumps({"VNI": vni, "VtepMAC": mac}, separators=(",", ":")),
        f"{PREFIX}/backend-type": "vxlan",
        f"{PREFIX}/kube-subnet-manager": "true",
        f"{PREFIX}/public-ip": public_ip,
    }


def lease_of(node: Node) -> Lease | None:
    """A node's lease from its annotations; None while it has none, or one that cannot be read."""
    told = node.metadata.annotations or {}
    if told.get(f"{PREFIX}/backend-type") != "vxlan" or not node.spec.pod_cidr:
        return None
    try:
        data: Mapping[str, Any] = json.loads(told[f"{PREFIX}/backend-data"])
        mac = str(data["VtepMAC"])
        public_ip = str(ipaddress.IPv4Address(told[f"{PREFIX}/public-ip"]))
        subnet = str(ipaddress.IPv4Network(node.spec.pod_cidr))
    except (KeyError, TypeError, ValueError):
        return None
    return Lease(subnet, public_ip, mac)


@dataclass(frozen=True, slots=True)
class Present:
    """What the kernel has on the tunnel's device."""

    routes: tuple[operations.Route, ...]
    neighbours: tuple[operations.Neighbour, ...]
    fdb: tuple[operations.Fdb, ...]


def changes(device: str, leases: Iterable[Lease], present: Present) -> list[operations.Operation]:
    """The operations that bring the device to what the leases say; none if it is there already."""
    wanted = sorted(leases)
    result: list[operations.Operation] = []
    result += _remove_stale(device, wanted, present)
    result += _add_missing(device, wanted, present)
    return result


def _remove_stale(device: str, wanted: list[Lease], present: Present) -> list[operations.Operation]:
    subnets = {lease.subnet: lease.tunnel_address for lease in wanted}
    neighbours = {lease.tunnel_address: lease.mac for lease in wanted}
    macs = {lease.mac: lease.public_ip for lease in wanted}
    stale: list[operations.Operation] = []
    for route in present.routes:
        if route.via and subnets.get(route.destination) != route.via:
            stale.append(operations.RouteDelete(destination=route.destination, device=device, via=route.via))
    for neighbour in present.neighbours:
        if neighbours.get(neighbour.address) != neighbour.mac:
            stale.append(operations.NeighbourDelete(device=device, address=neighbour.address))
    for entry in present.fdb:
        if entry.remote and macs.get(entry.mac) != entry.remote:
            stale.append(operations.FdbDelete(device=device, mac=entry.mac))
    return stale


def _add_missing(device: str, wanted: list[Lease], present: Present) -> list[operations.Operation]:
    routes = [(route.destination, route.via) for route in present.routes]
    neighbours = [(entry.address, entry.mac) for entry in present.neighbours if entry.state.lower() == "permanent"]
    fdb = [(entry.mac, entry.remote) for entry in present.fdb]
    missing: list[operations.Operation] = []
    for lease in wanted:
        if (lease.tunnel_address, lease.mac) not in neighbours:
            missing.append(operations.NeighbourReplace(device=device, address=lease.tunnel_address, mac=lease.mac))
        if (lease.mac, lease.public_ip) not in fdb:
            missing.append(operations.FdbReplace(device=device, mac=lease.mac, remote=lease.public_ip))
        if (lease.subnet, lease.tunnel_address) not in routes:
            route = operations.RouteReplace(
                destination=lease.subnet, via=lease.tunnel_address, device=device, onlink=True
            )
            missing.append(route)
    return missing
