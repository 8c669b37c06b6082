"""Forwarding tables of a namespace and the policy rules that choose among them, one `Fib` a family.

Within a table the longest prefix wins, then the lowest metric (Linux net/ipv4/fib_trie.c). Rules are asked in order
of priority (net/core/fib_rules.c, ip-rule(8)): one that fits names a table, or ends the search with an error; a
table without an answer, and a `throw` route, pass on to the next rule.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from podwire.proto.packet.addresses import IPV6, mask_for, prefix_mask, prefix_mask6
from podwire.services.node.kernel import multipath

if TYPE_CHECKING:
    from podwire.services.node.kernel.devices.device import Device
    from podwire.services.node.kernel.packet import Packet

LOCAL, MAIN, DEFAULT = "local", "main", "default"
NO_WAY: Final = ("blackhole", "unreachable", "prohibit")
CACHE_LIMIT: Final = 4096


@dataclass(frozen=True, slots=True)
class Route:
    """One route; `kind` is ip-route's type, `scope` and `protocol` its names, `table` a name or a number's text."""

    destination: int
    length: int
    device: "Device | None" = None
    gateway: int | None = None
    source: int | None = None
    metric: int = 0
    table: str = MAIN
    protocol: str = "boot"
    scope: str = "global"
    kind: str = "unicast"
    onlink: bool = False
    hops: "tuple[NextHop, ...]" = ()
    """Of a multipath route its ways; what it says itself is then the first's."""

    def leads_over(self, device: "Device") -> bool:
        """Whether packets may take it out of a device."""
        return any(hop.route.device is device for hop in self.hops) if self.hops else self.device is device

    @property
    def key(self) -> tuple[str, int, int, int]:
        """What must be unique for `ip route add` without NLM_F_APPEND."""
        return (self.table, self.length, self.destination, self.metric)


class NextHop(NamedTuple):
    """One way of a multipath route: its weight, and the route as if it had no other."""

    weight: int
    route: Route

    @property
    def is_alive(self) -> bool:
        """Whether its device is up."""
        return self.route.device is not None and self.route.device.up


class Selector(NamedTuple):
    """What rules look at; "" and 0 stand for what is not known."""

    destination: int
    source: int = 0
    mark: int = 0
    in_device: str = ""
    tos: int = 0
    protocol: int = 0
    source_port: int = 0
    destination_port: int = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """A policy rule. `action` is `lookup` (of `table`) or one of NO_WAY; prefixes are (address, length)."""

    priority: int
    table: str = ""
    action: str = "lookup"
    inverted: bool = False
    source: tuple[int, int] | None = None
    destination: tuple[int, int] | None = None
    in_device: str = ""
    mark: int = 0
    mark_mask: int = 0
    tos: int = 0
    protocol: int = 0
    source_ports: tuple[int, int] | None = None
    destination_ports: tuple[int, int] | None = None
    suppress_prefix_length: int | None = None

    def fits(self, wanted: Selector) -> bool:
        """Whether the rule is about such a packet."""
        return self._fits(wanted) != self.inverted

    def _fits(self, wanted: Selector) -> bool:
        return (
            _within(self.source, wanted.source)
            and _within(self.destination, wanted.destination)
            and self.in_device in ("", wanted.in_device)
            and (wanted.mark ^ self.mark) & self.mark_mask == 0
            and self.tos in (0, wanted.tos)
            and self.protocol in (0, wanted.protocol)
            and _between(self.source_ports, wanted.source_port)
            and _between(self.destination_ports, wanted.destination_port)
        )


def _flow(wanted: Selector) -> multipath.Flow:
    return multipath.Flow(
        wanted.destination, wanted.source, wanted.protocol, wanted.source_port, wanted.destination_port
    )


def _selector(packet: "Packet") -> Selector:
    return Selector(
        packet.destination,
        packet.source,
        packet.mark,
        packet.in_device.name if packet.in_device is not None else "",
        packet.tos & 0xFC,
        packet.protocol,
        packet.source_port,
        packet.destination_port,
    )


def _within(prefix: tuple[int, int] | None, address: int) -> bool:
    return prefix is None or (address ^ prefix[0]) & mask_for(*prefix) == 0


def _between(ports: tuple[int, int] | None, port: int) -> bool:
    return ports is None or ports[0] <= port <= ports[1]


RULES: Final = (Rule(0, LOCAL), Rule(32766, MAIN), Rule(32767, DEFAULT))
RULES6: Final = RULES[:2]


