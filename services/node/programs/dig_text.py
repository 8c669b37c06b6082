"""How dig and host write DNS messages (bin/dig/dig.c printmessage, lib/dns/masterdump.c). Pure."""

from collections.abc import Mapping
from typing import Final

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

VERSION: Final = "9.18.28"
_TTL, _CLASS, _TYPE, _DATA = 24, 32, 40, 48
"""The columns of dig's records."""
_FLAGS: Final = ("QR", "AA", "TC", "RD", "RA", "AD", "CD")


def indent(text: str, column: int) -> str:
    """The text, filled with tabs to a column; one blank at least (masterdump.c, indent)."""
    width = 0
    for letter in text:
        width = width // 8 * 8 + 8 if letter == "\t" else width + 1
    target = max(column, width + 1)
    tabs = target // 8 - width // 8
    return text + ("\t" * tabs + " " * (target % 8) if tabs else " " * (target - width))


def _record_lines(rrset: dns.rrset.RRset) -> list[str]:
    lines = []
    for record in rrset:
        line = indent(rrset.name.to_text(), _TTL) + str(rrset.ttl)
        line = indent(line, _CLASS) + dns.rdataclass.to_text(rrset.rdclass)
        line = indent(line, _TYPE) + dns.rdatatype.to_text(rrset.rdtype)
        lines.append(indent(line, _DATA) + record.to_text())
    return lines


def _header(message: dns.message.Message) -> list[str]:
    flags = " ".join(name.lower() for name in _FLAGS if message.flags & dns.flags.from_text(name))
    counts = [len(message.question), *(sum(map(len, section)) for section in message.sections[1:])]
    counts[3] += message.edns >= 0
    names = ("QUERY", "ANSWER", "AUTHORITY", "ADDITIONAL")
    numbers = ", ".join(f"{name}: {count}" for name, count in zip(names, counts, strict=True))
    opcode, status = dns.opcode.to_text(message.opcode()), dns.rcode.to_text(message.rcode())
    lines = [
        ";; Got answer:",
        f";; ->>HEADER<<- opcode: {opcode}, status: {status}, id: {message.id}",
        f";; flags: {flags}; {numbers}",
    ]
    if message.flags & dns.flags.RD and not message.flags & dns.flags.RA:
        lines.append(";; WARNING: recursion requested but not available")
    return [*lines, ""]


def message_text(message: dns.message.Message, options: Mapping[str, bool]) -> str:
    """A whole answer, without the statistics."""
    comments = options["comments"]
    lines = _header(message) if comments else []
    if message.edns >= 0 and comments:
        lines += [";; OPT PSEUDOSECTION:", f"; EDNS: version: {message.edns}, flags:; udp: {message.payload}"]
    if options["question"]:
        lines += [";; QUESTION SECTION:"] if comments else []
        for rrset in message.question:
            line = indent(";" + rrset.name.to_text(), _CLASS) + dns.rdataclass.to_text(rrset.rdclass)
            lines.append(indent(line, _TYPE) + dns.rdatatype.to_text(rrset.rdtype))
        lines += [""] if comments else []
    for name, section in zip(("answer", "authority", "additional"), message.sections[1:], strict=True):
        if options[name] and section:
            lines += [f";; {name.upper()} SECTION:"] if comments else []
            lines += [line for rrset in section for line in _record_lines(rrset)]
            lines += [""] if comments else []
    return "".join(f"{line}\n" for line in lines)


def answer_line(name: str, kind: int, text: str) -> str:
    """A record in host's words."""
    words = {
        dns.rdatatype.A: "has address",
        dns.rdatatype.AAAA: "has IPv6 address",
        dns.rdatatype.CNAME: "is an alias for",
        dns.rdatatype.PTR: "domain name pointer",
        dns.rdatatype.NS: "name server",
        dns.rdatatype.MX: "mail is handled by",
        dns.rdatatype.TXT: "descriptive text",
    }
    verb = next((words[each] for each in words if each == kind), f"has {dns.rdatatype.RdataType(kind).name} record")
    return f"{name} {verb} {text}"
