"""ICMP: answering echo requests, sending errors, and handing errors to the sockets they concern (RFC 792, 1122)."""

from typing import TYPE_CHECKING, Final

from podwire.proto.packet.addresses import is_group_mac, is_multicast
from podwire.proto.packet.errors import PacketError
from podwire.proto.packet.ethernet import TYPE_IPV4, TYPE_IPV6
from podwire.proto.packet.icmp import (
    DESTINATION_UNREACHABLE,
    ECHO_REPLY,
    ECHO_REQUEST,
    ERRORS,
    FRAGMENTATION_NEEDED,
    HOST_UNREACHABLE,
    Icmp,
)
from podwire.proto.packet.ipv4 import ICMP, build_packet
from podwire.services.node.kernel import ip
from podwire.services.node.kernel.conntrack.entry import attach
from podwire.services.node.kernel.drops import DropReason
from podwire.services.node.kernel.packet import Packet

if TYPE_CHECKING:
    from podwire.services.node.kernel.namespace import Namespace

__all__ = ["HOST_UNREACHABLE", "receive", "send_error"]
QUOTED: Final = 576 - 20 - 8
"""How much of the offending packet an error quotes (RFC 1812 section 4.3.2.3)."""
TOS_MASK: Final = 0x1E
TIMESTAMP_REQUEST, TIMESTAMP_REPLY = 13, 14
LAST_KNOWN_TYPE: Final = 18
"""NR_ICMP_TYPES: what follows might be an error, and is never answered with one."""
INTERNETWORK_CONTROL: Final = 0xC0
"""An error keeps the type of service that it answers, with this precedence (RFC 1812 section 4.3.2.5)."""


def receive(namespace: "Namespace", packet: Packet) -> None:
    """An ICMP message for this host."""
    octets = bytes(packet.payload)
    try:
        header, at = Icmp.parse(octets)
    except PacketError as error:
        reason = DropReason.ICMP_CSUM if "checksum" in error.reason else DropReason.PKT_TOO_SMALL
        return namespace.kernel.drop(packet, namespace, reason, error.reason)
    if header.type == ECHO_REQUEST:
        if packet.trace:
            namespace.kernel.hop(packet, "socket", namespace, detail="icmp echo, answered by the kernel")
        return _reply(namespace, packet, header, octets[at:])
    if header.type == ECHO_REPLY:
        return namespace.sockets.echo_reply(packet, header, octets[at:])
    if header.type == TIMESTAMP_REQUEST and len(octets) >= at + 4:
        return _tell_time(namespace, packet, header, octets[at : at + 4])
    if header.type in ERRORS:
        return namespace.sockets.icmp_error(packet, header)
    return namespace.kernel.drop(packet, namespace, DropReason.UNHANDLED_PROTO, f"ICMP type {header.type}")


def _tell_time(namespace: "Namespace", packet: Packet, header: Icmp, asked: bytes) -> None:
    """Answer a timestamp request: milliseconds since midnight, at arrival and at departure (RFC 792)."""
    now = (namespace.kernel.now // 1_000_000 % 86_400_000).to_bytes(4)
    return _answer(namespace, packet, Icmp(TIMESTAMP_REPLY, 0, header.rest), asked + now + now)


def _reply(namespace: "Namespace", packet: Packet, header: Icmp, payload: bytes) -> None:
    return _answer(namespace, packet, Icmp(ECHO_REPLY, 0, header.rest), payload)


def _answer(namespace: "Namespace", packet: Packet, header: Icmp, payload: bytes) -> None:
    route = namespace.fib.lookup(packet.destination)
    if route is None or route.kind != "local":
        return namespace.kernel.drop(packet, namespace, DropReason.NOT_SPECIFIED, "asked at a broadcast address")
    message = header.build(payload)
    data = build_packet(
        packet.destination,
        packet.source,
        ICMP,
        message,
        tos=packet.data[1],
        identification=namespace.next_identification(),
    )
    return namespace.kernel.send_made(namespace, data, packet.trace)


def made(data: bytes, trace: str) -> Packet:
    """A packet of our own making, of either family, parsed."""
    packet = Packet(data, TYPE_IPV6 if data[0] >> 4 == 6 else TYPE_IPV4, trace)
    packet.parse()
    return packet


def send_error(
    namespace: "Namespace", packet: Packet, code: int, *, kind: int = DESTINATION_UNREACHABLE, rest: int = 0
) -> None:
    """Tell the sender of `packet` why it died, unless RFC 1122 section 3.2.2 forbids it."""
    if not _may_answer(namespace, packet):
        return
    source = _error_source(namespace, packet)
    if source is None or not _within_limits(namespace, packet, kind, code):
        return
    message = Icmp(kind, code, rest).build(bytes(packet.data[:QUOTED]))
    data = build_packet(
        source,
        packet.source,
        ICMP,
        message,
        tos=packet.data[1] & TOS_MASK | INTERNETWORK_CONTROL,
        identification=namespace.next_identification(),
    )
    answer = made(data, packet.trace)
    attach(answer, packet)
    namespace.kernel.enqueue_output(namespace, answer)


def _within_limits(namespace: "Namespace", packet: Packet, kind: int, code: int) -> bool:
    """Path MTU discovery is never held back, nor what a host tells itself."""
    is_path_mtu = (kind, code) == (DESTINATION_UNREACHABLE, FRAGMENTATION_NEEDED)
    route = namespace.fib.lookup(packet.source)
    is_own = route is not None and route.kind == "local"
    return is_path_mtu or is_own or namespace.error_limits.allows(packet.source, kind)


def _may_answer(namespace: "Namespace", packet: Packet) -> bool:
    if not packet.parsed or packet.fragment & 0x1FFF or is_group_mac(packet.link_destination):
        return False
    if is_multicast(packet.destination) or packet.destination == 0xFFFFFFFF:
        return False
    route = namespace.fib.lookup(packet.destination)
    if route is not None and route.kind == "broadcast":
        return False
    if packet.source == 0 or is_multicast(packet.source) or packet.source == 0xFFFFFFFF:
        return False
    if packet.protocol != ICMP:
        return True
    return bool(packet.payload) and packet.payload[0] not in ERRORS and packet.payload[0] <= LAST_KNOWN_TYPE


def _error_source(namespace: "Namespace", packet: Packet) -> int | None:
    route = namespace.fib.lookup(packet.destination)
    if route is not None and route.kind == "local":
        return packet.destination
    return ip.source_for(namespace, packet.source)