class Fib:
    """Routes and rules of one family in one namespace, and the answers found so far."""

    __slots__ = (
        "_answers",
        "_by_selector",
        "_initial",
        "_mask",
        "_tables",
        "base",
        "hash_policy",
        "is_simple",
        "key",
        "rules",
    )

    def __init__(self, key: bytes, *, is_ipv6: bool = False) -> None:
        self.key = key
        """Of the hash that chooses among next hops."""
        self.hash_policy = "0"
        self.base = IPV6 if is_ipv6 else 0
        """The number of this family's address 0."""
        self._mask = prefix_mask6 if is_ipv6 else prefix_mask
        self._initial = list(RULES6 if is_ipv6 else RULES)
        self.rules = list(self._initial)
        self.is_simple = True
        """Whether the rules are the initial ones, so that the destination alone decides."""
        self._tables: dict[str, dict[int, dict[int, list[Route]]]] = {LOCAL: {}, MAIN: {}}
        self._answers: dict[int, Route | None] = {}
        self._by_selector: dict[Selector, Route | None] = {}

    def _changed(self) -> None:
        self._answers.clear()
        self._by_selector.clear()

    def add(self, route: Route) -> None:
        """Insert a route; equal prefixes are ordered by metric, older first among equals."""
        self._changed()
        lengths = self._tables.setdefault(route.table, {})
        if route.length not in lengths:
            lengths[route.length] = {}
            self._tables[route.table] = dict(sorted(lengths.items(), reverse=True))
        routes = self._tables[route.table][route.length].setdefault(route.destination, [])
        routes.append(route)
        routes.sort(key=lambda each: each.metric)

    def remove(self, route: Route) -> None:
        """Take out a route that is there."""
        self._changed()
        prefixes = self._tables[route.table][route.length]
        prefixes[route.destination].remove(route)
        if not prefixes[route.destination]:
            del prefixes[route.destination]

    def find(self, key: tuple[str, int, int, int]) -> Route | None:
        """The route of exactly this table, prefix and metric."""
        table, length, destination, metric = key
        for route in self._tables.get(table, {}).get(length, {}).get(destination, ()):
            if route.metric == metric:
                return route
        return None

    def holds(self, route: Route) -> bool:
        """Whether just this route is there."""
        return route in self._tables.get(route.table, {}).get(route.length, {}).get(route.destination, ())

    def routes(self, table: str = MAIN) -> list[Route]:
        """Every route of a table in the order that `ip route show` prints: prefix, then length, then metric."""
        lengths = self._tables.get(table, {})
        found = [route for prefixes in lengths.values() for routes in prefixes.values() for route in routes]
        return sorted(found, key=lambda route: (route.destination, route.length, route.metric))

    def tables(self) -> list[str]:
        """The names of all tables that hold a route."""
        return [name for name, lengths in self._tables.items() if any(lengths.values())]

    def add_rule(self, rule: Rule) -> None:
        """Insert a rule after those of its priority and before the next."""
        self._changed()
        at = next((at for at, each in enumerate(self.rules) if each.priority > rule.priority), len(self.rules))
        self.rules.insert(at, rule)
        self.is_simple = self.rules == self._initial

    def remove_rule(self, rule: Rule) -> None:
        """Take out a rule that is there."""
        self._changed()
        self.rules.remove(rule)
        self.is_simple = self.rules == self._initial

    def lookup(self, address: int) -> Route | None:
        """The route for a destination of which nothing else is known, None if there is none."""
        found = self._find(address)
        return found if found is None or not found.hops else self._by_flow(found, multipath.Flow(address))

    def reaches(self, address: int, device: "Device") -> bool:
        """Whether a way to an address leads over a device."""
        found = self._find(address)
        return found is not None and found.leads_over(device)

    def _by_flow(self, route: Route, flow: multipath.Flow) -> Route:
        return multipath.choose(route, multipath.flow_hash(flow, self.hash_policy, self.key))

    def _find(self, address: int) -> Route | None:
        try:
            return self._answers[address]
        except KeyError:
            pass
        if len(self._answers) >= CACHE_LIMIT:
            self._answers.clear()
        answer = self._answers[address] = self._search(Selector(address))
        return answer

    def route(self, packet: "Packet") -> Route | None:
        """The route for a packet, None if there is none."""
        found = self._find(packet.destination) if self.is_simple else self._selected(_selector(packet))
        return found if found is None or not found.hops else self._by_flow(found, multipath.flow_of(packet))

    def select(self, wanted: Selector) -> Route | None:
        """The route for what a selector says, None if there is none."""
        found = self._find(wanted.destination) if self.is_simple else self._selected(wanted)
        return found if found is None or not found.hops else self._by_flow(found, _flow(wanted))

    def _selected(self, wanted: Selector) -> Route | None:
        try:
            return self._by_selector[wanted]
        except KeyError:
            pass
        if len(self._by_selector) >= CACHE_LIMIT:
            self._by_selector.clear()
        answer = self._by_selector[wanted] = self._search(wanted)
        return answer

    def _search(self, wanted: Selector) -> Route | None:
        for rule in self.rules:
            if not rule.fits(wanted):
                continue
            if rule.action != "lookup":
                return Route(self.base, 0, kind=rule.action)
            route = self._longest(rule.table, wanted.destination)
            if route is None or route.kind == "throw":
                continue
            suppressed = rule.suppress_prefix_length
            if suppressed is None or route.length > suppressed:
                return route
        return None

    def _longest(self, table: str, address: int) -> Route | None:
        mask = self._mask
        for length, prefixes in self._tables.get(table, {}).items():
            routes = prefixes.get(address & mask(length))
            if routes:
                return routes[0]
        return None
