"""ip route (iproute2 ip/iproute.c)."""

from collections.abc import Sequence
from typing import Any, Final

from podwire.proto.messages import kernel as operations
from podwire.proto.packet.addresses import format_prefix, is_ipv6
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.fib import Route, Selector
from podwire.services.node.kernel.namespace import Namespace
from podwire.services.node.kernel.operations.routes import table_name
from podwire.services.node.kernel.operations.text import address, prefix
from podwire.services.node.kernel.printing import routes as printing
from podwire.services.node.kernel.printing.route_objects import got_object, route_object
from podwire.services.node.programs.ip.arguments import IpCall, IpError, number, pairs

_NETLINK: Final = 2
_KINDS: Final = ("unicast", "blackhole", "unreachable", "prohibit", "throw", "local", "broadcast")
_HIDING: Final = ("dev", "proto", "scope", "via", "src")
"""What all the routes shown have in common is not repeated."""
_FILTERS: Final = ("table", "dev", "proto", "scope", "type", "via", "src", "root", "match", "exact", "to")


def show(namespace: Namespace, call: IpCall) -> str | list[Any]:
    """ip route show [[root|match|exact] PREFIX] [table TABLE|all] [dev DEVICE] [proto P] [scope S] [type T] [via G]"""
    chosen, found = _chosen(namespace, call, "Dump")
    options: dict[str, Any] = {
        "hidden": [key for key in _HIDING if key in found],
        "show_table": found.get("table") == "all",
        "details": call.selection.details,
    }
    if call.json:
        return [route_object(each, **options) for each in chosen]
    return "".join(printing.route_line(each, **options) + "\n" for each in chosen)


def _chosen(namespace: Namespace, call: IpCall, what: str) -> tuple[list[Route], dict[str, str]]:
    """The routes that fit, and the words that chose them. Raises IpError."""
    found, others = pairs(call.words, _FILTERS)
    found |= {"exact": others[0]} if others else {}
    table = found.get("table", "main")
    if table != "all":
        table = _table(call, namespace, table, what)
    family = "ipv6" if any(":" in found.get(key, "") for key in ("root", "match", "exact", "to")) else call.family
    routes = printing.shown_routes(namespace, table, found.get("dev", ""), family=family)
    return [route for route in routes if _fits(route, found)], found


def _table(call: IpCall, namespace: Namespace, given: str, what: str) -> str:
    """The table's name. Raises IpError if it is no name, and if it has never held a route."""
    try:
        name = table_name(given)
    except KernelError as error:
        raise IpError(f"Error: {error.strerror}") from None
    fib = namespace.fib6 if call.family == "ipv6" else namespace.fib
    if name not in (*fib.tables(), "main", "local", "default"):
        raise IpError(f"Error: {call.family}: FIB table does not exist.\n{what} terminated", _NETLINK)
    return name


def _fits(route: Route, found: dict[str, str]) -> bool:
    own = {"proto": route.protocol, "scope": route.scope, "type": route.kind}
    if any(found.get(key, value) != value for key, value in own.items()):
        return False
    if "via" in found and (route.hops or route.gateway != address(found["via"])):
        return False
    if "src" in found and route.source != address(found["src"]):
        return False
    return all(_covers(route, key, found[key]) for key in ("root", "match", "exact", "to") if key in found)


def _covers(route: Route, how: str, text: str) -> bool:
    """exact: the same prefix; root: one inside the given; match: one that holds the given."""
    if text in ("default", "any", "all"):
        return route.length == 0 if how in ("exact", "to") else True
    value, length = _prefix(text)
    if is_ipv6(value) != is_ipv6(route.destination):
        return False
    width = 128 if is_ipv6(value) else 32
    shorter = {"root": length, "match": route.length}.get(how, length)
    inside = route.length >= length if how == "root" else route.length <= length if how == "match" else True
    same_length = how in ("root", "match") or route.length == length
    return inside and same_length and (value ^ route.destination) >> (width - shorter) == 0


def _prefix(word: str) -> tuple[int, int]:
    try:
        return prefix(word)
    except KernelError:
        raise IpError(f'Error: any valid prefix is expected rather than "{word}".', 1) from None


def get(namespace: Namespace, call: IpCall) -> str | list[Any]:
    """ip route get ADDRESS [from ADDRESS] [iif DEVICE] [mark MARK]"""
    found, words = pairs(call.words, ("from", "iif", "oif", "mark", "to"))
    words += [found["to"]] if "to" in found else []
    if not words:
        raise IpError("need at least a destination address", 1)
    selector = Selector(
        _address(words[0].partition("/")[0]),
        _address(found["from"]) if "from" in found else 0,
        number(found.get("mark", "0"), "mark"),
        found.get("iif", ""),
    )
    if selector.in_device:
        namespace.device(selector.in_device)
    if call.json:
        return [got_object(namespace, selector, printing.found_route(namespace, selector))]
    return printing.ip_route_get(namespace, selector)


