"""plugin/rewrite: changes a query before the plugins behind it see it, and its answer back.

Built are the fields `name` (exact, prefix, suffix, substring, regex), `type`, and `ttl` of answers.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import dns.message
import dns.name
import dns.rdatatype
import re2

from podwire.services.coredns.core.corefile import Directive, absolute
from podwire.services.coredns.core.query import Follow, Message, Query, Steps, copied_rrset

_NOT_BUILT: Final = ("class", "edns0", "cname", "rcode")

Renaming = Callable[[str], str | None]
"""A name's replacement; None where the rule does not fit."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One `rewrite` directive: what it does to a query's name and type, and to an answer's names and TTLs."""

    goes_on: bool = False
    name: Renaming | None = None
    answer_name: Renaming | None = None
    answer_value: Renaming | None = None
    kinds: tuple[dns.rdatatype.RdataType, dns.rdatatype.RdataType] | None = None
    ttl: tuple[Renaming, int, int] | None = None

    def fits(self, query: Query) -> Query | None:
        """The query as it is after the rule; None if the rule does not fit."""
        if self.name is not None:
            name = self.name(query.name)
            return query.asking(name) if name is not None and _is_name(name) else None
        if self.kinds is not None:
            return query.asking(query.name, self.kinds[1]) if query.kind == self.kinds[0] else None
        if self.ttl is not None:
            return query if self.ttl[0](query.name) is not None else None
        return None


def _is_name(text: str) -> bool:
    try:
        dns.name.from_text(text)
    except dns.exception.DNSException:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Rewrite:
    """All `rewrite` directives of a block, in their order."""

    rules: tuple[Rule, ...]

    def serve(self, query: Query, follow: Follow) -> Steps:
        """The answer to the query as it was rewritten, as an answer to the query as it was asked."""
        asked, applied = query, list[Rule]()
        for rule in self.rules:
            changed = rule.fits(asked)
            if changed is None:
                continue
            asked = changed
            applied.append(rule)
            if not rule.goes_on:
                break
        if not applied:
            return (yield from follow(query))
        response = yield from follow(asked)
        return _reverted(query, asked, response, applied)


def _reverted(query: Query, asked: Query, response: Message, applied: list[Rule]) -> Message:
    reverted = dns.message.make_response(query.message)
    reverted.flags, reverted.answer = response.flags, []
    reverted.set_rcode(response.rcode())
    reverted.authority, reverted.additional = response.authority, response.additional
    for each in response.answer:
        copied = copied_rrset(each)
        for rule in reversed(applied):
            _revert(copied, rule, query, asked)
        reverted.answer.append(copied)
    return reverted


def _revert(rrset: dns.rrset.RRset, rule: Rule, query: Query, asked: Query) -> None:
    name = rrset.name.to_text().lower()
    if rule.answer_name is not None and (new := rule.answer_name(name)) is not None:
        rrset.name = dns.name.from_text(new)
    elif rule.name is not None and rule.answer_name is None and name == asked.name:
        rrset.name = query.question.name
    if rule.answer_value is not None and rrset.rdtype in (dns.rdatatype.CNAME, dns.rdatatype.SRV, dns.rdatatype.PTR):
        _revert_values(rrset, rule.answer_value)
    if rule.ttl is not None:
        rrset.ttl = min(max(int(rrset.ttl), rule.ttl[1]), rule.ttl[2])


def _revert_values(rrset: dns.rrset.RRset, renaming: Renaming) -> None:
    for data in list(rrset):
        new = renaming(data.target.to_text().lower())
        if new is not None:
            rrset.items.pop(data)
            rrset.add(data.replace(target=dns.name.from_text(new)))


# -- configuration


def configure(directive: Directive) -> Rule:
    """One directive's rule. Raises CorefileError."""
    words = list(directive.arguments)
    for row in directive.block:
        words += row
    mode = words.pop(0) if words[:1] in (["continue"], ["stop"]) else "stop"
    if not words:
        raise directive.wrong_arguments()
    field, *arguments = words
    if field in _NOT_BUILT:
        raise directive.error(f"rewrite {field} is not built; name, type and ttl are")
    readers = {"name": _name_rule, "type": _type_rule, "ttl": _ttl_rule}
    if field not in readers:  # `rewrite FROM TO` is short for `rewrite name exact FROM TO`
        field, arguments = "name", words
    return readers[field](directive, mode == "continue", arguments)


