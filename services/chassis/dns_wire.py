"""Queries and responses as bytes: what is refused before a plugin sees it, and what is cut to the client's size.

Which headers are taken is miekg/dns's DefaultMsgAcceptFunc; what is cut is its Msg.Truncate.
"""

import struct
from collections.abc import Sequence
from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rrset

_HEADER: Final = struct.Struct("!HHHHHH")
_RESPONSE_BIT: Final = 0x8000
_ACCEPTED_OPCODES: Final = (dns.opcode.QUERY, dns.opcode.NOTIFY)
LONGEST: Final = 65535


class Refusal(Exception):
    """A message that is not served; `answer` is what its sender gets (None: nothing)."""

    def __init__(self, answer: bytes | None) -> None:
        super().__init__("refused")
        self.answer = answer


def read(payload: bytes) -> dns.message.Message:
    """The query in a message's bytes. Raises Refusal."""
    if len(payload) < _HEADER.size:
        raise Refusal(None)
    _, bits, questions, answers, authorities, additionals = _HEADER.unpack_from(payload)
    if bits & _RESPONSE_BIT:
        raise Refusal(None)
    if dns.opcode.from_flags(bits) not in _ACCEPTED_OPCODES:
        raise Refusal(_bare(payload, dns.rcode.NOTIMP))
    if questions != 1 or answers > 1 or authorities > 1 or additionals > 2:
        raise Refusal(_bare(payload, dns.rcode.FORMERR))
    try:
        return dns.message.from_wire(payload)
    except (dns.exception.DNSException, ValueError):
        raise Refusal(_bare(payload, dns.rcode.FORMERR)) from None


def _bare(payload: bytes, rcode: dns.rcode.Rcode) -> bytes:
    """A response of a header alone."""
    identity, bits = struct.unpack_from("!HH", payload)
    kept = bits & 0x7800 | bits & dns.flags.RD
    return _HEADER.pack(identity, _RESPONSE_BIT | kept | rcode, 0, 0, 0, 0)


def in_order(message: dns.message.Message, limit: int = LONGEST) -> bytes:
    """The message's bytes with its records in their order, which dnspython shuffles unless told otherwise.

    Raises dns.exception.TooBig.
    """
    return message.to_wire(max_size=limit, want_shuffle=False)


def write(response: dns.message.Message, limit: int) -> bytes:
    """The response's bytes; records that do not fit are left out from the end, and TC says so."""
    try:
        return in_order(response, limit)
    except dns.exception.TooBig:
        return _cut(response, limit)


def _cut(response: dns.message.Message, limit: int) -> bytes:
    """The most records that fit, found by halving."""
    records = [
        (section, rrset, data)
        for section in (dns.message.ANSWER, dns.message.AUTHORITY, dns.message.ADDITIONAL)
        for rrset in response.section_from_number(section)
        for data in rrset
    ]
    fits, too_many = 0, len(records)
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        if _with_records(response, records[:middle], limit) is None:
            too_many = middle
        else:
            fits = middle
    return _with_records(response, records[:fits], limit) or _with_records(response, [], LONGEST) or b""


_Record = tuple[dns.message.MessageSection, dns.rrset.RRset, dns.rdata.Rdata]


def _with_records(response: dns.message.Message, records: Sequence[_Record], limit: int) -> bytes | None:
    cut = dns.message.Message(response.id)
    cut.flags = response.flags | dns.flags.TC
    cut.set_rcode(response.rcode())
    cut.question = response.question
    if response.edns >= 0:
        cut.use_edns(response.edns, response.ednsflags, response.payload)
    for section, rrset, data in records:
        rows = cut.section_from_number(section)
        if not rows or rows[-1].name != rrset.name or rows[-1].rdtype != rrset.rdtype:
            rows.append(dns.rrset.RRset(rrset.name, rrset.rdclass, rrset.rdtype))
        rows[-1].add(data, rrset.ttl)
    try:
        return in_order(cut, limit)
    except dns.exception.TooBig:
        return None
