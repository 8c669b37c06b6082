"""plugin/forward: asks other servers.

A server that fails is probed until it answers again; meanwhile others are asked (plugin/forward, pkg/proxy).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import dns.flags
import dns.message
import dns.rcode

from podwire.services.chassis.chance import RandomBits, below
from podwire.services.chassis.durations import parse_duration
from podwire.services.coredns.core.cluster import canonical
from podwire.services.coredns.core.corefile import Directive
from podwire.services.coredns.core.plugins.loadbalance import shuffle
from podwire.services.coredns.core.query import Address, Ask, Follow, PluginFailure, Query, Steps, UpstreamFailure
from podwire.services.coredns.core.zones import is_below, matching, normalized

DEADLINE: Final = 5.0
"""Seconds within which upstream servers are tried."""
_MOST: Final = 15
_SECOND: Final = 1_000_000_000
_PORT: Final = 53


@dataclass(slots=True)
class Server:
    """One upstream server, how many probes of it failed since it last answered, and whether it is being probed."""

    address: Address
    fails: int = 0
    probed: bool = False
    requests: int = 0


@dataclass(slots=True)
class Forward:
    """One `forward` directive. `start_probing` is called with a server that did not answer."""

    zone: str
    servers: list[Server]
    clock: Callable[[], int]
    start_probing: Callable[["Forward", Server], None]
    excepted: tuple[str, ...] = ()
    max_fails: int = 2
    policy: str = "random"
    force_tcp: bool = False
    prefer_udp: bool = False
    max_concurrent: int = 0
    probe_every: float = 0.5
    probe_name: str = "."
    probe_recursion: bool = True
    concurrent: int = 0
    _turn: int = field(default=0)

    def serve(self, query: Query, follow: Follow) -> Steps:
        """An upstream server's answer, for names in the zone."""
        if not self.takes(query):
            return (yield from follow(query))
        if self.max_concurrent and self.concurrent >= self.max_concurrent:
            reason = f"concurrent queries exceeded maximum {self.max_concurrent}"
            raise PluginFailure(reason, dns.rcode.REFUSED)
        self.concurrent += 1
        try:
            return (yield from self._forward(query))
        finally:
            self.concurrent -= 1

    def takes(self, query: Query) -> bool:
        """Whether a query is for these servers."""
        return is_below(self.zone, query.name) and not matching(self.excepted, query.name)

    def _forward(self, query: Query) -> Steps:
        deadline = self.clock() + int(DEADLINE * _SECOND)
        servers = self._order(query.random)
        down = tried = 0
        failure: UpstreamFailure | None = None
        while self.clock() < deadline:
            server = servers[tried % len(servers)]
            if tried and tried % len(servers) == 0:
                down = 0
            tried += 1
            if self._is_down(server):
                down += 1
                if down < len(servers):
                    continue
                server = servers[below(query.random, len(servers))]  # probing itself must be broken: try any
            try:
                return (yield from self._exchange(query, server))
            except UpstreamFailure as error:
                failure = error
                self._note(server)
        raise PluginFailure(str(failure) if failure else "no healthy proxies")

    def _exchange(self, query: Query, server: Server) -> Steps:
        over_tcp = self.force_tcp or not (query.over_udp or self.prefer_udp)
        server.requests += 1
        answer = yield Ask(server.address, query.message, over_tcp)
        if answer.flags & dns.flags.TC and self.prefer_udp and not over_tcp:
            answer = yield Ask(server.address, query.message, True)
        if not query.message.is_response(answer):
            response = dns.message.make_response(query.message)
            response.set_rcode(dns.rcode.FORMERR)
            return response
        return answer

    def _is_down(self, server: Server) -> bool:
        return self.max_fails > 0 and server.fails > self.max_fails

    def _note(self, server: Server) -> None:
        if self.max_fails and not server.probed:
            server.probed = True
            self.start_probing(self, server)

    def _order(self, random: RandomBits) -> list[Server]:
        servers = list(self.servers)
        if self.policy == "random":
            shuffle(servers, random)
        elif self.policy == "round_robin":
            self._turn = (self._turn + 1) % len(servers)
            servers = servers[self._turn :] + servers[: self._turn]
        return servers


@dataclass(frozen=True, slots=True)
class Several:
    """The `forward` directives of a block, in their order; a name that is none of theirs goes on."""

    forwards: tuple[Forward, ...]

    def serve(self, query: Query, follow: Follow) -> Steps:
        """The answer of the first whose zone the name lies in."""
        for each in self.forwards:
            if each.takes(query):
                return (yield from each.serve(query, follow))
        return (yield from follow(query))