def _address(word: str) -> int:
    try:
        return address(word)
    except KernelError:
        raise IpError(f'Error: any valid prefix is expected rather than "{word}".', 1) from None


def change(namespace: Namespace, call: IpCall) -> list[Any]:
    """ip route add|append|change|replace|delete [TYPE] PREFIX [via GATEWAY] [dev DEVICE] [src ADDRESS] …
    [nexthop [via GATEWAY] [dev DEVICE] [weight NUMBER] [onlink]] …"""
    keys = ("via", "dev", "src", "metric", "proto", "scope", "table")
    words, hops = _split_hops(call.words)
    found, others = pairs(words, keys, ("onlink",))
    kind = others.pop(0) if others and others[0] in _KINDS else "unicast"
    if len(others) != 1:
        raise IpError(f"ip route {call.command}: {' '.join(call.words)}: not built", 1)
    destination = _destination(call, others[0])
    if call.command == "delete":
        return [_deletion(namespace, found, destination)]
    given: dict[str, Any] = {
        "netns": namespace.name,
        "destination": destination,
        "via": found.get("via", ""),
        "device": found.get("dev", ""),
        "source": found.get("src", ""),
        "metric": number(found.get("metric", "0"), "metric"),
        "table": found.get("table", "main"),
        "protocol": found.get("proto", "boot"),
        "scope": found.get("scope", ""),
        "kind": kind,
        "onlink": "onlink" in found,
        "hops": hops,
    }
    if call.command == "append" and _is_there(namespace, call, found, destination):
        raise IpError(f"ip route append {destination}: a second route of one prefix and metric is not built", 1)
    if call.command == "change" and not _is_there(namespace, call, found, destination):
        raise KernelError(2, "RTNETLINK answers: No such file or directory")
    make = operations.RouteAdd if call.command in ("add", "append") else operations.RouteReplace
    return [make(**given)]


def _split_hops(words: Sequence[str]) -> tuple[list[str], list[operations.NextHop]]:
    """The words before the first `nexthop`, and the hops that follow (parse_nexthops). Raises IpError."""
    parts: list[list[str]] = [[]]
    for word in words:
        if word == "nexthop":
            parts.append([])
        else:
            parts[-1].append(word)
    return parts[0], [_hop(part) for part in parts[1:]]


def _hop(words: list[str]) -> operations.NextHop:
    found, others = pairs(words, ("via", "dev", "weight"), ("onlink",))
    if others:
        raise IpError(f'Error: "nexthop" or end of line is expected instead of "{others[0]}"', 255)
    weight = found.get("weight", "1")
    if not (weight.isascii() and weight.isdigit() and 1 <= int(weight) <= 256):
        raise IpError(f'Error: argument "{weight}" is wrong: "weight" is invalid', 255)
    return operations.NextHop(
        via=found.get("via", ""), device=found.get("dev", ""), weight=int(weight), onlink="onlink" in found
    )


def _deletion(namespace: Namespace, found: dict[str, str], destination: str) -> operations.RouteDelete:
    return operations.RouteDelete(
        netns=namespace.name,
        destination=destination,
        via=found.get("via", ""),
        device=found.get("dev", ""),
        metric=number(found["metric"], "metric") if "metric" in found else None,
        table=found.get("table", "main"),
        protocol=found.get("proto", ""),
    )


def _is_there(namespace: Namespace, call: IpCall, found: dict[str, str], destination: str) -> bool:
    value, length = prefix(destination)
    metric = number(found.get("metric", "0"), "metric")
    routes = namespace.fib_for(value).routes(table_name(found.get("table", "main")))
    return any((each.destination, each.length, each.metric) == (value, length, metric) for each in routes)


def _destination(call: IpCall, word: str) -> str:
    return "::/0" if word == "default" and call.family == "ipv6" else word


def flush(namespace: Namespace, call: IpCall) -> list[Any]:
    """ip route flush FILTER: every route that `ip route show FILTER` lists."""
    if not call.words:
        raise IpError('"ip route flush" requires arguments.', 1)
    if tuple(call.words) == ("cache",):
        return []
    chosen, _ = _chosen(namespace, call, "Flush")
    return [
        operations.RouteDelete(
            netns=namespace.name,
            destination=format_prefix(route.destination, route.length),
            via="" if route.gateway is None else _text(route.gateway),
            device=route.device.name if route.device is not None else "",
            metric=route.metric,
            table=route.table,
        )
        for route in chosen
    ]


def _text(value: int) -> str:
    return format_prefix(value, 128 if is_ipv6(value) else 32).partition("/")[0]
