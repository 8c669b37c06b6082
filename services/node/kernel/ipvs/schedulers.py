"""How a server is chosen for a new connection, each as the kernel's module of that name (ip_vs_rr.c, …) computes it."""

from abc import ABC, abstractmethod
from functools import reduce
from math import gcd
from typing import Final

from podwire.services.node.kernel.ipvs.hashing import folded, hash_32, hsiphash_word
from podwire.services.node.kernel.ipvs.service import Destination, VirtualService

FALLBACK, BY_PORT = 1, 2
"""Scheduler flags of sh and mh."""


class Scheduler(ABC):
    """One service's scheduler."""

    def __init__(self, service: VirtualService) -> None:
        self.service = service
        self.changed()

    def changed(self) -> None:  # noqa: B027  # most keep nothing
        """A server was added, deleted or edited."""

    def removed(self, index: int, gone: Destination) -> None:
        """A server that stood at `index` was deleted."""
        self.changed()

    @abstractmethod
    def choose(self, source: int, port: int, destination: int) -> Destination | None:
        """A server for a connection from `source`:`port` to `destination`; None if there is none."""


class RoundRobin(Scheduler):
    """rr: the next server in the list that is usable."""

    def __init__(self, service: VirtualService) -> None:
        self._last: Destination | None = None
        super().__init__(service)

    def removed(self, index: int, gone: Destination) -> None:
        if self._last is gone:
            self._last = self.service.destinations[index - 1] if index else None

    def choose(self, source: int, port: int, destination: int) -> Destination | None:
        servers = self.service.destinations
        begin = 0 if self._last is None else servers.index(self._last) + 1
        for server in [*servers[begin:], *servers[:begin]]:
            if server.usable:
                self._last = server
                return server
        return None


class WeightedRoundRobin(Scheduler):
    """wrr: rounds through the list, each for servers of at least a weight that falls by the weights' common divisor."""

    def __init__(self, service: VirtualService) -> None:
        self._last = -1
        self._current = 0
        super().__init__(service)

    def changed(self) -> None:
        weights = [server.weight for server in self.service.destinations if server.weight > 0]
        self._last = -1
        self._step = reduce(gcd, weights, 0) or 1
        self._largest = max(weights, default=0) - (self._step - 1)
        if self._current > self._largest or not self._current:
            self._current = self._largest
        elif self._step > 1:
            self._current = self._current // self._step * self._step + 1

    def choose(self, source: int, port: int, destination: int) -> Destination | None:
        if self._largest == 0:
            return None
        servers, first = self.service.destinations, self._last
        at, stop, last_pass, restarted = first, None, False, False
        while True:
            while at + 1 < len(servers):
                at += 1
                if not servers[at].overloaded and servers[at].weight >= self._current:
                    self._last = at
                    return servers[at]
                if at == stop:
                    self._last = at
                    return None
            at = -1
            self._current -= self._step
            if self._current <= 0:
                self._current = self._largest
                if last_pass or first == -1:
                    self._last = at
                    return None
                restarted = True
            last_pass = self._current <= self._step
            if last_pass and restarted and first != -1:
                stop = first


class _Least(Scheduler):
    """The server with the least of a cost; the first in the list of those that are equal."""

    weighted = True

    def cost(self, server: Destination) -> int:
        """256 for an active connection, 1 for another (ip_vs_dest_conn_overhead)."""
        return (server.active << 8) + server.inactive

    def choose(self, source: int, port: int, destination: int) -> Destination | None:
        least, least_cost = None, 0
        for server in self.service.destinations:
            if not server.usable:
                continue
            cost = self.cost(server)
            ahead = least is None or (
                least_cost * server.weight > cost * least.weight if self.weighted else cost < least_cost
            )
            if ahead:
                least, least_cost = server, cost
        return least


class LeastConnections(_Least):
    """lc."""

    weighted = False


class WeightedLeastConnections(_Least):
    """wlc."""


class ShortestExpectedDelay(_Least):
    """sed: active connections, the new one included, by weight."""

    def cost(self, server: Destination) -> int:
        return server.active + 1


class NeverQueue(ShortestExpectedDelay):
    """nq: an idle server at once, else the shortest expected delay."""

    def choose(self, source: int, port: int, destination: int) -> Destination | None:
        idle = next((server for server in self.service.destinations if server.usable and not server.active), None)
        return idle or super().choose(source, port, destination)


