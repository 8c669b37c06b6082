"""`ip route show`, `ip route get` and `ip neigh show` (iproute2 ip/iproute.c, ip/ipneigh.c)."""

from collections.abc import Sequence

from podwire.proto.packet.addresses import IPV6, ZERO_MAC, format_address, format_mac, format_prefix, is_ipv6, mask_for
from podwire.services.node.kernel import internet
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.fib import LOCAL, MAIN, NO_WAY, NextHop, Route, Selector
from podwire.services.node.kernel.namespace import Namespace
from podwire.services.node.kernel.neighbours import Neighbour


def ip_route(namespace: Namespace, table: str = MAIN, device: str = "", *, family: str = "ipv4") -> str:
    """`ip [-6] route show [table TABLE] [dev DEVICE]`; every table for `all`. KernelError ENODEV."""
    found = shown_routes(namespace, table, device, family=family)
    return "".join(
        route_line(each, hidden=("dev",) if device else (), show_table=table == "all") + "\n" for each in found
    )


def shown_routes(namespace: Namespace, table: str = MAIN, device: str = "", *, family: str = "ipv4") -> list[Route]:
    """The routes of a table, of every table for `all`, in the order in which they are listed; KernelError ENODEV."""
    fib = namespace.fib6 if family == "ipv6" else namespace.fib
    wanted = namespace.device(device) if device else None
    found: list[Route] = []
    for name in _all_tables(fib.tables()) if table == "all" else [table]:
        routes = fib.routes(name)
        found += sorted(routes, key=_tree_order) if family == "ipv6" else routes
    return [route for route in found if wanted is None or (route.device is wanted and not route.hops)]


def _all_tables(names: list[str]) -> list[str]:
    """Numbered tables first, then main, then local: how the kernel dumps them is by hash, this is the usual outcome."""
    numbered = [name for name in names if name not in (LOCAL, MAIN)]
    return sorted(numbered) + [name for name in (MAIN, LOCAL) if name in names]


def _tree_order(route: Route) -> tuple[int, int]:
    """IPv6's table is walked children first (Linux ip6_fib.c): longer prefixes before those that hold them."""
    last = route.destination | ~mask_for(route.destination, route.length) & ((1 << 128) - 1)
    return last, -route.length


def route_line(route: Route, *, hidden: Sequence[str] = (), show_table: bool = False, details: bool = False) -> str:
    """One route; with details what is otherwise taken for granted. What it was chosen by is hidden."""
    if is_ipv6(route.destination):
        return _line6(route, hidden=hidden, show_table=show_table, details=details)
    words = _way(route, hidden=hidden, details=details)
    words += ["table", route.table] if show_table and route.table != MAIN else []
    words += ["proto", route.protocol] if (details or route.protocol != "boot") and "proto" not in hidden else []
    words += ["scope", route.scope] if (details or route.scope != "global") and "scope" not in hidden else []
    if route.source is not None and "src" not in hidden:
        words += ["src", format_address(route.source)]
    words += ["metric", str(route.metric)] if route.metric else []
    words += ["onlink"] if route.onlink and not route.hops else []
    return " ".join(words) + " " + _ways(route)


def _ways(route: Route) -> str:
    """A line for each way of a multipath route (print_rta_multipath)."""
    return "".join(f"\n\tnexthop {' '.join(_hop_words(hop))} " for hop in route.hops)


def _hop_words(hop: NextHop) -> list[str]:
    route = hop.route
    words = ["via", format_address(route.gateway)] if route.gateway is not None else []
    words += ["dev", route.device.name] if route.device is not None else []
    return [*words, "weight", str(hop.weight), *hop_flags(hop)]


def hop_flags(hop: NextHop) -> list[str]:
    """What `ip` says about a way."""
    onlink = ["onlink"] if hop.route.onlink else []
    return onlink if hop.is_alive else ["dead", *onlink, "linkdown"]


def _line6(route: Route, *, hidden: Sequence[str], show_table: bool, details: bool) -> str:
    words = _way(route, hidden=hidden, details=details)
    if route.kind in NO_WAY:
        words += ["dev", "lo"]
    words += ["table", route.table] if show_table and route.table != MAIN else []
    words += ["proto", route.protocol] if (details or route.protocol != "boot") and "proto" not in hidden else []
    if route.source is not None and "src" not in hidden:
        words += ["src", format_address(route.source)]
    words += ["metric", str(route.metric)]
    words += ["onlink"] if route.onlink and not route.hops else []
    return " ".join([*words, "pref medium"]) + _ways(route)


