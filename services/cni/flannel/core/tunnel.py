"""What the tunnel's device should hold for the other nodes, and what to change to get there.

One remote subnet is three entries (pkg/backend/vxlan): a route to it through the remote tunnel address, a neighbour
that gives that address the remote MAC, and an FDB entry that sends the MAC to the remote node. Whatever else is on the
tunnel's device is left over from an earlier life and is removed.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from podwire.proto.messages import kernel as operations
from podwire.services.cni.flannel.core.leases import Lease


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
