"""plugin/cache: responses kept for their time to live, successes and denials apart."""

import math
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

from podwire.services.chassis import dns_wire
from podwire.services.coredns.core.corefile import Directive, ServerBlock
from podwire.services.coredns.core.query import Follow, Message, PluginFailure, Query, Steps, copied_rrset
from podwire.services.coredns.core.zones import matching, normalized

_SECOND: Final = 1_000_000_000
_DEFAULT_CAPACITY: Final = 9984
_LONGEST_TTL: Final = 3600
_LONGEST_DENIAL_TTL: Final = 1800
_SHORTEST_TTL: Final = 5
_STALE_FOR: Final = 3600.0
_LEAST: Final = 1024

Key = tuple[str, int, int, bool, bool]


@dataclass(slots=True)
class Item:
    """A response as it was kept, when (nanoseconds) and for how long (seconds); how often it was asked for lately."""

    message: Message
    stored_ns: int
    ttl: int
    hits: int = 0
    last_hit_ns: int = 0

    def left(self, now_ns: int) -> int:
        """Seconds for which it is still good; negative once it is stale."""
        return self.ttl - (now_ns - self.stored_ns) // _SECOND


@dataclass(slots=True)
class Share:
    """One of the two caches: how many responses it holds, and the limits of their time to live (seconds)."""

    capacity: int
    longest: int
    shortest: int = _SHORTEST_TTL
    disabled: tuple[str, ...] = ()
    items: OrderedDict[Key, Item] = field(default_factory=OrderedDict)
    evictions: int = 0

    def keep(self, key: Key, item: Item) -> None:
        """Keeps a response; one that was kept long goes if there is no room (here the oldest, upstream any)."""
        self.items.pop(key, None)
        if len(self.items) >= self.capacity:
            self.items.popitem(last=False)
            self.evictions += 1
        self.items[key] = item


@dataclass(slots=True)
class Cache:
    """One `cache` directive. What it counts is shown by the prometheus plugin."""

    zones: tuple[str, ...]
    success: Share
    denial: Share
    server_failure_ttl: int = _SHORTEST_TTL
    stale_for: float = 0.0
    prefetch: tuple[int, float, int] = (0, 60.0, 10)
    """After how many hits, how many seconds apart at most, below which percentage of its time to live."""
    keep_ttl: bool = False
    hits: dict[str, int] = field(default_factory=lambda: {"success": 0, "denial": 0})
    misses: int = 0

    def serve(self, query: Query, follow: Follow) -> Steps:
        """A kept response with the time that it has left, else the rest of the chain's."""
        if not matching(self.zones, query.name):
            return (yield from follow(query))
        key = _key(query)
        kind, item = self._find(key, query.now_ns)
        if item is None:
            self.misses += 1
            return (yield from self._ask(query, key, follow))
        self.hits[kind] += 1
        if item.left(query.now_ns) <= 0:
            return (yield from self._refreshed(query, key, item, follow))
        if self._is_due(item, query.now_ns):
            yield from self._try_again(query, key, follow)
        return _answer(query, item, 0 if self.keep_ttl else query.now_ns - item.stored_ns)

    def _find(self, key: Key, now_ns: int) -> tuple[str, Item | None]:
        for kind, share in (("denial", self.denial), ("success", self.success)):
            item = share.items.get(key)
            if item is not None and item.left(now_ns) > -self.stale_for:
                return kind, item
        return "", None

    def _is_due(self, item: Item, now_ns: int) -> bool:
        """Whether a popular response is asked for again before it ends (`shouldPrefetch`)."""
        wanted, apart, percentage = self.prefetch
        if not wanted:
            return False
        recent = now_ns - item.last_hit_ns <= apart * _SECOND
        item.hits, item.last_hit_ns = (item.hits + 1 if recent else 1), now_ns
        return item.hits >= wanted and item.left(now_ns) <= math.ceil(percentage / 100 * item.ttl)

    def _refreshed(self, query: Query, key: Key, item: Item, follow: Follow) -> Steps:
        """The new response, or the stale one with a time to live of 0 while there is no other (RFC 8767)."""
        try:
            response = yield from self._ask(query, key, follow)
        except PluginFailure:
            return _answer(query, item, item.ttl * _SECOND)
        usable = response.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)
        return response if usable else _answer(query, item, item.ttl * _SECOND)

    def _try_again(self, query: Query, key: Key, follow: Follow) -> Steps:
        try:
            return (yield from self._ask(query, key, follow))
        except PluginFailure:
            return query.message

    def _ask(self, query: Query, key: Key, follow: Follow) -> Steps:
        response = yield from follow(query)
        kind = _classify(response)
        if not kind:
            return response
        share = self.success if kind == "success" else self.denial
        found = _smallest_ttl(response)
        ttl = self.server_failure_ttl if kind == "failure" else min(max(found, share.shortest), share.longest)
        if ttl > 0 and not matching(share.disabled, query.name):
            share.keep(key, Item(_copy(response), query.now_ns, ttl))
        for rrset in (*response.answer, *response.authority, *response.additional):
            rrset.ttl = ttl
        return response


def _key(query: Query) -> Key:
    checking = bool(query.message.flags & dns.flags.CD)
    return query.name, query.question.rdclass, query.kind, query.wants_dnssec, checking