def _way(route: Route, *, hidden: Sequence[str], details: bool) -> list[str]:
    words = [] if route.kind == "unicast" and not details else [route.kind]
    words.append("default" if route.length == 0 else format_prefix(route.destination, route.length))
    if route.gateway is not None and not route.hops and "via" not in hidden:
        words += ["via", format_address(route.gateway)]
    if route.device is not None and not route.hops and "dev" not in hidden:
        words += ["dev", route.device.name]
    return words


_REFUSALS = {
    "blackhole": KernelError(22, "Invalid argument"),
    "unreachable": KernelError(113, "No route to host"),
    "prohibit": KernelError(13, "Permission denied"),
}
"""What a lookup that ends in such a route gives (fib_props)."""


def ip_route_get(namespace: Namespace, wanted: Selector) -> str:
    """`ip route get ADDRESS [from ADDRESS] [mark MARK] [iif DEVICE]`; KernelError ENETUNREACH, or the route type's."""
    route = found_route(namespace, wanted)
    if is_ipv6(wanted.destination):
        return _got6(namespace, wanted, route)
    if route.kind == "local":
        route = namespace.loopback_route(route)
    assert route.device is not None
    words = [route.kind] if route.kind in ("local", "broadcast") else []
    words.append(format_address(wanted.destination))
    words += ["from", format_address(wanted.source)] if wanted.source else []
    words += ["via", format_address(route.gateway)] if route.gateway is not None else []
    words += ["dev", route.device.name]
    words += ["table", route.table] if route.table != MAIN else []
    source = None if wanted.source else internet.source_of(namespace, route, wanted.destination)
    words += ["src", format_address(source)] if source is not None else []
    words += ["mark", f"{wanted.mark:#x}" if wanted.mark >= 16 else str(wanted.mark)] if wanted.mark else []
    words += ["iif", wanted.in_device] if wanted.in_device else []
    words += ["uid", "0"] if not wanted.in_device else []
    cached = f"<{route.kind}>" if route.kind in ("local", "broadcast") else ""
    return " ".join(words) + f" \n    cache {cached + ' ' if cached else ''}\n"


def found_route(namespace: Namespace, wanted: Selector) -> Route:
    """The route that a lookup ends in; KernelError ENETUNREACH, or the route type's."""
    route = namespace.fib_for(wanted.destination).select(wanted)
    if route is not None and route.kind in _REFUSALS:
        refusal = _REFUSALS[route.kind]
        raise KernelError(refusal.errno or 22, f"RTNETLINK answers: {refusal.strerror}")
    if route is None or route.device is None:
        raise KernelError(101, "RTNETLINK answers: Network is unreachable")
    return route


def _got6(namespace: Namespace, wanted: Selector, route: Route) -> str:
    assert route.device is not None
    words = [route.kind] if route.kind == "local" else []
    words += [format_address(wanted.destination), "from", format_address(wanted.source or IPV6)]
    words += ["via", format_address(route.gateway)] if route.gateway is not None else []
    words += ["dev", route.device.name]
    words += ["table", route.table] if route.table != MAIN else []
    words += ["proto", route.protocol] if route.protocol != "boot" else []
    source = internet.source_of(namespace, route, wanted.destination)
    words += ["src", format_address(source)] if source is not None else []
    return " ".join([*words, "metric", str(route.metric), "pref medium"]) + "\n"


def ip_neigh(namespace: Namespace, device: str = "", *, family: str = "") -> str:
    """`ip [-4|-6] neigh show [dev DEVICE]`, both families without one; KernelError ENODEV."""
    found = shown_neighbours(namespace, device, family=family)
    return "".join(neighbour_line(each, show_device=not device) + "\n" for each in found)


def shown_neighbours(namespace: Namespace, device: str = "", *, family: str = "") -> list[Neighbour]:
    """The entries that `ip neigh show` lists unless it is asked for more; KernelError ENODEV."""
    wanted = namespace.device(device) if device else None
    return [
        entry
        for entry in sorted(
            namespace.neighbours.all(),
            key=lambda each: (each.address > 0xFFFFFFFF, each.device.index, each.address),
        )
        if (wanted is None or entry.device is wanted)
        and entry.state not in ("NONE", "NOARP")
        and (not family or is_ipv6(entry.address) == (family == "ipv6"))
    ]


def neighbour_line(entry: Neighbour, *, show_device: bool) -> str:
    """One neighbour."""
    words = [format_address(entry.address)]
    words += ["dev", entry.device.name] if show_device else []
    words += ["lladdr", format_mac(entry.mac)] if entry.mac != ZERO_MAC and entry.state != "FAILED" else []
    return " ".join([*words, entry.state]) + " "


def ip_neigh_proxy(namespace: Namespace) -> str:
    """`ip neigh show proxy`."""
    entries = sorted(namespace.neighbours.proxies, key=lambda each: each[1])
    return "".join(f"{format_address(address)} dev {device.name} proxy \n" for device, address in entries)
