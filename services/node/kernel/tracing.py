"""What traces say about routes, in the words of ip-route."""

from typing import TYPE_CHECKING

from podwire.proto.packet.addresses import format_address, format_prefix
from podwire.services.node.kernel.fib import Route

if TYPE_CHECKING:
    from podwire.services.node.kernel.namespace import Namespace
    from podwire.services.node.kernel.packet import Packet


def trace_route(namespace: "Namespace", packet: "Packet", route: Route | None) -> None:
    """Record which route was chosen."""
    detail = "no route" if route is None else describe(route)
    device = route.device.name if route is not None and route.device is not None else ""
    namespace.kernel.hop(packet, "route", namespace, device=device, detail=detail)


def describe(route: Route) -> str:
    """A route in the words of ip-route; the table is named where policy rules chose another than the usual ones."""
    words = [] if route.kind == "unicast" else [route.kind]
    words.append("default" if route.length == 0 else format_prefix(route.destination, route.length))
    if route.gateway is not None:
        words += ["via", format_address(route.gateway)]
    if route.device is not None:
        words += ["dev", route.device.name]
    if route.table not in ("main", "local"):
        words += ["table", route.table]
    return " ".join(words)
