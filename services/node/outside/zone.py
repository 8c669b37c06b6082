"""The names of the world outside: records that the user sets, in the form of a master file (RFC 1035, section 5).

One record a line, `NAME [TTL] [IN] TYPE DATA`; names are absolute with or without a final dot; `*` stands for any
label, as in RFC 4592. Whatever is not there does not exist.
"""

from dataclasses import dataclass, field
from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.rrset

_DEFAULT_TTL: Final = 300
_LONGEST_ALIAS_CHAIN: Final = 8
_ROOT_SOA: Final = "a.root-servers.net. nstld.verisign-grs.com. 1 1800 900 604800 86400"
_NAMING: Final = (dns.rdatatype.CNAME, dns.rdatatype.NS, dns.rdatatype.PTR, dns.rdatatype.MX, dns.rdatatype.SRV)


class BadRecord(ValueError):
    """A line that is no record; names the line."""


@dataclass(slots=True)
class Zone:
    """All records, by name (lower case, final dot) and type."""

    records: dict[str, dict[dns.rdatatype.RdataType, dns.rrset.RRset]] = field(default_factory=dict)
    names: dict[str, None] = field(default_factory=dict)
    """Every name that exists, also those that only have others below them."""

    def add(self, line: str) -> None:
        """Adds one record. Raises BadRecord."""
        name, found = _record(line)
        kinds = self.records.setdefault(name, {})
        if found.rdtype in kinds:
            kinds[found.rdtype].add(found[0])
        else:
            kinds[found.rdtype] = found
        while name and name not in self.names:
            self.names[name] = None
            name = name.partition(".")[2]

    def knows(self, name: str) -> bool:
        """Whether a name exists."""
        return name in self.names or self._at(name) is not None

    def _at(self, name: str) -> dict[dns.rdatatype.RdataType, dns.rrset.RRset] | None:
        """The records of a name, or of the wildcard that covers it."""
        if name in self.names:
            return self.records.get(name)
        parent = name.partition(".")[2]
        while parent:
            if (found := self.records.get(f"*.{parent}")) is not None:
                return found
            if parent in self.names:
                return None
            parent = parent.partition(".")[2]
        return None

    def answer(self, query: dns.message.Message) -> dns.message.Message:
        """A recursive server's answer."""
        response = dns.message.make_response(query, recursion_available=True)
        if query.opcode() != dns.opcode.QUERY or not query.question:
            response.set_rcode(dns.rcode.NOTIMP)
            return response
        question = query.question[0]
        name = question.name.to_text().lower()
        for _ in range(_LONGEST_ALIAS_CHAIN):
            kinds = self._at(name) or {}
            if question.rdtype in kinds:
                response.answer.append(_named(kinds[question.rdtype], name))
                return response
            alias = kinds.get(dns.rdatatype.CNAME)
            if alias is None:
                break
            response.answer.append(_named(alias, name))
            name = alias[0].target.to_text().lower()
        if not self.knows(name):
            response.set_rcode(dns.rcode.NXDOMAIN)
        response.authority.append(dns.rrset.from_text(".", 86400, "IN", "SOA", _ROOT_SOA))
        return response


def _named(records: dns.rrset.RRset, name: str) -> dns.rrset.RRset:
    return dns.rrset.from_rdata_list(dns.name.from_text(name), records.ttl, list(records))


def _record(line: str) -> tuple[str, dns.rrset.RRset]:
    words = line.split()
    try:
        name = dns.name.from_text(words.pop(0)).to_text().lower()
        ttl = int(words.pop(0)) if words[0].isdecimal() else _DEFAULT_TTL
        if words[0].upper() == "IN":
            words.pop(0)
        kind = dns.rdatatype.from_text(words.pop(0))
        if kind in _NAMING and not words[-1].endswith("."):
            words[-1] += "."
        return name, dns.rrset.from_text(name, ttl, "IN", dns.rdatatype.to_text(kind), " ".join(words))
    except (IndexError, ValueError, dns.exception.DNSException) as error:
        reason = str(error) or "NAME [TTL] [IN] TYPE DATA is needed"
        raise BadRecord(f"{line.strip()!r}: {reason}") from None


def read_zone(text: str) -> tuple[Zone, list[str]]:
    """The records of a text, and what is wrong with the lines that are none; `;` and `#` begin comments."""
    zone, wrong = Zone(), []
    for line in text.splitlines():
        record = line.partition(";")[0].partition(" #")[0]
        if not record.strip() or record.lstrip().startswith("#"):
            continue
        try:
            zone.add(record)
        except BadRecord as error:
            wrong.append(str(error))
    return zone, wrong
