"""DNS messages in tcpdump's words (tcpdump print-domain.c). Pure; what is malformed is said, never raised."""

from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

_RCODES: Final = {1: " FormErr", 2: " ServFail", 3: " NXDomain", 4: " NotImp", 5: " Refused"}


def describe(payload: bytes) -> str:
    """`7+ A? my-api. (50)`, or `7* 1/0/0 A 10.96.165.182 (98)`."""
    try:
        message = dns.message.from_wire(payload, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError):
        return f"[|domain] ({len(payload)})"
    told = _response(message) if message.flags & dns.flags.QR else _query(message)
    return f"{told} ({len(payload)})"


def _query(message: dns.message.Message) -> str:
    recursion = "+" if message.flags & dns.flags.RD else ""
    additional = f" [{len(message.additional) + (message.edns >= 0)}au]"
    extra = additional if message.additional or message.edns >= 0 else ""
    return f"{message.id}{_opcode(message)}{recursion}{extra}" + "".join(_question(each) for each in message.question)


def _question(asked: dns.rrset.RRset) -> str:
    return f" {dns.rdatatype.to_text(asked.rdtype)}? {asked.name.to_text()}"


def _opcode(message: dns.message.Message) -> str:
    return {1: " inv_q", 2: " stat", 4: " notify", 5: " update"}.get(message.opcode(), "")


def _response(message: dns.message.Message) -> str:
    flags = message.flags
    marks = "*" if flags & dns.flags.AA else ""
    marks += "" if flags & dns.flags.RA else "-"
    marks += "|" if flags & dns.flags.TC else ""
    marks += "$" if flags & dns.flags.AD else ""
    answers, authorities, additional = (
        sum(len(rrset) for rrset in section) for section in (message.answer, message.authority, message.additional)
    )
    counts = f" {answers}/{authorities}/{additional + (message.edns >= 0)}"
    records = ",".join(_record(rrset, at) for rrset in message.answer for at in range(len(rrset)))
    return f"{message.id}{_opcode(message)}{_RCODES.get(message.rcode(), '')}{marks}{counts}{records}"


def _record(rrset: dns.rrset.RRset, at: int) -> str:
    kind, data = dns.rdatatype.to_text(rrset.rdtype), rrset[at]
    text = data.to_text()
    if rrset.rdtype == dns.rdatatype.SRV:
        text = f"{data.target.to_text()}:{data.port} {data.priority} {data.weight}"
    if rrset.rdtype == dns.rdatatype.MX:
        text = f"{data.exchange.to_text()} {data.preference}"
    return f" {kind}" if rrset.rdtype == dns.rdatatype.SOA else f" {kind} {text}"
