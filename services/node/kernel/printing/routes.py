"""`ip route show`, `ip route get` and `ip neigh show` (iproute2 ip/iproute.c, ip/ipneigh.c)."""

from typing import Literal

from podwire.proto.packet.addresses import ZERO_MAC, format_address, format_mac
from podwire.services.node.kernel import internet
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.fib import Route
from podwire.services.node.kernel.namespace import Namespace


def ip_route(namespace: Namespace, table: Literal["main", "local"] = "main", device: str = "") -> str:
    """`ip route show [table TABLE] [dev DEVICE]`; KernelError ENODEV."""
    wanted = namespace.device(device) if device else None
    return "".join(
        _line(route, table, show_device=wanted is None) + "\n"
        for route in namespace.fib.routes(table)
        if wanted is None or route.device is wanted
    )


def _line(route: Route, table: str, *, show_device: bool) -> str:
    words = [] if route.kind == "unicast" else [route.kind]
    prefix = f"{format_address(route.destination)}/{route.length}".removesuffix("/32")
    words.append("default" if route.length == 0 else prefix)
    if route.gateway is not None:
        words += ["via", format_address(route.gateway)]
    if route.device is not None and show_device:
        words += ["dev", route.device.name]
    words += ["proto", route.protocol] if route.protocol != "boot" else []
    words += ["scope", route.scope] if route.scope != "global" else []
    if route.source is not None:
        words += ["src", format_address(route.source)]
    words += ["metric", str(route.metric)] if route.metric else []
    words += ["onlink"] if route.onlink else []
    return " ".join(words) + " "


def ip_route_get(namespace: Namespace, destination: int) -> str:
    """`ip route get ADDRESS`; KernelError ENETUNREACH."""
    route = internet.route_to(namespace, destination)
    if route is None or route.device is None:
        raise KernelError(101, "RTNETLINK answers: Network is unreachable")
    words = ["local"] if route.kind == "local" else []
    words.append(format_address(destination))
    words += ["via", format_address(route.gateway)] if route.gateway is not None else []
    words += ["dev", route.device.name]
    source = internet.source_for(namespace, destination)
    words += ["src", format_address(source)] if source is not None else []
    return " ".join(words) + " uid 0 \n    cache \n"


def ip_neigh(namespace: Namespace, device: str = "") -> str:
    """`ip neigh show [dev DEVICE]`; KernelError ENODEV."""
    wanted = namespace.device(device) if device else None
    lines = []
    entries = namespace.neighbours.entries.values()
    for entry in sorted(entries, key=lambda each: (each.device.index, each.address)):
        if (wanted is not None and entry.device is not wanted) or entry.state in ("NONE", "NOARP"):
            continue
        words = [format_address(entry.address)]
        words += ["dev", entry.device.name] if wanted is None else []
        words += ["lladdr", format_mac(entry.mac)] if entry.mac != ZERO_MAC and entry.state != "FAILED" else []
        lines.append(" ".join([*words, entry.state]) + " ")
    return "".join(line + "\n" for line in lines)
