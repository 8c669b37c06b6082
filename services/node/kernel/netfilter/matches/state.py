"""Matches on what is known about a packet beside its headers: comment, conntrack, state, mark."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from podwire.proto.packet.addresses import format_prefix, mask_for, parse_prefix
from podwire.proto.packet.errors import PacketError
from podwire.services.node.kernel.netfilter.errors import NetfilterError
from podwire.services.node.kernel.netfilter.matches.base import Match, bang, not_inverted
from podwire.services.node.kernel.netfilter.words import (
    format_port_range,
    parse_number,
    parse_port_range,
    parse_value_mask,
    quote,
)
from podwire.services.node.kernel.packet import Packet

if TYPE_CHECKING:
    from podwire.services.node.kernel.conntrack.entry import Connection
    from podwire.services.node.kernel.netfilter.evaluation import Evaluation

_STATES: Final = ("INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED", "SNAT", "DNAT")


class Comment(Match):
    """`-m comment`: matches everything; kube-proxy says here whose rule it is."""

    name = "comment"
    options: ClassVar = {"comment": 1}

    def __init__(self) -> None:
        self.text = ""

    def accept(self, option: str, values: Sequence[str], inverted: bool) -> None:
        not_inverted(option, inverted)
        if len(values[0]) > 255:
            raise NetfilterError("COMMENT must be shorter than 256 characters")
        self.text = values[0]

    def test(self, packet: Packet, at: "Evaluation") -> bool:
        return True

    def save(self) -> str:
        return f"--comment {quote(self.text)}"

    def describe(self) -> str:
        return f"/* {self.text} */"


def _parse_states(text: str) -> tuple[str, ...]:
    words = text.upper().split(",")
    for word in words:
        if word not in _STATES:
            raise NetfilterError(f'Bad ctstate "{word}"')
    return tuple(state for state in _STATES if state in words)


class State(Match):
    """`-m state --state`."""

    name = "state"
    options: ClassVar = {"state": 1}
    needs_conntrack = True

    def __init__(self) -> None:
        self.states: tuple[str, ...] = ()
        self.inverted = False

    def accept(self, option: str, values: Sequence[str], inverted: bool) -> None:
        self.states, self.inverted = _parse_states(values[0]), inverted

    def finish(self) -> None:
        if not self.states:
            raise NetfilterError("You must specify `--state'")

    def test(self, packet: Packet, at: "Evaluation") -> bool:
        return ((packet.connection_state or "INVALID") in self.states) != self.inverted

    def save(self) -> str:
        return f"{bang(self.inverted)}--state {','.join(self.states)}"

    def describe(self) -> str:
        return f"{bang(self.inverted)}state {','.join(self.states)}"


class Conntrack(Match):
    """`-m conntrack`: state, direction, original tuple, status."""

    name = "conntrack"
    options: ClassVar = {
        "ctstate": 1,
        "ctdir": 1,
        "ctorigdst": 1,
        "ctorigsrc": 1,
        "ctorigdstport": 1,
        "ctproto": 1,
        "ctstatus": 1,
    }
    needs_conntrack = True

    def __init__(self) -> None:
        self.conditions: dict[str, tuple[str, bool]] = {}
        self.states: tuple[str, ...] = ()
        self._prefixes: dict[str, tuple[int, int]] = {}
        self._ports = (0, 65535)

    def accept(self, option: str, values: Sequence[str], inverted: bool) -> None:
        text = self._normal(option, values[0])
        self.conditions[option] = (text, inverted)

    def _normal(self, option: str, value: str) -> str:
        if option == "ctstate":
            self.states = _parse_states(value)
            return ",".join(self.states)
        if option == "ctdir":
            if value.upper() not in ("ORIGINAL", "REPLY"):
                raise NetfilterError(f'Bad value for "--ctdir" option: "{value}"')
            return value.upper()
        if option in ("ctorigdst", "ctorigsrc"):
            return self._prefix(option, value)
        if option == "ctorigdstport":
            self._ports = parse_port_range(value)
            return format_port_range(*self._ports)
        if option == "ctproto":
            numbers = {"tcp": 6, "udp": 17, "icmp": 1, "icmpv6": 58, "ipv6-icmp": 58}
            return str(numbers[value] if value in numbers else parse_number(value, 0, 255, "ctproto"))
        return self._status(value)

    def _status(self, value: str) -> str:
        for word in value.split(","):
            if word.upper() not in ("NONE", "EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED"):
                raise NetfilterError(f'Bad ctstatus "{word}"')
        return value.upper()

    def _prefix(self, option: str, value: str) -> str:
        try:
            address, length = parse_prefix(value)
        except PacketError as error:
            raise NetfilterError(error.reason) from None
        address &= mask_for(address, length)
        self._prefixes[option] = (address, length)
        return format_prefix(address, length)

    def finish(self) -> None:
        if not self.conditions:
            raise NetfilterError("conntrack: At least one option is required")

    def test(self, packet: Packet, at: "Evaluation") -> bool:
        return all(self._hit(option, packet, text) != inverted for option, (text, inverted) in self.conditions.items())

    def _hit(self, option: str, packet: Packet, text: str) -> bool:
        connection = packet.connection
        if option == "ctstate":
            return self._in_state(packet, connection)
        if connection is None:
            return False
        original = connection.tuples[0]
        if option == "ctdir":
            return (packet.direction == 0) == (text == "ORIGINAL")
        if option in self._prefixes:
            address, length = self._prefixes[option]
            return (original[1] if option == "ctorigsrc" else original[3]) & mask_for(address, length) == address
        if option == "ctorigdstport":
            return self._ports[0] <= original[4] <= self._ports[1]
        if option == "ctproto":
            return original[0] == int(text)
        return self._has_status(connection, text)

    def _in_state(self, packet: Packet, connection: "Connection | None") -> bool:
        if (packet.connection_state or "INVALID") in self.states:
            return True
        if connection is None:
            return False
        return ("SNAT" in self.states and connection.nat_source) or (
            "DNAT" in self.states and connection.nat_destination
        )

    def _has_status(self, connection: "Connection", text: str) -> bool:
        held = {
            "SEEN_REPLY": connection.seen_reply,
            "ASSURED": connection.assured,
            "CONFIRMED": connection.confirmed,
        }
        return any(held.get(word, False) for word in text.split(","))

    def _parts(self) -> list[str]:
        return [f"{bang(inverted)}{option} {text}" for option, (text, inverted) in self.conditions.items()]

    def save(self) -> str:
        return " ".join(f"{bang(inverted)}--{option} {text}" for option, (text, inverted) in self.conditions.items())

    def describe(self) -> str:
        return " ".join(self._parts())


class Mark(Match):
    """`-m mark --mark value[/mask]`."""

    name = "mark"
    options: ClassVar = {"mark": 1}

    def __init__(self) -> None:
        self.value: int | None = None
        self.mask = 0xFFFFFFFF
        self.inverted = False

    def accept(self, option: str, values: Sequence[str], inverted: bool) -> None:
        self.value, self.mask = parse_value_mask(values[0], "mark")
        self.inverted = inverted

    def finish(self) -> None:
        if self.value is None:
            raise NetfilterError("mark match: The --mark option is required")

    def test(self, packet: Packet, at: "Evaluation") -> bool:
        return (packet.mark & self.mask == self.value) != self.inverted

    def _text(self) -> str:
        return f"{self.value:#x}" + ("" if self.mask == 0xFFFFFFFF else f"/{self.mask:#x}")

    def save(self) -> str:
        return f"{bang(self.inverted)}--mark {self._text()}"

    def describe(self) -> str:
        return f"{self.name} match {bang(self.inverted)}{self._text()}"


class ConnectionMark(Mark):
    """`-m connmark --mark value[/mask]`: the mark of the packet's connection; without one nothing matches."""

    name = "connmark"
    needs_conntrack = True

    def finish(self) -> None:
        if self.value is None:
            raise NetfilterError('connmark: option "--mark" must be specified')

    def test(self, packet: Packet, at: "Evaluation") -> bool:
        connection = packet.connection
        return connection is not None and (connection.mark & self.mask == self.value) != self.inverted
