"""ICMP errors that both families have, sent in the packet's own."""

from typing import TYPE_CHECKING

from podwire.proto.packet import icmp as v4
from podwire.proto.packet import icmpv6 as v6
from podwire.proto.packet.ethernet import TYPE_IPV6
from podwire.services.node.kernel import icmp, icmpv6

if TYPE_CHECKING:
    from podwire.services.node.kernel.namespace import Namespace
    from podwire.services.node.kernel.packet import Packet


def host_unreachable(namespace: "Namespace", packet: "Packet") -> None:
    """The neighbour did not answer."""
    if packet.ethertype == TYPE_IPV6:
        return icmpv6.send_error(namespace, packet, v6.DESTINATION_UNREACHABLE, v6.ADDRESS_UNREACHABLE)
    return icmp.send_error(namespace, packet, v4.HOST_UNREACHABLE)


def port_unreachable(namespace: "Namespace", packet: "Packet") -> None:
    """No socket is there."""
    if packet.ethertype == TYPE_IPV6:
        return icmpv6.send_error(namespace, packet, v6.DESTINATION_UNREACHABLE, v6.PORT_UNREACHABLE)
    return icmp.send_error(namespace, packet, v4.PORT_UNREACHABLE)


def protocol_unreachable(namespace: "Namespace", packet: "Packet") -> None:
    """Nothing here speaks that protocol; IPv6 points at the byte that names it (RFC 4443 section 3.4)."""
    if packet.ethertype == TYPE_IPV6:
        return icmpv6.send_error(namespace, packet, v6.PARAMETER_PROBLEM, v6.UNKNOWN_NEXT_HEADER, rest=6)
    return icmp.send_error(namespace, packet, v4.PROTOCOL_UNREACHABLE)


def time_exceeded(namespace: "Namespace", packet: "Packet") -> None:
    """No hop is left."""
    if packet.ethertype == TYPE_IPV6:
        return icmpv6.send_error(namespace, packet, v6.TIME_EXCEEDED, 0)
    return icmp.send_error(namespace, packet, 0, kind=v4.TIME_EXCEEDED)


def reassembly_timed_out(namespace: "Namespace", packet: "Packet") -> None:
    """Fragments of a packet for this host are missing; routers that put packets together for netfilter keep silent."""
    route = namespace.fib_for(packet.destination).lookup(packet.destination)
    if route is None or route.kind != "local":
        return None
    if packet.ethertype == TYPE_IPV6:
        return icmpv6.send_error(namespace, packet, v6.TIME_EXCEEDED, 1)
    return icmp.send_error(namespace, packet, 1, kind=v4.TIME_EXCEEDED)
