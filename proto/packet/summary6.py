"""What ICMPv6 messages say, in the manner of `tcpdump -n` (tcpdump print-icmp6.c)."""

from typing import Final

from podwire.proto.packet import icmpv6
from podwire.proto.packet.addresses import format_ipv6, ipv6_number
from podwire.proto.packet.icmp import Icmp
from podwire.proto.packet.ipv4 import TCP, UDP
from podwire.proto.packet.ipv6 import HEADER_LENGTH

_UNREACHABLE: Final = {
    icmpv6.NO_ROUTE: "unreachable route {0}",
    icmpv6.ADMINISTRATIVELY_PROHIBITED: "unreachable prohibited {0}",
    icmpv6.BEYOND_SCOPE: "beyond scope {0}",
    icmpv6.ADDRESS_UNREACHABLE: "unreachable address {0}",
    icmpv6.FAILED_POLICY: "failed policy {0}",
    icmpv6.REJECT_ROUTE: "reject route {0}",
}
_NAMES: Final = {
    icmpv6.ECHO_REQUEST: "echo request",
    icmpv6.ECHO_REPLY: "echo reply",
    icmpv6.ROUTER_SOLICITATION: "router solicitation",
    icmpv6.ROUTER_ADVERTISEMENT: "router advertisement",
    icmpv6.NEIGHBOUR_SOLICITATION: "neighbor solicitation",
    icmpv6.NEIGHBOUR_ADVERTISEMENT: "neighbor advertisement",
}


def describe_icmpv6(header: Icmp, payload: bytes) -> str:
    """What stands between `ICMP6, ` and `, length`."""
    name = _NAMES.get(header.type, f"type-#{header.type}")
    if header.type in (icmpv6.ECHO_REQUEST, icmpv6.ECHO_REPLY):
        return f"{name}, id {header.identifier}, seq {header.sequence}"
    if header.type == icmpv6.NEIGHBOUR_SOLICITATION and len(payload) >= 16:
        return f"{name}, who has {format_ipv6(ipv6_number(payload[:16]))}"
    if header.type == icmpv6.NEIGHBOUR_ADVERTISEMENT and len(payload) >= 16:
        return f"{name}, tgt is {format_ipv6(ipv6_number(payload[:16]))}"
    if header.type == icmpv6.DESTINATION_UNREACHABLE:
        return f"destination unreachable, {_unreachable(header.code, payload)}"
    if header.type == icmpv6.PACKET_TOO_BIG:
        return f"packet too big, mtu {header.rest}"
    if header.type == icmpv6.TIME_EXCEEDED:
        what = "ip reassembly time exceeded" if header.code else "time exceeded in-transit"
        return f"{what} for {_destination(payload)}"
    if header.type == icmpv6.PARAMETER_PROBLEM:
        return f"parameter problem, next header - octet {header.rest}"
    return name


def _destination(quoted: bytes) -> str:
    return format_ipv6(ipv6_number(quoted[24:40])) if len(quoted) >= HEADER_LENGTH else "?"


def _unreachable(code: int, quoted: bytes) -> str:
    destination = _destination(quoted)
    if code != icmpv6.PORT_UNREACHABLE or len(quoted) < HEADER_LENGTH + 4:
        return _UNREACHABLE.get(code, f"unreachable code-#{code} {{0}}").format(destination)
    protocol = {TCP: "tcp", UDP: "udp"}.get(quoted[6], f"protocol {quoted[6]},")
    return f"unreachable port, {destination} {protocol} port {int.from_bytes(quoted[42:44])}"
