"""The text of conntrack -L."""

import dataclasses

from podwire.proto.packet.addresses import format_address, is_ipv6
from podwire.proto.packet.ipv4 import ICMP, SCTP, TCP, UDP
from podwire.proto.packet.ipv6 import ICMPV6
from podwire.services.node.kernel.conntrack.entry import IDENTIFIER, Connection, Tuple
from podwire.services.node.kernel.conntrack.table import ECHOES
from podwire.services.node.kernel.namespace import Namespace

_NAMES = {TCP: "tcp", UDP: "udp", ICMP: "icmp", ICMPV6: "icmpv6", SCTP: "sctp"}


def conntrack_list(namespace: Namespace, family: str = "ipv4") -> str:
    """`conntrack -L [-f FAMILY]`, one connection a line (libnetfilter_conntrack, snprintf default)."""
    now = namespace.kernel.now
    return "".join(
        _line(connection, now) + "\n"
        for connection in namespace.netfilter.connections.connections()
        if is_ipv6(connection.tuples[0][1]) == (family == "ipv6")
    )


def _line(connection: Connection, now: int) -> str:
    protocol = connection.tuples[0][0]
    seconds = max(connection.expires - now, 0) // 1_000_000_000
    parts = [f"{_NAMES.get(protocol, 'unknown'):<8} {protocol} {seconds}"]
    if protocol in (TCP, SCTP):
        parts.append(connection.state)
    parts.append(_tuple(connection.tuples[0], is_reply=False))
    if not connection.seen_reply:
        parts.append("[UNREPLIED]")
    parts.append(_tuple(connection.tuples[1], is_reply=True))
    if connection.assured:
        parts.append("[ASSURED]")
    return " ".join([*parts, f"mark={connection.mark}", "use=1"])


def _tuple(tuple_: Tuple, *, is_reply: bool) -> str:
    protocol, source, source_port, destination, destination_port = tuple_
    text = f"src={format_address(source)} dst={format_address(destination)}"
    if protocol in ECHOES:
        question = source_port >> 16
        kind = ECHOES[protocol].get(question, question) if is_reply else question
        return f"{text} type={kind} code=0 id={source_port & IDENTIFIER}"
    if protocol in (TCP, UDP, SCTP):
        return f"{text} sport={source_port} dport={destination_port}"
    return text


def conntrack_statistics(namespace: Namespace) -> str:
    """`conntrack -S`: one line a processor, of which a machine has one."""
    counts = dataclasses.asdict(namespace.netfilter.connections.statistics)
    return "cpu=0   \t" + "".join(f"{name}={count} " for name, count in counts.items()) + "\n"
