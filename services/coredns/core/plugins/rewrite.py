"""plugin/rewrite: changes a query before the plugins behind it see it, and its answer back.

The fields are `name`, `type`, `class` and `edns0` of queries, `ttl`, `rcode` and `cname` of answers.
"""

from collections.abc import Callable
from dataclasses import dataclass

import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from podwire.services.coredns.core.plugins import edns_options
from podwire.services.coredns.core.query import Follow, Message, Query, Steps, copied_rrset

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
    classes: tuple[dns.rdataclass.RdataClass, dns.rdataclass.RdataClass] | None = None
    edns: edns_options.Change | None = None
    ttl: tuple[Renaming, int, int] | None = None
    rcode: tuple[Renaming, dns.rcode.Rcode, dns.rcode.Rcode] | None = None
    target: Renaming | None = None

    def fits(self, query: Query) -> Query | None:
        """The query as it is after the rule; None if the rule does not fit."""
        if self.name is not None:
            name = self.name(query.name)
            return query.asking(name) if name is not None and _is_name(name) else None
        if self.kinds is not None:
            return query.asking(query.name, self.kinds[1]) if query.kind == self.kinds[0] else None
        if self.classes is not None:
            fits = query.question.rdclass == self.classes[0]
            return query.asking(query.name, group=self.classes[1]) if fits else None
        if self.edns is not None:
            return self.edns(query)
        matched = self.ttl or self.rcode
        return query if matched is None or matched[0](query.name) is not None else None


def _is_name(text: str) -> bool:
    try:
        dns.name.from_text(text)
    except dns.exception.DNSException:
        return False
    return True


@dataclass(slots=True)
class Rewrite:
    """All `rewrite` directives of a block, in their order."""

    rules: tuple[Rule, ...]
    resolve: Follow | None = None
    """The whole server, for new targets of aliases."""

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
        response = _reverted(query, asked, (yield from follow(asked)), applied)
        for rule in reversed(applied):
            if rule.target is not None:
                yield from self._retarget(rule.target, query, response)
        return response

    def _retarget(self, renaming: Renaming, query: Query, response: Message) -> Steps:
        """An alias gets another target, with that one's records instead of the old one's (cname_target.go)."""
        aliases = [each for each in response.answer if each.rdtype == dns.rdatatype.CNAME]
        old = next((each for each in aliases if renaming(each[0].target.to_text().lower()) is not None), None)
        new = None if old is None else renaming(old[0].target.to_text().lower())
        if new is None or not _is_name(new) or self.resolve is None:
            return response
        found = yield from self.resolve(query.asking(new))
        response.answer = [_pointed(each, new) for each in aliases]
        response.answer += [each for each in found.answer if each.name == dns.name.from_text(new)]
        return response


def _pointed(alias: dns.rrset.RRset, target: str) -> dns.rrset.RRset:
    data = [each.replace(target=dns.name.from_text(target)) for each in alias]
    return dns.rrset.from_rdata_list(alias.name, alias.ttl, data)


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
    if reverted.answer or reverted.authority or reverted.additional or response.edns >= 0:
        for rule in reversed(applied):
            if rule.rcode is not None and reverted.rcode() == rule.rcode[1]:
                reverted.set_rcode(rule.rcode[2])
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
