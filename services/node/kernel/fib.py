"""The forwarding table of a namespace: a local and a main table, longest prefix first, then metric.

Other routing tables and policy rules are not kept: the two tables are consulted in Linux's default order.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from podwire.proto.packet.addresses import prefix_mask

if TYPE_CHECKING:
    from podwire.services.node.kernel.devices.device import Device

LOCAL, MAIN = "local", "main"
CACHE_LIMIT: Final = 4096


@dataclass(frozen=True, slots=True)
class Route:
    """One route; `kind` is ip-route's type, `scope` and `protocol` its names."""

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

    @property
    def key(self) -> tuple[str, int, int, int]:
        """What must be unique for `ip route add` without NLM_F_APPEND."""
        return (self.table, self.length, self.destination, self.metric)


class Fib:
    """Routes of one namespace, and the answers found so far."""

    __slots__ = ("_answers", "_tables")

    def __init__(self) -> None:
        self._tables: dict[str, dict[int, dict[int, list[Route]]]] = {LOCAL: {}, MAIN: {}}
        self._answers: dict[int, Route | None] = {}

    def add(self, route: Route) -> None:
        """Insert a route; equal prefixes are ordered by metric, older first among equals."""
        self._answers.clear()
        lengths = self._tables[route.table]
        if route.length not in lengths:
            lengths[route.length] = {}
            self._tables[route.table] = dict(sorted(lengths.items(), reverse=True))
        routes = self._tables[route.table][route.length].setdefault(route.destination, [])
        routes.append(route)
        routes.sort(key=lambda each: each.metric)

    def remove(self, route: Route) -> None:
        """Take out a route that is there."""
        self._answers.clear()
        prefixes = self._tables[route.table][route.length]
        prefixes[route.destination].remove(route)
        if not prefixes[route.destination]:
            del prefixes[route.destination]

    def find(self, key: tuple[str, int, int, int]) -> Route | None:
        """The route of exactly this table, prefix and metric."""
        table, length, destination, metric = key
        for route in self._tables[table].get(length, {}).get(destination, ()):
            if route.metric == metric:
                return route
        return None

    def routes(self, table: str = MAIN) -> list[Route]:
        """Every route of a table in the order that `ip route show` prints: prefix, then length, then metric."""
        found = [route for prefixes in self._tables[table].values() for routes in prefixes.values() for route in routes]
        return sorted(found, key=lambda route: (route.destination, route.length, route.metric))

    def lookup(self, address: int) -> Route | None:
        """The route for a destination, None if there is none."""
        try:
            return self._answers[address]
        except KeyError:
            pass
        if len(self._answers) >= CACHE_LIMIT:
            self._answers.clear()
        answer = self._answers[address] = self._search(address)
        return answer

    def _search(self, address: int) -> Route | None:
        for table in (LOCAL, MAIN):
            for length, prefixes in self._tables[table].items():
                routes = prefixes.get(address & prefix_mask(length))
                if routes:
                    return routes[0]
        return None
