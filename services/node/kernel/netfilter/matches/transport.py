"""Matches on transport headers: tcp, udp, icmp, multiport."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from podwire.proto.packet.ipv4 import ICMP, SCTP, TCP, UDP
from podwire.proto.packet.ipv6 import ICMPV6
from podwire.services.node.kernel.netfilter.errors import NetfilterError
from podwire.services.node.kernel.netfilter.matches.base import Match, bang
from podwire.services.node.kernel.netfilter.words import (
    format_port_range,
    parse_number,
    parse_port_range,
)
from podwire.services.node.kernel.packet import Packet

if TYPE_CHECKING:
    from podwire.services.node.kernel.netfilter.evaluation import Evaluation

_FLAGS: Final = ("FIN", "SYN", "RST", "PSH", "ACK", "URG")
_ICMP_NAMES: Final = {
    "any": (255, None),
    "echo-reply": (0, None),
    "pong": (0, None),
    "destination-unreachable": (3, None),
    "network-unreachable": (3, 0),
    "host-unreachable": (3, 1),
    "protocol-unreachable": (3, 2),
    "port-unreachable": (3, 3),
    "fragmentation-needed": (3, 4),
    "redirect": (5, None),
    "echo-request": (8, None),
    "ping": (8, None),
    "time-exceeded": (11, None),
    "ttl-exceeded": (11, None),
    "parameter-problem": (12, None),
}
_ICMPV6_NAMES: Final = {
    "destination-unreachable": (1, None),
    "no-route": (1, 0),
    "communication-prohibited": (1, 1),
    "beyond-scope": (1, 2),
    "address-unreachable": (1, 3),
    "port-unreachable": (1, 4),
    "failed-policy": (1, 5),
    "reject-route": (1, 6),
    "packet-too-big": (2, None),
    "time-exceeded": (3, None),
    "ttl-exceeded": (3, None),
    "ttl-zero-during-transit": (3, 0),
    "ttl-zero-during-reassembly": (3, 1),
    "parameter-problem": (4, None),
    "bad-header": (4, 0),
    "unknown-header-type": (4, 1),
    "unknown-option": (4, 2),
    "echo-request": (128, None),
    "ping": (128, None),
    "echo-reply": (129, None),
    "pong": (129, None),
    "router-solicitation": (133, None),
    "router-advertisement": (134, None),
    "neighbour-solicitation": (135, None),
    "neighbor-solicitation": (135, None),
    "neighbour-advertisement": (136, None),
    "neighbor-advertisement": (136, None),
    "redirect": (137, None),
}


class Ports(Match):
    """What the matches of protocols with ports share."""

    protocol: ClassVar[int]
    options: ClassVar = {
        "sport": 1,
        "source-port": 1,
        "dport": 1,
        "destination-port": 1,
    }

    def __init__(self) -> None:
        self.sources: tuple[int, int, bool] | None = None
        self.destinations: tuple[int, int, bool] | None = None

    def accept(self, option: str, values: Sequence[str], inverted: bool) -> None:
        low, high = parse_port_range(values[0])
        if option in ("sport", "source-port"):
            self.sources = (low, high, inverted)
        else:
            self.destinations = (low, high, inverted)

    def test(self, packet: Packet, at: "Evaluation") -> bool:
        if packet.protocol != self.protocol or packet.fragment & 0x1FFF:
            return False
        return _within(self.sources, packet.source_port) and _within(self.destinations, packet.destination_port)

    def save(self) -> str:
        parts = [
            f"{bang(ports[2])}--{name} {format_port_range(*ports[:2])}"
            for name, ports in (("sport", self.sources), ("dport", self.destinations))
            if ports is not None
        ]
        return " ".join(parts)

    def describe(self) -> str:
        parts = [self.name]
        for name, ports in (("spt", self.sources), ("dpt", self.destinations)):
            if ports is not None:
                low, high, inverted = ports
                parts.append(f"{name}{'' if low == high else 's'}:{'!' * inverted}{format_port_range(low, high)}")
        return " ".join(parts)


def _within(ports: tuple[int, int, bool] | None, port: int) -> bool:
    return ports is None or (ports[0] <= port <= ports[1]) != ports[2]


class Udp(Ports):
    """`-m udp`."""

    name = "udp"
    protocol = UDP


class Tcp(Ports):
    """`-m tcp`: ports and flags."""

    name = "tcp"
    protocol = TCP
    options: ClassVar = {**Ports.options, "tcp-flags": 2, "syn": 0}

    def __init__(self) -> None:
        super().__init__()
        self.flags: tuple[int, int, bool] | None = None

    def accept(self, option: str, values: Sequence[str], inverted: bool) -> None:
        if option == "syn":
            self.flags = (0x17, 0x02, inverted)
        elif option == "tcp-flags":
            self.flags = (_parse_flags(values[0]), _parse_flags(values[1]), inverted)
        else:
            super().accept(option, values, inverted)

    def test(self, packet: Packet, at: "Evaluation") -> bool:
        if not super().test(packet, at):
            return False
        if self.flags is None:
            return True
        mask, wanted, inverted = self.flags
        return (packet.tcp_flags & mask == wanted) != inverted

    def save(self) -> str:
        parts = [super().save()] if super().save() else []
        if self.flags is not None:
            mask, wanted, inverted = self.flags
            parts.append(f"{bang(inverted)}--tcp-flags {_format_flags(mask)} {_format_flags(wanted)}")
        return " ".join(parts)

    def describe(self) -> str:
        text = super().describe()
        if self.flags is not None:
            mask, wanted, inverted = self.flags
            text += f" flags:{'!' * inverted}0x{mask:02X}/0x{wanted:02X}"
        return text


def _parse_flags(text: str) -> int:
    if text in ("ALL", "NONE"):
        return 0x3F if text == "ALL" else 0
    bits = 0
    for word in text.split(","):
        if word not in _FLAGS:
            raise NetfilterError(f"Unknown TCP flag `{word}'")
        bits |= 1 << _FLAGS.index(word)
    return bits


def _format_flags(bits: int) -> str:
    return ",".join(name for at, name in enumerate(_FLAGS) if bits >> at & 1) or "NONE"


class Icmp(Match):
    """`-m icmp --icmp-type`."""

    name = "icmp"
    options: ClassVar = {"icmp-type": 1}
    protocol: ClassVar = ICMP
    names: ClassVar = _ICMP_NAMES
    listed: ClassVar = "icmptype"
    any: ClassVar = 255

    def __init__(self) -> None:
        self.type: int = self.any
        self.code: int | None = None
        self.inverted = False

    def accept(self, option: str, values: Sequence[str], inverted: bool) -> None:
        self.inverted = inverted
        if values[0] in self.names:
            self.type, self.code = self.names[values[0]]
            return
        kind, slash, code = values[0].partition("/")
        self.type = parse_number(kind, 0, 255, f"{self.name.upper()} type")
        self.code = parse_number(code, 0, 255, f"{self.name.upper()} code") if slash else None

    def test(self, packet: Packet, at: "Evaluation") -> bool:
        payload = packet.payload
        if packet.protocol != self.protocol or packet.fragment & 0x1FFF or len(payload) < 2:
            return False
        hit = self.type == self.any or (payload[0] == self.type and self.code in (None, payload[1]))
        return hit != self.inverted

    def save(self) -> str:
        kind = "any" if self.type == self.any else str(self.type)
        option = next(iter(self.options))
        return f"{bang(self.inverted)}--{option} {kind}" + ("" if self.code is None else f"/{self.code}")

    def describe(self) -> str:
        if self.type == self.any:
            return f"{self.name} any"
        text = f"{self.listed} {self.type}" if not self.inverted else f"icmp !type {self.type}"
        return text + ("" if self.code is None else f" code {self.code}")


class Icmp6(Icmp):
    """`-m icmp6 --icmpv6-type`; it always asks for one type."""

    name = "icmp6"
    options: ClassVar = {"icmpv6-type": 1}
    protocol = ICMPV6
    names: ClassVar = _ICMPV6_NAMES
    listed = "ipv6-icmptype"
    any = -1

    def finish(self) -> None:
        if self.type < 0:
            raise NetfilterError('icmpv6: option "--icmpv6-type" must be specified')


class Multiport(Match):
    """`-m multiport`: up to 15 ports or ranges."""

    name = "multiport"
    options: ClassVar = {
        "sports": 1,
        "source-ports": 1,
        "dports": 1,
        "destination-ports": 1,
        "ports": 1,
    }

    def __init__(self) -> None:
        self.which = ""
        self.ranges: tuple[tuple[int, int], ...] = ()
        self.inverted = False

    def accept(self, option: str, values: Sequence[str], inverted: bool) -> None:
        self.which = {"source-ports": "sports", "destination-ports": "dports"}.get(option, option)
        self.ranges = tuple(parse_port_range(word) for word in values[0].split(","))
        self.inverted = inverted
        if sum(1 if low == high else 2 for low, high in self.ranges) > 15:
            raise NetfilterError("too many ports specified")

    def finish(self) -> None:
        if not self.ranges:
            raise NetfilterError("multiport expection an option")

    def test(self, packet: Packet, at: "Evaluation") -> bool:
        if packet.protocol not in (TCP, UDP, SCTP) or packet.fragment & 0x1FFF:
            return False
        return self._hit(packet) != self.inverted

    def _hit(self, packet: Packet) -> bool:
        source = self.which != "dports" and self._contains(packet.source_port)
        return source or (self.which != "sports" and self._contains(packet.destination_port))

    def _contains(self, port: int) -> bool:
        return any(low <= port <= high for low, high in self.ranges)

    def _list(self) -> str:
        return ",".join(format_port_range(*each) for each in self.ranges)

    def save(self) -> str:
        return f"{bang(self.inverted)}--{self.which} {self._list()}"

    def describe(self) -> str:
        return f"multiport {self.which} {bang(self.inverted)}{self._list()}"
