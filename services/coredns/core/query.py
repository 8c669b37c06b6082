"""A query on its way through a chain of plugins, without I/O.

A plugin is asked with `serve(query, follow)`, a generator: it returns the response, may have the rest of the chain
asked (`yield from follow(query)`), and yields an `Ask` for what only the network knows. Whoever drives it sends the
upstream's answer back in, or throws UpstreamFailure.
"""

import ipaddress
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Final, Protocol

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.reversename
import dns.rrset

from podwire.services.chassis.chance import RandomBits

Message = dns.message.Message
Address = tuple[str, int]


class UpstreamFailure(Exception):
    """An upstream server did not answer; the text is what Go's net package says."""


class PluginFailure(Exception):
    """A plugin could not answer: the client gets `rcode`, the `errors` plugin the reason."""

    def __init__(self, reason: str, rcode: dns.rcode.Rcode = dns.rcode.SERVFAIL) -> None:
        super().__init__(reason)
        self.reason, self.rcode = reason, rcode


@dataclass(frozen=True, slots=True)
class Ask:
    """One exchange with an upstream server."""

    server: Address
    message: Message
    over_tcp: bool


Steps = Generator[Ask, Message, Message]
"""Asks for answers of upstream servers; returns the response."""


@dataclass(frozen=True, slots=True)
class Query:
    """One question, who asks it, and what chance and the clock (nanoseconds) are for it."""

    message: Message
    name: str
    """In lower case, with its final dot."""
    kind: dns.rdatatype.RdataType
    client: Address
    over_udp: bool
    size: int
    """Of the message, in bytes."""
    now_ns: int
    random: RandomBits

    def asking(
        self,
        name: str,
        kind: dns.rdatatype.RdataType | None = None,
        group: dns.rdataclass.RdataClass | None = None,
    ) -> "Query":
        """The same query for another name, another type, or of another class."""
        wanted = self.kind if kind is None else kind
        of = self.question.rdclass if group is None else group
        message = dns.message.make_query(dns.name.from_text(name), wanted, of, id=self.message.id)
        message.flags = self.message.flags
        if self.message.edns >= 0:
            options = list(self.message.options)
            message.use_edns(self.message.edns, self.message.ednsflags, self.message.payload, options=options)
        return replace(self, message=message, name=name.lower(), kind=wanted)

    @property
    def question(self) -> dns.rrset.RRset:
        """The question as it was asked."""
        return self.message.question[0]

    @property
    def wants_dnssec(self) -> bool:
        """The DO bit."""
        return bool(self.message.ednsflags & dns.flags.DO)


Follow = Callable[[Query], Steps]


class Plugin(Protocol):
    """One plugin of a server block."""

    def serve(self, query: Query, follow: Follow) -> Steps:
        """The response. Raises PluginFailure."""
        ...


def chain(plugins: list[tuple[str, Plugin]]) -> Follow:
    """The plugins one after the other; behind the last one nothing answers (plugin.NextOrFailure)."""
    last = plugins[-1][0] if plugins else "server"

    def end(query: Query) -> Steps:
        yield from ()
        raise PluginFailure(f"plugin/{last}: no next plugin found")

    follow: Follow = end
    for _, plugin in reversed(plugins):
        follow = _before(plugin, follow)
    return follow


def _before(plugin: Plugin, follow: Follow) -> Follow:
    return lambda query: plugin.serve(query, follow)


def reply(query: Query, rcode: dns.rcode.Rcode = dns.rcode.NOERROR, *, authoritative: bool = False) -> Message:
    """An empty response."""
    response = dns.message.make_response(query.message)
    response.set_rcode(rcode)
    if authoritative:
        response.flags |= dns.flags.AA
    return response


def rrset(name: str, ttl: int, kind: str, *texts: str) -> dns.rrset.RRset:
    """Records of one name and type."""
    return dns.rrset.from_text_list(name, ttl, "IN", kind, texts)


def reverse_address(query: Query) -> str:
    """The address whose reverse name is asked for ("" for other names)."""
    try:
        return str(ipaddress.ip_address(dns.reversename.to_address(query.question.name)))
    except (ValueError, dns.exception.DNSException):
        return ""


def copied_rrset(records: dns.rrset.RRset) -> dns.rrset.RRset:
    """The same records, to be changed on their own."""
    return dns.rrset.from_rdata_list(records.name, records.ttl, list(records))


A: Final = dns.rdatatype.A
AAAA: Final = dns.rdatatype.AAAA
