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
    HOST_UNREACHABLE,
    Icmp,
)
from podwire.proto.packet.ipv4 import ICMP, build_packet
from podwire.services.node.kernel import ip
from podwire.services.node.kernel.drops import DropReason
from podwire.services.node.kernel.packet import Packet

if TYPE_CHECKING:
    from podwire.services.node.kernel.namespace import Namespace

__all__ = ["HOST_UNREACHABLE", "receive", "send_error"]
QUOTED: Final = 576 - 20 - 8
"""How much of the offending packet an error quotes (RFC 1812 section 4.3.2.3)."""


def receive(namespace: "Namespace", packet: Packet) -> None:
    """An ICMP message for this host."""
    octets = bytes(packet.payload)
    try:
        header, at = Icmp.parse(octets)
    except PacketError as error:
        reason = DropReason.ICMP_CSUM if "checksum" in error.reason else DropReason.PKT_TOO_SMALL
        return namespace.kernel.drop(packet, namespace, reason, error.reason)
    if header.type == ECHO_REQUEST:
        return _reply(namespace, packet, header, octets[at:])
    if header.type == ECHO_REPLY:
        return namespace.sockets.echo_reply(packet, header, octets[at:])
    if header.type in ERRORS:
        return namespace.sockets.icmp_error(packet, header)
    return namespace.kernel.drop(packet, namespace, DropReason.UNHANDLED_PROTO, f"ICMP type {header.type}")


def _reply(namespace: "Namespace", packet: Packet, header: Icmp, payload: bytes) -> None:
    route = namespace.fib.lookup(packet.destination)
    if route is None or route.kind != "local":
        return namespace.kernel.drop(packet, namespace, DropReason.NOT_SPECIFIED, "echo to a broadcast address")
    message = Icmp(ECHO_REPLY, 0, header.rest).build(payload)
    data = build_packet(
        packet.destination,
        packet.source,
        ICMP,
        message,
        tos=packet.data[1],
        identification=namespace.next_identification(),
    )
    return namespace.kernel.enqueue_output(namespace, made(data, packet.trace))


def made(data: bytes, trace: str) -> Packet:
    """A packet of our own making, of either family, parsed."""
    packet = Packet(data, TYPE_IPV6 if data[0] >> 4 == 6 else TYPE_IPV4, trace)
    packet.parse()
    return packet


def send_error(
    namespace: "Namespace", packet: Packet, code: int, *, kind: int = DESTINATION_UNREACHABLE, rest: int = 0
) -> None:
    """Tell the sender of `packet` why it died, unless RFC 1122 section 3.2.2 forbids it."""
    if not _may_answer(packet):
        return
    source = _error_source(namespace, packet)
    if source is None:
        return
    message = Icmp(kind, code, rest).build(bytes(packet.data[:QUOTED]))
    data = build_packet(
        source,
        packet.source,
        ICMP,
        message,
        tos=0xC0,
        identification=namespace.next_identification(),
    )
    namespace.kernel.enqueue_output(namespace, made(data, packet.trace))


def _may_answer(packet: Packet) -> bool:
    if not packet.parsed or packet.fragment & 0x1FFF or is_group_mac(packet.link_destination):
        return False
    if is_multicast(packet.destination) or packet.destination == 0xFFFFFFFF:
        return False
    if packet.source == 0 or is_multicast(packet.source) or packet.source == 0xFFFFFFFF:
        return False
    is_error = packet.protocol == ICMP and (not packet.payload or packet.payload[0] in ERRORS)
    return not is_error


def _error_source(namespace: "Namespace", packet: Packet) -> int | None:
    route = namespace.fib.lookup(packet.destination)
    if route is not None and route.kind == "local":
        return packet.destination
    return ip.source_for(namespace, packet.source)