def _classify(response: Message) -> str:
    """`success`, `denial`, `failure`, or "" for what is not kept (plugin/pkg/response/typify.go)."""
    if response.flags & dns.flags.TC:
        return ""
    rcode, has_soa = response.rcode(), any(each.rdtype == dns.rdatatype.SOA for each in response.authority)
    if rcode == dns.rcode.SERVFAIL:
        return "failure"
    if rcode == dns.rcode.NXDOMAIN and has_soa:
        return "denial"
    if rcode != dns.rcode.NOERROR:
        return ""
    return "success" if response.answer or not has_soa else "denial"


def _smallest_ttl(response: Message) -> int:
    """The smallest time to live in a response (dnsutil.MinimalTTL)."""
    rrsets = (*response.answer, *response.authority, *response.additional)
    if not rrsets:
        return _SHORTEST_TTL
    return min(int(rrset.ttl) for rrset in rrsets)


def _copy(message: Message) -> Message:
    return dns.message.from_wire(dns_wire.in_order(message))


def _answer(query: Query, item: Item, age_ns: int) -> Message:
    """The kept response to this query: its id and question, less time to live, the authority bit always set."""
    response = dns.message.make_response(query.message)
    response.set_rcode(item.message.rcode())
    response.flags |= dns.flags.AA | (item.message.flags & dns.flags.RA)
    left = max(item.ttl - age_ns // _SECOND, 0)
    for section in (dns.message.ANSWER, dns.message.AUTHORITY, dns.message.ADDITIONAL):
        for rrset in item.message.section_from_number(section):
            copied = copied_rrset(rrset)
            copied.ttl = left
            response.section_from_number(section).append(copied)
    return response


# -- configuration


def configure(directive: Directive, block: ServerBlock) -> Cache:
    """The plugin of a directive: `cache [TTL] [ZONES…]`. Raises CorefileError."""
    arguments = list(directive.arguments)
    made = Cache((), Share(_DEFAULT_CAPACITY, _LONGEST_TTL), Share(_DEFAULT_CAPACITY, _LONGEST_DENIAL_TTL))
    if arguments and arguments[0].isdecimal():
        made.success.longest = made.denial.longest = _positive(directive, arguments.pop(0), "cache TTL")
    made.zones = tuple(normalized(zone) for zone in arguments) or block.zones
    for name, *rest in directive.block:
        option = _OPTIONS.get(name)
        if option is None:
            raise directive.error(f"unknown property '{name}'")
        option(directive, made, rest)
    return made


def _positive(directive: Directive, text: str, what: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise directive.error(f"{what} can not be zero or negative: {text}")
    return int(text)


def _share(directive: Directive, share: Share, arguments: list[str]) -> None:
    """`success CAPACITY [TTL] [MINTTL]`, and the same of `denial`."""
    if not 1 <= len(arguments) <= 3:
        raise directive.wrong_arguments()
    share.capacity = max(_positive(directive, arguments[0], "cache capacity"), _LEAST)
    if len(arguments) > 1:
        share.longest = _positive(directive, arguments[1], "cache TTL")
    if len(arguments) > 2:
        if not arguments[2].isdecimal():
            raise directive.error(f"cache min TTL can not be negative: {arguments[2]}")
        share.shortest = int(arguments[2])


def _success(directive: Directive, made: Cache, arguments: list[str]) -> None:
    _share(directive, made.success, arguments)


def _denial(directive: Directive, made: Cache, arguments: list[str]) -> None:
    _share(directive, made.denial, arguments)


def _disable(directive: Directive, made: Cache, arguments: list[str]) -> None:
    zones = tuple(normalized(zone) for zone in arguments[1:]) or made.zones
    match arguments[:1]:
        case ["success"]:
            made.success.disabled = zones
        case ["denial"]:
            made.denial.disabled = zones
        case _:
            raise directive.error("'disable' requires 'success' or 'denial'")


def _servfail(directive: Directive, made: Cache, arguments: list[str]) -> None:
    if len(arguments) != 1:
        raise directive.wrong_arguments()
    seconds = directive.duration(arguments[0])
    if seconds > 300:
        raise directive.error(f"caching SERVFAIL responses over 5 minutes is not permitted: {arguments[0]}")
    made.server_failure_ttl = int(seconds)


def _serve_stale(directive: Directive, made: Cache, arguments: list[str]) -> None:
    """Here a stale response is always verified, which upstream does with `verify`: no query goes unanswered behind
    another's back."""
    if len(arguments) > 2 or arguments[1:] not in ([], ["verify"], ["immediate"]):
        raise directive.wrong_arguments()
    made.stale_for = directive.duration(arguments[0]) if arguments else _STALE_FOR


def _prefetch(directive: Directive, made: Cache, arguments: list[str]) -> None:
    if not 1 <= len(arguments) <= 3:
        raise directive.wrong_arguments()
    if not arguments[0].isdecimal():
        raise directive.error(f"prefetch amount should be positive: {arguments[0]}")
    apart = directive.duration(arguments[1]) if len(arguments) > 1 else 60.0
    share = arguments[2].removesuffix("%") if len(arguments) > 2 else "10"
    if not share.isdecimal() or not 10 <= int(share) <= 90:
        raise directive.error(f"percentage should fall in range [10, 90]: {share}")
    made.prefetch = int(arguments[0]), apart, int(share)


def _keep_ttl(directive: Directive, made: Cache, arguments: list[str]) -> None:
    if arguments:
        raise directive.wrong_arguments()
    made.keep_ttl = True


_OPTIONS: Final = {
    "success": _success,
    "denial": _denial,
    "disable": _disable,
    "servfail": _servfail,
    "serve_stale": _serve_stale,
    "prefetch": _prefetch,
    "keepttl": _keep_ttl,
}
