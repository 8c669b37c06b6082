"""What sockets and the kernel ask of IP without caring for the family."""

from typing import TYPE_CHECKING

from podwire.proto.packet.ethernet import TYPE_IPV6
from podwire.services.node.kernel import ip, ipv6
from podwire.services.node.kernel.fib import Route, Selector
from podwire.services.node.kernel.netfilter import hooks

if TYPE_CHECKING:
    from podwire.services.node.kernel.devices.device import Device
    from podwire.services.node.kernel.namespace import Namespace
    from podwire.services.node.kernel.packet import Packet


def output(namespace: "Namespace", packet: "Packet") -> None:
    """Send a packet that this namespace made; its IP header is complete."""
    if packet.ethertype == TYPE_IPV6:
        return ipv6.output(namespace, packet)
    return ip.output(namespace, packet)


def output_by(namespace: "Namespace", packet: "Packet", route: Route) -> None:
    """OUTPUT and on, for a packet whose route is known."""
    assert route.device is not None
    packet.in_device = None
    packet.out_device = route.device
    if not hooks.run(namespace, "OUTPUT", packet):
        return None
    next_hop = packet.destination if route.gateway is None else route.gateway
    if packet.ethertype == TYPE_IPV6:
        return ipv6.finish_output(namespace, packet, route.device, next_hop)
    return ip.finish_output(namespace, packet, route.device, next_hop)


def route_to(namespace: "Namespace", destination: int, source: int = 0) -> Route | None:
    """The route to a destination from a source, if there is one; None if there is no way."""
    fib = namespace.fib_for(destination)
    return ipv6.passable(namespace, fib.select(Selector(destination, source)))


def source_for(namespace: "Namespace", destination: int) -> int | None:
    """The address to send from; None if there is no route or no address."""
    if destination > 0xFFFFFFFF:
        return ipv6.source_for(namespace, destination)
    return ip.source_for(namespace, destination)


def source_of(namespace: "Namespace", route: Route, destination: int) -> int | None:
    """The address that a route is used with; None if there is none."""
    if destination > 0xFFFFFFFF:
        return ipv6.source_of(namespace, route, destination)
    return ip.source_of(namespace, route, destination)


def source_on(device: "Device", target: int) -> int | None:
    """A device's address of the target's family to reach it from; None if it has none."""
    return ipv6.source_on(device, target) if target > 0xFFFFFFFF else ip.source_on(device, target)


def is_local(namespace: "Namespace", address: int) -> bool:
    """Whether an address is this namespace's own."""
    route = namespace.fib_for(address).lookup(address)
    return route is not None and route.kind == "local"