def upstream_files(directive: Directive) -> tuple[str, ...]:
    """The resolv.conf files among a directive's servers."""
    return tuple(text for text in directive.arguments[1:] if text.startswith("/"))


def configure(
    directive: Directive,
    files: Callable[[str], str | None],
    clock: Callable[[], int],
    start_probing: Callable[[Forward, Server], None],
) -> Forward:
    """The plugin of a directive: `forward FROM TO…`. Raises CorefileError."""
    if len(directive.arguments) < 2:
        raise directive.wrong_arguments()
    servers = [Server(each) for text in directive.arguments[1:] for each in _servers(directive, text, files)]
    if len(servers) > _MOST:
        raise directive.error(f"more than {_MOST} TOs configured: {len(servers)}")
    made = Forward(_zone(directive, directive.arguments[0]), servers, clock, start_probing)
    for name, *arguments in directive.block:
        option = _OPTIONS.get(name)
        if option is None:
            raise directive.error(f"unknown property '{name}'")
        option(directive, made, arguments)
    return made


def _zone(directive: Directive, text: str) -> str:
    try:
        return normalized(text)
    except ValueError as error:
        raise directive.error(f"unable to normalize '{text}': {error}") from None


def _servers(directive: Directive, text: str, files: Callable[[str], str | None]) -> list[Address]:
    if text.startswith("/"):
        content = files(text)
        if content is None:
            raise directive.error(f"open {text}: no such file or directory")
        rows = [line.split() for line in content.splitlines()]
        found = [canonical(row[1]) for row in rows if len(row) > 1 and row[0] == "nameserver"]
        if not any(found):
            raise directive.error(f"no nameservers found in {text}")
        return [(address, _PORT) for address in found if address]
    scheme, separator, rest = text.partition("://")
    if separator and scheme != "dns":
        raise directive.error(f"'{scheme}' is not built as a destination protocol in forward: {text}")
    return [_address(directive, rest if separator else text)]


def _address(directive: Directive, text: str) -> Address:
    host, port = text, str(_PORT)
    if not canonical(text):
        host, _, port = text.rpartition(":")
    address = canonical(host.strip("[]"))
    if not address or not port.isdecimal() or not 0 < int(port) < 65536:
        raise directive.error(f'not an IP address or file: "{text}"')
    return address, int(port)


Option = Callable[[Directive, Forward, list[str]], None]


def _number(name: str) -> Option:
    def read(directive: Directive, made: Forward, arguments: list[str]) -> None:
        if len(arguments) != 1 or not arguments[0].isdecimal():
            raise directive.error(f"{name} {' '.join(arguments)!r}: a number from 0 is needed")
        setattr(made, name, int(arguments[0]))

    return read


def _flag(name: str) -> Option:
    def read(directive: Directive, made: Forward, arguments: list[str]) -> None:
        if arguments:
            raise directive.wrong_arguments()
        setattr(made, name, True)

    return read


def _except(directive: Directive, made: Forward, arguments: list[str]) -> None:
    if not arguments:
        raise directive.wrong_arguments()
    made.excepted += tuple(_zone(directive, text) for text in arguments)


def _policy(directive: Directive, made: Forward, arguments: list[str]) -> None:
    if arguments not in (["random"], ["round_robin"], ["sequential"]):
        raise directive.error(f"unknown policy '{' '.join(arguments)}'")
    made.policy = arguments[0]


def _health_check(directive: Directive, made: Forward, arguments: list[str]) -> None:
    seconds = parse_duration(arguments[0]) if arguments else None
    if seconds is None:
        raise directive.error(f"health_check {' '.join(arguments)!r}: a duration such as 0.5s is needed")
    made.probe_every = seconds
    match arguments[1:]:
        case []:
            pass
        case ["no_rec"]:
            made.probe_recursion = False
        case ["domain", name] | ["no_rec", "domain", name] | ["domain", name, "no_rec"]:
            made.probe_name = _zone(directive, name)
            made.probe_recursion = "no_rec" not in arguments
        case rest:
            raise directive.error(f"health_check: unknown option {rest[0]}")


def _expire(directive: Directive, made: Forward, arguments: list[str]) -> None:
    """Connections are not kept here, so there is none that could be too old."""
    if len(arguments) != 1 or parse_duration(arguments[0]) is None:
        raise directive.error(f"expire {' '.join(arguments)!r}: a duration such as 10s is needed")


_OPTIONS: Final[dict[str, Option]] = {
    "except": _except,
    "policy": _policy,
    "health_check": _health_check,
    "expire": _expire,
    "force_tcp": _flag("force_tcp"),
    "prefer_udp": _flag("prefer_udp"),
    "max_fails": _number("max_fails"),
    "max_concurrent": _number("max_concurrent"),
}
