"""plugin/template: answers made of a query's name.

Of Go's templates the actions are built that answers are made of: `.Name`, `.Zone`, `.Class`, `.Type`, `.Group.NAME`,
`index .Match N` and `index .Group "NAME"`. Others are refused when the Corefile is read.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import dns.exception
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.tokenizer
import re2

from podwire.services.coredns.core.corefile import Directive, ServerBlock
from podwire.services.coredns.core.query import Follow, PluginFailure, Query, Steps, reply
from podwire.services.coredns.core.zones import ROOT, Fallthrough, fallthrough, matching, normalized

_ACTION: Final = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}")
_GROUP: Final = re.compile(r'^(?:\.Group\.(\w+)|index \.Group "(\w+)")$')
_MATCH: Final = re.compile(r"^index \.Match (\d+)$")

Part = Callable[[Mapping[str, str]], str]


@dataclass(frozen=True, slots=True)
class Template:
    """One `template` directive."""

    kinds: tuple[dns.rdataclass.RdataClass, dns.rdatatype.RdataType]
    zones: tuple[str, ...]
    patterns: tuple[Any, ...]
    answer: tuple[tuple[Part, ...], ...] = ()
    additional: tuple[tuple[Part, ...], ...] = ()
    authority: tuple[tuple[Part, ...], ...] = ()
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR
    fall: Fallthrough = field(default_factory=Fallthrough)

    def is_for(self, query: Query) -> bool:
        """Whether zone, class and type are the query's."""
        wanted_class, wanted_kind = self.kinds
        if wanted_class not in (dns.rdataclass.ANY, query.question.rdclass):
            return False
        return wanted_kind in (dns.rdatatype.ANY, query.kind) and matching(self.zones, query.name) != ""

    def match(self, query: Query) -> Mapping[str, str] | None:
        """What the template's actions stand for; None if no pattern fits."""
        found = next((each for pattern in self.patterns if (each := pattern.search(query.name))), None)
        if found is None:
            return None
        groups = {str(number): text or "" for number, text in enumerate((found.group(0), *found.groups()))}
        named = {name: text or "" for name, text in found.groupdict().items()}
        values = {".Name": query.question.name.to_text(), ".Zone": matching(self.zones, query.name)}
        values[".Class"] = dns.rdataclass.to_text(query.question.rdclass)
        values[".Type"] = dns.rdatatype.to_text(query.kind)
        return {**values, **{f"group {name}": text for name, text in (groups | named).items()}}


@dataclass(frozen=True, slots=True)
class Templates:
    """All `template` directives of a block, in their order."""

    templates: tuple[Template, ...]

    def serve(self, query: Query, follow: Follow) -> Steps:
        """The first fitting template's answer, else the rest of the chain's. A name that no pattern of a template for
        its zone and type fits does not exist, unless the template falls through."""
        for template in self.templates:
            if not template.is_for(query):
                continue
            values = template.match(query)
            if values is None:
                if not template.fall.passes(query.name):
                    return reply(query, dns.rcode.NXDOMAIN)
                continue
            if template.rcode == dns.rcode.SERVFAIL:
                return reply(query, template.rcode)
            response = reply(query, template.rcode, authoritative=True)
            for parts, section in (
                (template.answer, response.answer),
                (template.additional, response.additional),
                (template.authority, response.authority),
            ):
                section += [_record("".join(part(values) for part in each)) for each in parts]
            return response
        return (yield from follow(query))


def _record(text: str) -> dns.rrset.RRset:
    """One record from its text: NAME [TTL] [CLASS] TYPE DATA. Raises PluginFailure."""
    words = text.split()
    try:
        name, rest = words[0], words[1:]
        ttl = int(rest.pop(0)) if rest[0].isdecimal() else 3600
        if rest[0].upper() in ("IN", "CH"):
            rest.pop(0)
        return dns.rrset.from_text(name, ttl, "IN", rest[0], " ".join(rest[1:]))
    except (IndexError, ValueError, dns.exception.DNSException) as error:
        raise PluginFailure(f"plugin/template: {text!r} is no record: {error}") from None


# -- configuration


def configure(directive: Directive, block: ServerBlock) -> Template:
    """One directive's template: `template CLASS TYPE [ZONES…]`. Raises CorefileError."""
    if len(directive.arguments) < 2:
        raise directive.wrong_arguments()
    sections: dict[str, list[tuple[Part, ...]]] = {"answer": [], "additional": [], "authority": []}
    patterns: list[Any] = []
    rcode, fall = dns.rcode.NOERROR, Fallthrough()
    for name, *arguments in directive.block:
        if name in sections and arguments:
            sections[name].append(_compiled(directive, " ".join(arguments)))
        elif name == "match" and arguments:
            patterns += [_pattern(directive, text) for text in arguments]
        elif name == "rcode" and len(arguments) == 1:
            rcode = _rcode(directive, arguments[0])
        elif name == "fallthrough":
            fall = fallthrough(arguments)
        else:
            raise directive.error(f"unknown property '{' '.join((name, *arguments))}'")
    if not any(sections.values()) and rcode == dns.rcode.NOERROR:
        raise directive.error("no answer section for template found")
    zones = tuple(normalized(zone) for zone in directive.arguments[2:]) or block.zones or (ROOT,)
    made = {name: tuple(parts) for name, parts in sections.items()}
    patterns = patterns or [re2.compile(".*")]
    return Template(_kinds(directive), zones, tuple(patterns), **made, rcode=rcode, fall=fall)


def _kinds(directive: Directive) -> tuple[dns.rdataclass.RdataClass, dns.rdatatype.RdataType]:
    try:
        return dns.rdataclass.from_text(directive.arguments[0]), dns.rdatatype.from_text(directive.arguments[1])
    except dns.exception.DNSException:
        text = " ".join(directive.arguments[:2])
        raise directive.error(f"invalid RR class or type {text!r}") from None


def _rcode(directive: Directive, text: str) -> dns.rcode.Rcode:
    try:
        return dns.rcode.from_text(text)
    except (dns.exception.DNSException, ValueError):
        raise directive.error(f"unknown rcode {text}") from None


def _pattern(directive: Directive, text: str) -> Any:
    try:
        return re2.compile(text)
    except re2.error as error:
        raise directive.error(f"could not parse regex: {text}: {error}") from None


def _compiled(directive: Directive, text: str) -> tuple[Part, ...]:
    parts: list[Part] = []
    position = 0
    for found in _ACTION.finditer(text):
        parts += [_literal(text[position : found.start()]), _action(directive, found[1])]
        position = found.end()
    return (*parts, _literal(text[position:]))


def _literal(text: str) -> Part:
    return lambda values: text


def _action(directive: Directive, action: str) -> Part:
    if action in (".Name", ".Zone", ".Class", ".Type"):
        return lambda values: values[action]
    if found := _GROUP.match(action) or _MATCH.match(action):
        key = f"group {next(text for text in found.groups() if text is not None)}"
        return lambda values: values.get(key, "")
    raise directive.error(f"template action {action!r} is not built")
