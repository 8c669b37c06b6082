"""ICMPv6: echo, errors, neighbour discovery (RFC 4443; Linux net/ipv6/icmp.c)."""

from typing import TYPE_CHECKING, Final

from podwire.proto.packet import icmpv6 as messages
from podwire.proto.packet.addresses import IPV6, is_group_mac, is_multicast
from podwire.proto.packet.errors import PacketError
from podwire.proto.packet.icmp import Icmp
from podwire.proto.packet.internet import build_packet
from podwire.proto.packet.ipv6 import HEADER_LENGTH, ICMPV6, MINIMUM_MTU
from podwire.services.node.kernel import icmp, ipv6, ndisc
from podwire.services.node.kernel.conntrack.entry import attach
from podwire.services.node.kernel.drops import DropReason

if TYPE_CHECKING:
    from podwire.services.node.kernel.namespace import Namespace
    from podwire.services.node.kernel.packet import Packet

QUOTED: Final = MINIMUM_MTU - HEADER_LENGTH - messages.HEADER_LENGTH
"""An error quotes as much as fits the minimum MTU (RFC 4443 section 2.4 c)."""
_DISCOVERY: Final = (messages.NEIGHBOUR_SOLICITATION, messages.NEIGHBOUR_ADVERTISEMENT)
_UNUSED: Final = (messages.ROUTER_SOLICITATION, messages.ROUTER_ADVERTISEMENT, 130, 131, 132, 143)
"""Router discovery and multicast listener messages: valid, and of no use to a host without them."""


def receive(namespace: "Namespace", packet: "Packet") -> None:
    """An ICMPv6 message for this host."""
    octets = bytes(packet.payload)
    try:
        header, at = messages.parse_message(packet.source, packet.destination, octets)
    except PacketError as error:
        reason = DropReason.ICMP_CSUM if "checksum" in error.reason else DropReason.PKT_TOO_SMALL
        return namespace.kernel.drop(packet, namespace, reason, error.reason)
    if header.type == messages.ECHO_REQUEST:
        if packet.trace:
            namespace.kernel.hop(packet, "socket", namespace, detail="icmpv6 echo, answered by the kernel")
        return _reply(namespace, packet, header, octets[at:])
    if header.type == messages.ECHO_REPLY:
        return namespace.sockets.echo_reply(packet, header, octets[at:])
    if header.type in _DISCOVERY:
        return ndisc.receive(namespace, packet, header, octets[at:])
    if header.type < messages.FIRST_INFORMATIONAL:
        return namespace.sockets.icmp_error(packet, header)
    if header.type in _UNUSED:
        return None
    return namespace.kernel.drop(packet, namespace, DropReason.UNHANDLED_PROTO, f"ICMPv6 type {header.type}")


def _reply(namespace: "Namespace", packet: "Packet", header: Icmp, payload: bytes) -> None:
    source: int | None = packet.destination
    if is_multicast(packet.destination):
        source = None if packet.in_device is None else ipv6.source_on(packet.in_device, packet.source)
    if source is None:
        return namespace.kernel.drop(packet, namespace, DropReason.NOT_SPECIFIED, "no address to answer from")
    message = messages.build_message(source, packet.source, Icmp(messages.ECHO_REPLY, 0, header.rest), payload)
    data = build_packet(source, packet.source, ICMPV6, message, tos=packet.tos)
    return namespace.kernel.send_made(namespace, data, packet.trace)


def send_error(namespace: "Namespace", packet: "Packet", kind: int, code: int, *, rest: int = 0) -> None:
    """Tell the sender of `packet` why it died, unless RFC 4443 section 2.4 e forbids it."""
    if not _may_answer(packet, kind):
        return
    route = namespace.fib6.lookup(packet.destination)
    is_own = route is not None and route.kind == "local"
    source = packet.destination if is_own else ipv6.source_for(namespace, packet.source)
    if source is None or not _within_limits(namespace, packet, kind):
        return
    message = messages.build_message(source, packet.source, Icmp(kind, code, rest), bytes(packet.data[:QUOTED]))
    data = build_packet(source, packet.source, ICMPV6, message)
    answer = icmp.made(data, packet.trace)
    attach(answer, packet)
    namespace.kernel.enqueue_output(namespace, answer)


def _within_limits(namespace: "Namespace", packet: "Packet", kind: int) -> bool:
    route = namespace.fib6.lookup(packet.source)
    if kind == messages.PACKET_TOO_BIG or route is None or route.kind == "local":
        return True
    return namespace.error_limits.allows6(packet.source, route.length)


def _may_answer(packet: "Packet", kind: int) -> bool:
    if not packet.parsed or packet.fragment & 0x1FFF or packet.source == IPV6 or is_multicast(packet.source):
        return False
    to_group = is_multicast(packet.destination) or is_group_mac(packet.link_destination)
    if to_group and kind != messages.PACKET_TOO_BIG:
        return False
    is_error = packet.protocol == ICMPV6 and (not packet.payload or packet.payload[0] < messages.FIRST_INFORMATIONAL)
    return not is_error
