"""What `ip -j route`, `ip -j neigh` and `ip -j rule` say, as objects with iproute2's keys in its order."""

from collections.abc import Sequence
from typing import Any

from podwire.proto.packet.addresses import IPV6, ZERO_MAC, format_address, format_mac, format_prefix, is_ipv6
from podwire.services.node.kernel import internet
from podwire.services.node.kernel.fib import LOCAL, MAIN, NO_WAY, Fib, NextHop, Route, Rule, Selector
from podwire.services.node.kernel.namespace import Namespace
from podwire.services.node.kernel.neighbours import Neighbour
from podwire.services.node.kernel.netfilter.rule import PROTOCOL_NAMES
from podwire.services.node.kernel.printing.routes import hop_flags

type Object = dict[str, Any]


def route_object(
    route: Route, *, hidden: Sequence[str] = (), show_table: bool = False, details: bool = False
) -> Object:
    """One route of `ip -j route show`; what it was chosen by is hidden."""
    is_new = is_ipv6(route.destination)
    made: Object = {"type": route.kind} if details or route.kind != "unicast" else {}
    made["dst"] = "default" if route.length == 0 else format_prefix(route.destination, route.length)
    if not route.hops:
        made |= {"gateway": format_address(route.gateway)} if route.gateway is not None and "via" not in hidden else {}
        made |= {"dev": route.device.name} if route.device is not None and "dev" not in hidden else {}
    if is_new and route.kind in NO_WAY:
        made["dev"] = "lo"
    made |= {"table": route.table} if show_table and route.table != MAIN else {}
    if (details or route.protocol != "boot") and "proto" not in hidden:
        made["protocol"] = route.protocol
    if (details or route.scope != "global") and not is_new and "scope" not in hidden:
        made["scope"] = route.scope
    if route.source is not None and "src" not in hidden:
        made["prefsrc"] = format_address(route.source)
    made |= {"metric": route.metric} if route.metric or is_new else {}
    made["flags"] = ["onlink"] if route.onlink and not route.hops else []
    made |= {"pref": "medium"} if is_new else {}
    return made | ({"nexthops": [_hop(hop) for hop in route.hops]} if route.hops else {})


def _hop(hop: NextHop) -> Object:
    route = hop.route
    made: Object = {"gateway": format_address(route.gateway)} if route.gateway is not None else {}
    made |= {"dev": route.device.name} if route.device is not None else {}
    return made | {"weight": hop.weight, "flags": hop_flags(hop)}


def got_object(namespace: Namespace, wanted: Selector, route: Route) -> Object:
    """The answer of `ip -j route get`, for the route that the lookup found."""
    if is_ipv6(wanted.destination):
        return _got6(namespace, wanted, route)
    made: Object = {"type": route.kind} if route.kind in ("local", "broadcast") else {}
    made["dst"] = format_address(wanted.destination)
    made |= {"from": format_address(wanted.source)} if wanted.source else {}
    made |= {"gateway": format_address(route.gateway)} if route.gateway is not None else {}
    leaving = namespace.loopback_route(route) if route.kind == "local" else route
    made["dev"] = leaving.device.name if leaving.device is not None else ""
    made |= {"table": route.table} if route.table != MAIN else {}
    source = None if wanted.source else internet.source_of(namespace, leaving, wanted.destination)
    made |= {"prefsrc": format_address(source)} if source is not None else {}
    made["flags"] = []
    made |= {"mark": wanted.mark} if wanted.mark else {}
    made |= {"iif": wanted.in_device} if wanted.in_device else {"uid": 0}
    return made | {"cache": [route.kind] if route.kind in ("local", "broadcast") else []}


def _got6(namespace: Namespace, wanted: Selector, route: Route) -> Object:
    made: Object = {"type": route.kind} if route.kind == LOCAL else {}
    made |= {"dst": format_address(wanted.destination), "from": format_address(wanted.source or IPV6)}
    made |= {"gateway": format_address(route.gateway)} if route.gateway is not None else {}
    made["dev"] = route.device.name if route.device is not None else ""
    made |= {"table": route.table} if route.table != MAIN else {}
    made |= {"protocol": route.protocol} if route.protocol != "boot" else {}
    source = internet.source_of(namespace, route, wanted.destination)
    made |= {"prefsrc": format_address(source)} if source is not None else {}
    return made | {"metric": route.metric, "flags": [], "pref": "medium"}


def neighbour_object(entry: Neighbour, *, show_device: bool) -> Object:
    """One neighbour of `ip -j neigh show`."""
    made: Object = {"dst": format_address(entry.address)} | ({"dev": entry.device.name} if show_device else {})
    made |= {"lladdr": format_mac(entry.mac)} if entry.mac != ZERO_MAC and entry.state != "FAILED" else {}
    return made | {"state": [entry.state]}


def proxy_objects(namespace: Namespace) -> list[Object]:
    """`ip -j neigh show proxy`."""
    entries = sorted(namespace.neighbours.proxies, key=lambda each: each[1])
    return [{"dst": format_address(address), "dev": device.name, "proxy": None} for device, address in entries]


def rule_objects(fib: Fib) -> list[Object]:
    """`ip -j rule show`."""
    return [_rule(rule) for rule in fib.rules]


def _rule(rule: Rule) -> Object:
    made: Object = {"priority": rule.priority} | ({"not": None} if rule.inverted else {})
    made |= _prefix("src", rule.source) or {"src": "all"}
    made |= _prefix("dst", rule.destination)
    made |= {"tos": f"{rule.tos:#x}"} if rule.tos else {}
    if rule.mark or rule.mark_mask:
        made |= {"fwmark": f"{rule.mark:#x}"}
        made |= {"fwmask": f"{rule.mark_mask:#x}"} if rule.mark_mask != 0xFFFFFFFF else {}
    made |= {"iif": rule.in_device} if rule.in_device else {}
    made |= {"ipproto": PROTOCOL_NAMES.get(rule.protocol, str(rule.protocol))} if rule.protocol else {}
    made |= _ports("sport", rule.source_ports) | _ports("dport", rule.destination_ports)
    if rule.action != "lookup":
        return made | {"action": rule.action}
    made["table"] = rule.table
    suppressed = rule.suppress_prefix_length
    return made | ({"suppress_prefixlen": suppressed} if suppressed is not None else {})


def _prefix(name: str, prefix: tuple[int, int] | None) -> Object:
    if prefix is None or not prefix[1]:
        return {}
    full = 128 if is_ipv6(prefix[0]) else 32
    return {name: format_address(prefix[0])} | ({f"{name}len": prefix[1]} if prefix[1] != full else {})


def _ports(name: str, ports: tuple[int, int] | None) -> Object:
    if ports is None:
        return {}
    return {name: ports[0]} if ports[0] == ports[1] else {f"{name}_start": ports[0], f"{name}_end": ports[1]}
