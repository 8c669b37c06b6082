"""plugin/errors and plugin/log: what is said about queries, in CoreDNS's own lines."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import dns.flags
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype

from podwire.services.chassis.durations import parse_duration
from podwire.services.coredns.core.corefile import Directive
from podwire.services.coredns.core.query import Follow, Message, PluginFailure, Query, Steps, reply
from podwire.services.coredns.core.zones import ROOT, matching, normalized

Say = Callable[[str], None]
Clock = Callable[[], int]
"""Nanoseconds."""

_ASKED: Final = '{remote}:{port} - {>id} "{type} {class} {name} {proto} {size} {>do} {>bufsize}"'
COMMON: Final = f"{_ASKED} {{rcode}} {{>rflags}} {{rsize}} {{duration}}"
COMBINED: Final = f"{COMMON} {{>opcode}}"
_CLASSES: Final = ("all", "success", "denial", "error")


@dataclass(frozen=True, slots=True)
class Errors:
    """Says why a query could not be answered."""

    say: Say

    def serve(self, query: Query, follow: Follow) -> Steps:
        """The rest of the chain's answer, or its failure as a response."""
        try:
            return (yield from follow(query))
        except PluginFailure as failure:
            kind = dns.rdatatype.to_text(query.kind)
            self.say(f"[ERROR] plugin/errors: {int(failure.rcode)} {query.name} {kind}: {failure.reason}")
            return reply(query, failure.rcode)


@dataclass(frozen=True, slots=True)
class LogRule:
    """One `log` directive."""

    zones: tuple[str, ...] = (ROOT,)
    format: str = COMMON
    classes: tuple[str, ...] = ("all",)
    slower_than: float | None = None
    """Seconds."""

    def wants(self, query: Query, response: Message, seconds: float) -> bool:
        """Whether the line is written."""
        if not matching(self.zones, query.name):
            return False
        slow = self.slower_than is not None and seconds > self.slower_than
        return slow or "all" in self.classes or response_class(response) in self.classes


@dataclass(frozen=True, slots=True)
class Log:
    """Says what was asked and answered."""

    rules: tuple[LogRule, ...]
    say: Say
    clock: Clock

    def serve(self, query: Query, follow: Follow) -> Steps:
        """The rest of the chain's answer."""
        begun = self.clock()
        try:
            response = yield from follow(query)
        except PluginFailure as failure:
            self._write(query, reply(query, failure.rcode), begun)
            raise
        self._write(query, response, begun)
        return response

    def _write(self, query: Query, response: Message, begun: int) -> None:
        seconds = (self.clock() - begun) / 1_000_000_000
        rule = next((each for each in self.rules if each.wants(query, response, seconds)), None)
        if rule is not None:
            self.say(f"[INFO] {fill(rule.format, query, response, seconds)}")


def response_class(response: Message) -> str:
    """`success`, `denial` or `error` (plugin/pkg/response/classify.go)."""
    if response.rcode() == dns.rcode.NXDOMAIN or (response.rcode() == dns.rcode.NOERROR and not response.answer):
        return "denial"
    return "success" if response.rcode() == dns.rcode.NOERROR else "error"


def fill(pattern: str, query: Query, response: Message, seconds: float) -> str:
    """A line of the log (plugin/pkg/replacer)."""
    address = f"[{query.client[0]}]" if ":" in query.client[0] else query.client[0]
    message = query.message
    values = {
        "remote": address,
        "port": str(query.client[1]),
        ">id": str(message.id),
        "type": dns.rdatatype.to_text(query.kind),
        "class": dns.rdataclass.to_text(query.question.rdclass),
        "name": query.question.name.to_text(),
        "proto": "udp" if query.over_udp else "tcp",
        "size": str(query.size),
        ">do": str(query.wants_dnssec).lower(),
        ">bufsize": str(buffer_size(query)),
        "rcode": dns.rcode.to_text(response.rcode()),
        ">rflags": ",".join(["qr", *flags(response.flags)]),
        "rsize": str(uncompressed_size(response)),
        "duration": f"{seconds:.9f}s",
        ">opcode": str(int(message.opcode())),
    }
    for name, value in values.items():
        pattern = pattern.replace(f"{{{name}}}", value)
    return pattern


def uncompressed_size(response: Message) -> int:
    """Bytes of a response whose names are all written out, as dns.Msg.Len counts them."""
    size = 12 + sum(len(each.name.to_wire() or b"") + 4 for each in response.question)
    for rrset in (*response.answer, *response.authority, *response.additional):
        owner = len(rrset.name.to_wire() or b"")
        size += sum(owner + 10 + len(data.to_wire() or b"") for data in rrset)
    return size + (11 if response.edns >= 0 else 0)


def buffer_size(query: Query) -> int:
    """The largest response that the client takes (request.Request.Size)."""
    if not query.over_udp:
        return 65535
    return max(512, query.message.payload) if query.message.edns >= 0 else 512


def flags(value: int) -> list[str]:
    """The names of header flags, in the order of CoreDNS's log."""
    bits = (dns.flags.AA, dns.flags.TC, dns.flags.RD, dns.flags.RA, dns.flags.AD, dns.flags.CD)
    return [dns.flags.to_text(bit).lower() for bit in bits if value & bit]


# -- configuration


def configure_errors(directive: Directive) -> None:
    """Checks the directive of `errors`. Raises CorefileError."""
    if len(directive.arguments) > 1 or directive.arguments not in ((), ("stdout",)):
        raise directive.error(f"invalid log file: {' '.join(directive.arguments)}")
    if directive.block:
        raise directive.error(f"property '{directive.block[0][0]}' is not built")


def configure_log(directive: Directive) -> LogRule:
    """The rule of one `log` directive. Raises CorefileError."""
    zones, pattern = list(directive.arguments), COMMON
    if zones and "{" in zones[-1]:
        pattern = zones.pop().replace("{common}", COMMON).replace("{combined}", COMBINED)
    classes: list[str] = []
    slower: float | None = None
    for name, *arguments in directive.block:
        if name == "class" and arguments and all(each in _CLASSES for each in arguments):
            classes += arguments
        elif name == "minDuration" and len(arguments) == 1 and parse_duration(arguments[0]) is not None:
            slower = parse_duration(arguments[0])
        else:
            raise directive.error(f"invalid property '{' '.join((name, *arguments))}'")
    return LogRule(tuple(map(normalized, zones)) or (ROOT,), pattern, tuple(classes) or ("all",), slower)
