"""From a query to an answer: CoreDNS's kubernetes, loadbalance and errors behaviour on DNS messages.

Names under a served zone are answered with authority: NXDOMAIN for a name that does not exist, NODATA with the zone's
SOA for one without the asked type. Everything else is REFUSED, as from a server block that does not serve the name.
"""

from dataclasses import dataclass
from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from podwire.services.chassis.chance import RandomBits, below
from podwire.services.coredns.core.records import Node, Records, pod_address

_UDP_LIMIT: Final = 512
_LONGEST_ALIAS_CHAIN: Final = 8


@dataclass(frozen=True, slots=True)
class Zones:
    """What the kubernetes plugin serves: the cluster domain, its reverse zones, and how."""

    records: Records
    reverse: tuple[str, ...] = ("in-addr.arpa.", "ip6.arpa.")
    ttl: int = 5
    pods: str = "disabled"
    shuffle: bool = True
    serial: int = 0
    synced: bool = True

    def served_zone(self, name: str) -> str:
        """The zone that a name lies in ("" for none)."""
        for zone in (self.records.zone, *self.reverse):
            if name == zone or name.endswith(f".{zone}"):
                return zone
        return ""


def answer_bytes(zones: Zones, payload: bytes, random: RandomBits, over_udp: bool) -> bytes | None:
    """The answer to a query's bytes; None where nothing can be answered (not even a header, or an answer)."""
    try:
        query = dns.message.from_wire(payload)
    except (dns.exception.DNSException, ValueError):
        return _format_error(payload)
    if query.flags & dns.flags.QR:
        return None
    response = answer(zones, query, random)
    limit = max(_UDP_LIMIT, query.payload) if over_udp else 65535
    return _to_wire(response, limit)


def _format_error(payload: bytes) -> bytes | None:
    if len(payload) < 12 or payload[2] & 0x80:
        return None
    return payload[:2] + bytes((0x80 | payload[2] & 0x79, dns.rcode.FORMERR)) + bytes(8)


def _to_wire(response: dns.message.Message, limit: int) -> bytes:
    try:
        return response.to_wire(max_size=limit)
    except dns.exception.TooBig:
        response.flags |= dns.flags.TC
        response.answer, response.authority, response.additional = [], [], []
        return response.to_wire(max_size=limit)


def answer(zones: Zones, query: dns.message.Message, random: RandomBits) -> dns.message.Message:
    """The response message."""
    response = dns.message.make_response(query, recursion_available=True)
    if query.opcode() != dns.opcode.QUERY or len(query.question) != 1:
        response.set_rcode(dns.rcode.NOTIMP if query.opcode() != dns.opcode.QUERY else dns.rcode.FORMERR)
        return response
    question = query.question[0]
    name = question.name.to_text().lower()
    zone = zones.served_zone(name)
    if not zone or question.rdclass != dns.rdataclass.IN:
        response.set_rcode(dns.rcode.REFUSED)
        return response
    if not zones.synced:
        response.set_rcode(dns.rcode.SERVFAIL)
        return response
    response.flags |= dns.flags.AA
    _resolve(zones, response, name, question.rdtype, zone, random)
    return response


def _resolve(zones: Zones, response: dns.message.Message, name: str, kind: int, zone: str, random: RandomBits) -> None:
    if name == zone:
        _apex(zones, response, zone, kind)
        return
    node = _find(zones, name)
    if node is None:
        response.set_rcode(dns.rcode.NXDOMAIN)
        response.authority.append(_soa(zones, zone))
        return
    if not _add_records(zones, response, name, node, kind, random):
        response.authority.append(_soa(zones, zone))


def _find(zones: Zones, name: str) -> Node | None:
    node = zones.records.lookup(name)
    if node is not None or zones.pods == "disabled":
        return node
    label, _, rest = name.partition(".")
    namespace, _, pod_zone = rest.partition(".")
    address = pod_address(label) if namespace and pod_zone == f"pod.{zones.records.zone}" else None
    return Node(addresses=[address]) if address else None


def _add_records(
    zones: Zones, response: dns.message.Message, name: str, node: Node, kind: int, random: RandomBits
) -> bool:
    """Adds what the node has of the asked type; whether there was any."""
    if node.alias:
        _follow_alias(zones, response, name, node, kind, random)
        return True
    if kind == dns.rdatatype.SRV and node.services:
        _add_services(zones, response, name, node)
        return True
    texts = _texts(node, kind)
    if texts:
        if zones.shuffle:
            shuffle(texts, random)
        response.answer.append(dns.rrset.from_text_list(name, zones.ttl, "IN", _kind_name(kind), texts))
    return bool(texts)


def _kind_name(kind: int) -> str:
    return dns.rdatatype.to_text(dns.rdatatype.RdataType.make(kind))


def _texts(node: Node, kind: int) -> list[str]:
    match kind:
        case dns.rdatatype.A:
            return [address for address in node.addresses if ":" not in address]
        case dns.rdatatype.AAAA:
            return [address for address in node.addresses if ":" in address]
        case dns.rdatatype.PTR:
            return [node.pointer] if node.pointer else []
        case dns.rdatatype.TXT:
            return [f'"{node.text}"'] if node.text else []
    return []


def _follow_alias(
    zones: Zones, response: dns.message.Message, name: str, node: Node, kind: int, random: RandomBits
) -> None:
    """CNAMEs inside the zone are followed; a target outside is the resolver's business."""
    for _ in range(_LONGEST_ALIAS_CHAIN):
        response.answer.append(dns.rrset.from_text(name, zones.ttl, "IN", "CNAME", node.alias))
        name, target = node.alias, _find(zones, node.alias)
        if kind == dns.rdatatype.CNAME or target is None:
            return
        if not target.alias:
            _add_records(zones, response, name, target, kind, random)
            return
        node = target


def _add_services(zones: Zones, response: dns.message.Message, name: str, node: Node) -> None:
    weight = max(1, 100 // len(node.services))
    texts = [f"0 {weight} {entry.port} {entry.target}" for entry in node.services]
    response.answer.append(dns.rrset.from_text_list(name, zones.ttl, "IN", "SRV", texts))
    for target in dict.fromkeys(entry.target for entry in node.services):
        owner = zones.records.lookup(target)
        for kind in ("A", "AAAA"):
            texts = _texts(owner, dns.rdatatype.from_text(kind)) if owner else []
            if texts:
                response.additional.append(dns.rrset.from_text_list(target, zones.ttl, "IN", kind, texts))


def _apex(zones: Zones, response: dns.message.Message, zone: str, kind: int) -> None:
    if kind == dns.rdatatype.SOA:
        response.answer.append(_soa(zones, zone))
    elif kind == dns.rdatatype.NS:
        response.answer.append(dns.rrset.from_text(zone, zones.ttl, "IN", "NS", f"ns.dns.{zone}"))
    else:
        response.authority.append(_soa(zones, zone))


def _soa(zones: Zones, zone: str) -> dns.rrset.RRset:
    text = f"ns.dns.{zone} hostmaster.{zone} {zones.serial} 7200 1800 86400 {zones.ttl}"
    return dns.rrset.from_text(zone, zones.ttl, "IN", "SOA", text)


def shuffle[T](items: list[T], random: RandomBits) -> None:
    """A fair shuffle in place (Fisher-Yates): loadbalance's round_robin."""
    for last in range(len(items) - 1, 0, -1):
        other = below(random, last + 1)
        items[last], items[other] = items[other], items[last]
