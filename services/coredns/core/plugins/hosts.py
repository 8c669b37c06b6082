"""plugin/hosts: names from a file in the form of /etc/hosts, and from lines of the Corefile."""

import dataclasses
from collections.abc import Iterable
from typing import Final

import dns.rcode
import dns.rdatatype

from podwire.services.chassis.durations import parse_duration
from podwire.services.coredns.core.cluster import canonical
from podwire.services.coredns.core.corefile import Directive, ServerBlock, absolute
from podwire.services.coredns.core.query import AAAA, A, Follow, Query, Steps, reply, reverse_address, rrset
from podwire.services.coredns.core.zones import Fallthrough, fallthrough, matching, normalized

DEFAULT_FILE: Final = "/etc/hosts"
_DEFAULT_TTL: Final = 3600


@dataclasses.dataclass(slots=True)
class Hosts:
    """One `hosts` directive; `load` is given the file's text whenever it changes."""

    file: str
    zones: tuple[str, ...]
    inline: tuple[str, ...] = ()
    ttl: int = _DEFAULT_TTL
    reverse: bool = True
    reload_every: float = 5.0
    fall: Fallthrough = dataclasses.field(default_factory=Fallthrough)
    _addresses: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    _names: dict[str, list[str]] = dataclasses.field(default_factory=dict)

    def load(self, text: str) -> None:
        """Takes the file's text; the lines of the Corefile come after it."""
        self._addresses.clear()
        self._names.clear()
        for line in (*text.splitlines(), *self.inline):
            words = line.partition("#")[0].split()
            if len(words) > 1 and (address := canonical(words[0])):
                self._add(address, words[1:])

    def _add(self, address: str, names: Iterable[str]) -> None:
        for name in map(absolute, names):
            if matching(self.zones, name):
                self._addresses.setdefault(name, []).append(address)
                self._names.setdefault(address, []).append(name)

    def serve(self, query: Query, follow: Follow) -> Steps:
        """A, AAAA and PTR records; a name without any is the next plugin's with `fallthrough`, else SERVFAIL."""
        if query.kind == dns.rdatatype.PTR:
            texts = self._names.get(reverse_address(query), []) if self.reverse else []
            if not texts:
                return (yield from follow(query))
        elif not matching(self.zones, query.name):
            return (yield from follow(query))
        else:
            known = self._addresses.get(query.name, [])
            if not known:
                if self.fall.passes(query.name):
                    return (yield from follow(query))
                return reply(query, dns.rcode.SERVFAIL)
            texts = [each for each in known if query.kind in (A, AAAA) and (":" in each) == (query.kind == AAAA)]
        response = reply(query, authoritative=True)
        if texts:
            response.answer.append(rrset(query.name, self.ttl, dns.rdatatype.to_text(query.kind), *texts))
        return response


def configure(directive: Directive, block: ServerBlock) -> Hosts:
    """The plugin of a directive: `hosts [FILE [ZONES…]]`. Raises CorefileError."""
    file, zones = (*directive.arguments[:1], DEFAULT_FILE)[0], directive.arguments[1:]
    made = Hosts(file, tuple(normalized(zone) for zone in zones) or block.zones)
    inline: list[str] = []
    for name, *arguments in directive.block:
        match name, arguments:
            case "fallthrough", _:
                made.fall = fallthrough(arguments)
            case "no_reverse", []:
                made.reverse = False
            case "ttl", [text] if text.isdecimal() and 0 < int(text) <= 65535:
                made.ttl = int(text)
            case "reload", [text] if (seconds := parse_duration(text)) is not None:
                made.reload_every = seconds
            case "ttl" | "reload" | "no_reverse", _:
                raise directive.error(f"{name}: {' '.join(arguments)!r} can not be used")
            case _ if canonical(name) and arguments:
                inline.append(" ".join((name, *arguments)))
            case _:
                raise directive.error(f"unknown property '{name}'")
    made.inline = tuple(inline)
    made.load("")
    return made