_BITS: Final = 8


class DestinationHashing(Scheduler):
    """dh: 256 buckets dealt out in turn, found by the hash of the virtual address."""

    def changed(self) -> None:
        servers = self.service.destinations
        self._buckets = [servers[at % len(servers)] for at in range(1 << _BITS)] if servers else []

    def choose(self, source: int, port: int, destination: int) -> Destination | None:
        server = self._buckets[hash_32(folded(destination), _BITS)] if self._buckets else None
        return server if server is not None and server.available and server.usable else None


class SourceHashing(Scheduler):
    """sh: 256 buckets dealt out by weight, found by the hash of the client's address, and port with sh-port."""

    def changed(self) -> None:
        self._buckets: list[Destination] = []
        servers, at, dealt = self.service.destinations, 0, 0
        while servers and len(self._buckets) < 1 << _BITS:
            self._buckets.append(servers[at])
            dealt += 1
            if dealt >= servers[at].weight:
                at, dealt = (at + 1) % len(servers), 0

    def choose(self, source: int, port: int, destination: int) -> Destination | None:
        if not self._buckets:
            return None
        flags, size = self.service.schedule_flags, 1 << _BITS
        start = hash_32((folded(source) + (port if flags & BY_PORT else 0)) & 0xFFFFFFFF, _BITS)
        if self._buckets[start].usable:
            return self._buckets[start]
        if not flags & FALLBACK:
            return None
        for offset in range(size):
            server = self._buckets[((offset + start) % size + start) % size]
            if server.usable:
                return server
        return None


_TABLE: Final = 4093
_TABLE_BITS: Final = 6
_FIRST_KEY: Final = (2654435761, 2654435761)
_SECOND_KEY: Final = (2654446892, 2654446892)


def _mh_hash(address: int, port: int, key: tuple[int, int], offset: int = 0) -> int:
    return hsiphash_word((offset + port + folded(address)) & 0xFFFFFFFF, key)


class MaglevHashing(Scheduler):
    """mh: Maglev's table of 4,093 places, each server filling its own permutation by turns of its weight."""

    def changed(self) -> None:
        servers = self.service.destinations
        divisor = reduce(gcd, (server.last_weight for server in servers if server.last_weight > 0), 0)
        self._table: list[Destination | None] = [None] * _TABLE
        if divisor:
            largest = max(server.last_weight for server in servers) // divisor
            shift = max(largest.bit_length() - _TABLE_BITS, 0)
            self._populate(servers, [self._turns(server, divisor, shift) for server in servers])

    def _turns(self, server: Destination, divisor: int, shift: int) -> int:
        return (server.last_weight // divisor >> shift) or int(server.last_weight != 0)

    def _populate(self, servers: list[Destination], turns: list[int]) -> None:
        places = [_mh_hash(server.address, server.port, _FIRST_KEY) % _TABLE for server in servers]
        skips = [_mh_hash(server.address, server.port, _SECOND_KEY) % (_TABLE - 1) + 1 for server in servers]
        filled = 0
        while True:
            for at, server in enumerate(servers):
                for _ in range(turns[at]):
                    while self._table[places[at]] is not None:
                        places[at] = (places[at] + skips[at]) % _TABLE
                    self._table[places[at]] = server
                    filled += 1
                    if filled == _TABLE:
                        return

    def choose(self, source: int, port: int, destination: int) -> Destination | None:
        flags = self.service.schedule_flags
        port = port if flags & BY_PORT else 0
        start = _mh_hash(source, port, _FIRST_KEY) % _TABLE
        server = self._table[start]
        if server is None or server.usable:
            return server
        if not flags & FALLBACK:
            return None
        for offset in range(_TABLE):
            server = self._table[_mh_hash(source, port, _FIRST_KEY, (offset + start) % _TABLE) % _TABLE]
            if server is None or server.usable:
                return server
        return None


SCHEDULERS: Final[dict[str, type[Scheduler]]] = {
    "rr": RoundRobin,
    "wrr": WeightedRoundRobin,
    "lc": LeastConnections,
    "wlc": WeightedLeastConnections,
    "dh": DestinationHashing,
    "sh": SourceHashing,
    "sed": ShortestExpectedDelay,
    "nq": NeverQueue,
    "mh": MaglevHashing,
}
