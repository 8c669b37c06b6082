"""REJECT: drop, and say so."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from podwire.proto.packet import icmp as icmp_header
from podwire.proto.packet import icmpv6
from podwire.proto.packet.addresses import is_multicast
from podwire.proto.packet.checksum import internet_checksum, transport_checksum
from podwire.proto.packet.ethernet import TYPE_IPV6
from podwire.proto.packet.internet import build_packet
from podwire.proto.packet.ipv4 import TCP, UDP
from podwire.proto.packet.tcp import ACK, FIN, RST, SYN, Tcp, build_segment
from podwire.services.node.kernel.conntrack.table import ECHOES
from podwire.services.node.kernel.netfilter.errors import NetfilterError
from podwire.services.node.kernel.netfilter.targets.base import DROP, Target
from podwire.services.node.kernel.packet import Packet

if TYPE_CHECKING:
    from podwire.services.node.kernel.netfilter.evaluation import Evaluation

_UNCHECKED: Final = (33, 47, 50, 51, 132, 136)
"""DCCP, GRE, ESP, AH, SCTP and UDP-Lite have other checks, or none over the whole payload."""
_KINDS: Final = {
    "icmp-port-unreachable": icmp_header.PORT_UNREACHABLE,
    "icmp-net-unreachable": icmp_header.NET_UNREACHABLE,
    "icmp-host-unreachable": icmp_header.HOST_UNREACHABLE,
    "icmp-proto-unreachable": icmp_header.PROTOCOL_UNREACHABLE,
    "icmp-net-prohibited": icmp_header.NET_PROHIBITED,
    "icmp-host-prohibited": icmp_header.HOST_PROHIBITED,
    "icmp-admin-prohibited": icmp_header.ADMINISTRATIVELY_PROHIBITED,
}
_SHORT: Final = {
    "net-unreach": "icmp-net-unreachable",
    "host-unreach": "icmp-host-unreachable",
    "proto-unreach": "icmp-proto-unreachable",
    "port-unreach": "icmp-port-unreachable",
    "net-prohib": "icmp-net-prohibited",
    "host-prohib": "icmp-host-prohibited",
    "admin-prohib": "icmp-admin-prohibited",
    "tcp-rst": "tcp-reset",
}
_KINDS6: Final = {
    "icmp6-port-unreachable": icmpv6.PORT_UNREACHABLE,
    "icmp6-no-route": icmpv6.NO_ROUTE,
    "icmp6-adm-prohibited": icmpv6.ADMINISTRATIVELY_PROHIBITED,
    "icmp6-addr-unreachable": icmpv6.ADDRESS_UNREACHABLE,
    "icmp6-policy-fail": icmpv6.FAILED_POLICY,
    "icmp6-reject-route": icmpv6.REJECT_ROUTE,
}
"""The first of each is the default."""
_SHORT6: Final = {
    "no-route": "icmp6-no-route",
    "adm-prohibited": "icmp6-adm-prohibited",
    "addr-unreach": "icmp6-addr-unreachable",
    "port-unreach": "icmp6-port-unreachable",
    "policy-fail": "icmp6-policy-fail",
    "reject-route": "icmp6-reject-route",
    "tcp-rst": "tcp-reset",
}


class Reject(Target):
    """Answer with an ICMP error or a TCP reset (RFC 9293 section 3.5.2), then drop."""

    name = "REJECT"
    tables = ("filter",)
    hooks = ("INPUT", "FORWARD", "OUTPUT")
    options: ClassVar = {"reject-with": 1}

    kinds: ClassVar = _KINDS
    short: ClassVar = _SHORT

    def __init__(self) -> None:
        self.answer = next(iter(self.kinds))

    def accept(self, option: str, values: Sequence[str]) -> None:
        answer = self.short.get(values[0], values[0])
        if answer != "tcp-reset" and answer not in self.kinds:
            raise NetfilterError(f'unknown reject type "{values[0]}"')
        self.answer = answer

    def apply(self, packet: Packet, at: "Evaluation") -> str:
        if self.answer == "tcp-reset":
            send_reset(packet, at)
        elif may_be_answered(packet) if at.hook == "OUTPUT" else may_be_sound(packet):
            self.send_error(packet, at, self.kinds[self.answer])
        return DROP

    def send_error(self, packet: Packet, at: "Evaluation", code: int) -> None:
        """Answer that the destination is unreachable, with the code of the rule."""
        at.namespace.kernel.send_icmp_error(at.namespace, packet, code)

    def save(self) -> str:
        return f"--reject-with {self.answer}"

    def describe(self) -> str:
        return f"reject-with {self.answer}"


class Reject6(Reject):
    """REJECT of ip6tables."""

    kinds: ClassVar = _KINDS6
    short: ClassVar = _SHORT6

    def send_error(self, packet: Packet, at: "Evaluation", code: int) -> None:
        at.namespace.kernel.send_icmpv6_error(at.namespace, packet, code)


def may_be_answered(packet: Packet) -> bool:
    """Whether a packet of this host may be told about: the kernel's own ICMP answers hold the lock that it needs."""
    answers = ECHOES.get(packet.protocol, {}).values()
    return not (packet.payload and packet.payload[0] in answers)


def may_be_sound(packet: Packet) -> bool:
    """Whether a packet's checksum is right, or there is none to check: others are dropped in silence.

    Of a protocol that it does not know the kernel expects a checksum over the whole payload (nf_reject_verify_csum).
    """
    protocol, payload = packet.protocol, packet.payload
    if packet.ethertype == TYPE_IPV6 and not payload:
        return False
    if protocol in _UNCHECKED or (protocol == UDP and len(payload) >= 8 and not payload[6] | payload[7]):
        return True
    if packet.ethertype == TYPE_IPV6 or protocol in (TCP, UDP):
        return not transport_checksum(packet.source, packet.destination, protocol, payload)
    return not any(payload) or not internet_checksum(payload)


def send_reset(packet: Packet, at: "Evaluation") -> None:
    """Reset the connection of a segment, unless it is itself a reset or is broken."""
    segment = bytes(packet.payload)
    if packet.protocol != TCP or packet.fragment & 0x1FFF or len(segment) < 20:
        return
    if packet.tcp_flags & RST or transport_checksum(packet.source, packet.destination, TCP, segment):
        return
    route = at.namespace.fib_for(packet.destination).lookup(packet.destination)
    if is_multicast(packet.destination) or (route is not None and route.kind == "broadcast"):
        return
    reply = build_segment(packet.destination, packet.source, _reset_for(segment))
    data = build_packet(packet.destination, packet.source, TCP, reply, fragment=0x4000)
    at.namespace.kernel.send_answer(at.namespace, data, packet)


def _reset_for(segment: bytes) -> Tcp:
    source, destination = int.from_bytes(segment[0:2]), int.from_bytes(segment[2:4])
    flags = segment[13]
    if flags & ACK:
        return Tcp(destination, source, int.from_bytes(segment[8:12]), flags=RST)
    length = len(segment) - (segment[12] >> 4) * 4 + bool(flags & SYN) + bool(flags & FIN)
    acknowledgement = (int.from_bytes(segment[4:8]) + length) & 0xFFFFFFFF
    return Tcp(destination, source, 0, acknowledgement, RST | ACK)
