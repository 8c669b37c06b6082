"""`ip route show`, `ip route get` and `ip neigh show` (iproute2 ip/iproute.c, ip/ipneigh.c)."""

from podwire.proto.packet.addresses import IPV6, ZERO_MAC, format_address, format_mac, format_prefix, is_ipv6, mask_for
from podwire.services.node.kernel import internet
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.fib import LOCAL, MAIN, NO_WAY, Route, Selector
from podwire.services.node.kernel.namespace import Namespace


def ip_route(namespace: Namespace, table: str = MAIN, device: str = "", *, family: str = "ipv4") -> str:
    """`ip [-6] route show [table TABLE] [dev DEVICE]`; every table for `all`. KernelError ENODEV."""
    fib = namespace.fib6 if family == "ipv6" else namespace.fib
    wanted = namespace.device(device) if device else None
    tables = _all_tables(fib.tables()) if table == "all" else [table]
    lines = []
    for name in tables:
        routes = fib.routes(name)
        for route in sorted(routes, key=_tree_order) if family == "ipv6" else routes:
            if wanted is None or route.device is wanted:
                lines.append(_line(route, show_device=wanted is None, show_table=table == "all"))
    return "".join(line + "\n" for line in lines)


def _all_tables(names: list[str]) -> list[str]:
    """Numbered tables first, then main, then local: how the kernel dumps them is by hash, this is the usual outcome."""
    numbered = [name for name in names if name not in (LOCAL, MAIN)]
    return sorted(numbered) + [name for name in (MAIN, LOCAL) if name in names]


def _tree_order(route: Route) -> tuple[int, int]:
    """IPv6's table is walked children first (Linux ip6_fib.c): longer prefixes before those that hold them."""
    last = route.destination | ~mask_for(route.destination, route.length) & ((1 << 128) - 1)
    return last, -route.length


def _line(route: Route, *, show_device: bool, show_table: bool) -> str:
    if is_ipv6(route.destination):
        return _line6(route, show_device=show_device, show_table=show_table)
    words = _way(route, show_device=show_device)
    words += ["table", route.table] if show_table and route.table != MAIN else []
    words += ["proto", route.protocol] if route.protocol != "boot" else []
    words += ["scope", route.scope] if route.scope != "global" else []
    if route.source is not None:
        words += ["src", format_address(route.source)]
    words += ["metric", str(route.metric)] if route.metric else []
    words += ["onlink"] if route.onlink else []
    return " ".join(words) + " "


def _line6(route: Route, *, show_device: bool, show_table: bool) -> str:
    words = _way(route, show_device=show_device)
    if route.kind in NO_WAY:
        words += ["dev", "lo"]
    words += ["table", route.table] if show_table and route.table != MAIN else []
    words += ["proto", route.protocol] if route.protocol != "boot" else []
    if route.source is not None:
        words += ["src", format_address(route.source)]
    words += ["metric", str(route.metric)]
    words += ["onlink"] if route.onlink else []
    return " ".join([*words, "pref medium"])


def _way(route: Route, *, show_device: bool) -> list[str]:
    words = [] if route.kind == "unicast" else [route.kind]
    words.append("default" if route.length == 0 else format_prefix(route.destination, route.length))
    if route.gateway is not None:
        words += ["via", format_address(route.gateway)]
    if route.device is not None and show_device:
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
    fib = namespace.fib_for(wanted.destination)
    route = fib.select(wanted)
    if route is not None and route.kind in _REFUSALS:
        refusal = _REFUSALS[route.kind]
        raise KernelError(refusal.errno or 22, f"RTNETLINK answers: {refusal.strerror}")
    if route is None or route.device is None:
        raise KernelError(101, "RTNETLINK answers: Network is unreachable")
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
    words += ["table", route.table] if route.table not in (LOCAL, MAIN) else []
    source = None if wanted.source else internet.source_of(namespace, route, wanted.destination)
    words += ["src", format_address(source)] if source is not None else []
    words += ["mark", f"{wanted.mark:#x}"] if wanted.mark else []
    words += ["iif", wanted.in_device] if wanted.in_device else []
    words += ["uid", "0"] if not wanted.in_device else []
    cached = f"<{route.kind}>" if route.kind in ("local", "broadcast") else ""
    return " ".join(words) + f" \n    cache {cached + ' ' if cached else ''}\n"


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
    wanted = namespace.device(device) if device else None
    lines = []
    entries = namespace.neighbours.entries.values()
    for entry in sorted(entries, key=lambda each: (each.address > 0xFFFFFFFF, each.device.index, each.address)):
        if (wanted is not None and entry.device is not wanted) or entry.state in ("NONE", "NOARP"):
            continue
        if family and is_ipv6(entry.address) != (family == "ipv6"):
            continue
        words = [format_address(entry.address)]
        words += ["dev", entry.device.name] if wanted is None else []
        words += ["lladdr", format_mac(entry.mac)] if entry.mac != ZERO_MAC and entry.state != "FAILED" else []
        lines.append(" ".join([*words, entry.state]) + " ")
    return "".join(line + "\n" for line in lines)


def ip_neigh_proxy(namespace: Namespace) -> str:
    """`ip neigh show proxy`."""
    entries = sorted(namespace.neighbours.proxies, key=lambda each: each[1])
    return "".join(f"{format_address(address)} dev {device.name} proxy \n" for device, address in entries)