def _name_rule(directive: Directive, goes_on: bool, arguments: list[str]) -> Rule:
    if len(arguments) == 2:
        arguments = ["exact", *arguments]
    kind, rest = (arguments or [""])[0], arguments[1:]
    if kind not in _MATCHERS or len(rest) < 2:
        raise directive.error(f"name {' '.join(arguments)!r}: exact, prefix, suffix, substring or regex, FROM and TO")
    renaming = _renaming(directive, kind, rest[0], rest[1])
    name, value = _answers(directive, kind, rest[0], rest[1], rest[2:])
    return Rule(goes_on=goes_on, name=renaming, answer_name=name, answer_value=value)


def _answers(
    directive: Directive, kind: str, old: str, new: str, options: list[str]
) -> tuple[Renaming | None, Renaming | None]:
    """How names and values are changed back: `answer auto`, `answer [name] FROM TO`, `answer value FROM TO`."""
    name: Renaming | None = None
    value: Renaming | None = None
    while options:
        match options:
            case ["answer", "auto", *rest] if kind in ("prefix", "suffix", "exact"):
                name = value = _renaming(directive, kind, new, old)
            case ["answer", "name", pattern, replacement, *rest]:
                name = _renaming(directive, "regex", pattern, replacement)
            case ["answer", "value", pattern, replacement, *rest]:
                value = _renaming(directive, "regex", pattern, replacement)
            case ["answer", pattern, replacement, *rest]:
                name = _renaming(directive, "regex", pattern, replacement)
            case _:
                raise directive.error(f"{' '.join(options)!r}: answer auto, answer [name|value] FROM TO")
        options = rest
    return name, value


def _type_rule(directive: Directive, goes_on: bool, arguments: list[str]) -> Rule:
    if len(arguments) != 2:
        raise directive.wrong_arguments()
    kinds = []
    for text in arguments:
        try:
            kinds.append(dns.rdatatype.from_text(text))
        except dns.rdatatype.UnknownRdatatype:
            raise directive.error(f"invalid type {text!r}") from None
    return Rule(goes_on=goes_on, kinds=(kinds[0], kinds[1]))


def _ttl_rule(directive: Directive, goes_on: bool, arguments: list[str]) -> Rule:
    if len(arguments) == 2:
        arguments = ["exact", *arguments]
    if len(arguments) != 3 or arguments[0] not in _MATCHERS:
        raise directive.wrong_arguments()
    low, separator, high = arguments[2].partition("-")
    if not all(text == "" or text.isdecimal() for text in (low, high)) or not (low or high):
        raise directive.error(f"invalid TTL {arguments[2]!r}")
    least = int(low or 0)
    most = int(high or 2**31 - 1) if separator else least
    return Rule(goes_on=goes_on, ttl=(_renaming(directive, arguments[0], arguments[1], "."), least, most))


def _exact(old: str, new: str) -> Renaming:
    return lambda name: absolute(new) if name == absolute(old) else None


def _prefix(old: str, new: str) -> Renaming:
    return lambda name: new.lower() + name[len(old) :] if name.startswith(old.lower()) else None


def _suffix(old: str, new: str) -> Renaming:
    ending = absolute(old)
    return lambda name: name[: -len(ending)] + absolute(new) if name.endswith(ending) else None


def _substring(old: str, new: str) -> Renaming:
    return lambda name: name.replace(old.lower(), new.lower()) if old.lower() in name else None


def _regex(old: str, new: str) -> Renaming:
    pattern = re2.compile(old)

    def rename(name: str) -> str | None:
        found = pattern.search(name)
        if found is None:
            return None
        filled = re.sub(r"\{(\d+)\}", lambda each: _group(found, int(each[1])), new)
        return absolute(filled)

    return rename


def _group(found: "re2._Match[str]", number: int) -> str:
    groups = (found.group(0), *found.groups())
    return groups[number] or "" if number < len(groups) else ""


_MATCHERS: Final = {
    "exact": _exact,
    "prefix": _prefix,
    "suffix": _suffix,
    "substring": _substring,
    "regex": _regex,
}


def _renaming(directive: Directive, kind: str, old: str, new: str) -> Renaming:
    try:
        return _MATCHERS[kind](old, new)
    except re2.error as error:
        raise directive.error(f"invalid regex pattern in a name rule: {old}: {error}") from None
