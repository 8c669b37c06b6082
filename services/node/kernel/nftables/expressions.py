"""What a rule can read of a packet: header fields, metadata, conntrack, routes, numbers (nft(8), EXPRESSIONS).

An expression gives one value a field, or None where the packet has no such thing, which matches nothing.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from podwire.proto.packet.addresses import IPV6, is_multicast
from podwire.proto.packet.ethernet import TYPE_IPV6
from podwire.proto.packet.ipv4 import ICMP, TCP, UDP
from podwire.proto.packet.ipv6 import ICMPV6
from podwire.services.node.kernel.nftables import datatypes as types
from podwire.services.node.kernel.nftables.datatypes import Datatype, Scalar
from podwire.services.node.kernel.packet import Packet

if TYPE_CHECKING:
    from podwire.services.node.kernel.netfilter.evaluation import Evaluation

SCTP: Final = 132
type Read = Callable[[Packet, "Evaluation"], Scalar | None]


class Expression(ABC):
    """Something that a packet has."""

    needs_conntrack: ClassVar[bool] = False

    @property
    @abstractmethod
    def fields(self) -> tuple[Datatype, ...]:
        """The types of its values."""

    @abstractmethod
    def load(self, packet: Packet, at: "Evaluation") -> tuple[Scalar, ...] | None:
        """Its values, None if the packet has none."""

    @abstractmethod
    def text(self) -> str:
        """How nft writes it."""


@dataclass(frozen=True, slots=True)
class Field(Expression):
    """One field, read by a function; `protocol` is the transport it belongs to (0: none)."""

    name: str
    datatype: Datatype
    read: Read
    protocol: int = 0

    @property
    def fields(self) -> tuple[Datatype, ...]:
        return (self.datatype,)

    def load(self, packet: Packet, at: "Evaluation") -> tuple[Scalar, ...] | None:
        value = self.read(packet, at)
        return None if value is None else (value,)

    def text(self) -> str:
        return self.name


class ConntrackField(Field):
    """A field of the packet's connection."""

    needs_conntrack = True


@dataclass(frozen=True, slots=True)
class Concatenation(Expression):
    """Several expressions at once."""

    parts: tuple[Expression, ...]

    @property
    def fields(self) -> tuple[Datatype, ...]:
        return tuple(each for part in self.parts for each in part.fields)

    def load(self, packet: Packet, at: "Evaluation") -> tuple[Scalar, ...] | None:
        values: list[Scalar] = []
        for part in self.parts:
            loaded = part.load(packet, at)
            if loaded is None:
                return None
            values += loaded
        return tuple(values)

    def text(self) -> str:
        return " . ".join(part.text() for part in self.parts)


@dataclass(frozen=True, slots=True)
class Bitwise(Expression):
    """`&`, `|` or `^` with a constant."""

    inner: Expression
    operator: str
    operand: int

    @property
    def fields(self) -> tuple[Datatype, ...]:
        return self.inner.fields

    def load(self, packet: Packet, at: "Evaluation") -> tuple[Scalar, ...] | None:
        loaded = self.inner.load(packet, at)
        if loaded is None or not isinstance(loaded[0], int):
            return None
        value = loaded[0]
        match self.operator:
            case "&":
                return (value & self.operand,)
            case "|":
                return (value | self.operand,)
            case _:
                return (value ^ self.operand,)

    def text(self) -> str:
        return f"{self.inner.text()} {self.operator} {self.fields[0].format(self.operand)}"


@dataclass(frozen=True, slots=True)
class Constant(Expression):
    """A value written out."""

    datatypes: tuple[Datatype, ...]
    values: tuple[Scalar, ...]

    @property
    def fields(self) -> tuple[Datatype, ...]:
        return self.datatypes

    def load(self, packet: Packet, at: "Evaluation") -> tuple[Scalar, ...] | None:
        return self.values

    def text(self) -> str:
        return " . ".join(kind.format(value) for kind, value in zip(self.datatypes, self.values, strict=True))


class NumberGenerator(Expression):
    """`numgen random|inc mod N [offset M]`: what load balancing draws."""

    def __init__(self, kind: str, modulus: int, offset: int = 0) -> None:
        self.kind, self.modulus, self.offset = kind, modulus, offset
        self._count = -1

    @property
    def fields(self) -> tuple[Datatype, ...]:
        return (types.INTEGER,)

    def load(self, packet: Packet, at: "Evaluation") -> tuple[Scalar, ...] | None:
        packet.recording = None
        if self.kind == "inc":
            self._count = (self._count + 1) % self.modulus
            return (self._count + self.offset,)
        draw = at.namespace.kernel.random.getrandbits(32)
        return ((draw * self.modulus >> 32) + self.offset,)

    def text(self) -> str:
        return f"numgen {self.kind} mod {self.modulus}" + (f" offset {self.offset}" if self.offset else "")


def _ipv4(read: Callable[[Packet], int]) -> Read:
    return lambda packet, _: None if packet.ethertype == TYPE_IPV6 else read(packet)


def _ipv6(read: Callable[[Packet], int]) -> Read:
    return lambda packet, _: read(packet) if packet.ethertype == TYPE_IPV6 else None


def _transport(protocol: int, at: int, size: int) -> Read:
    """A big-endian field `at` bytes into a transport header, of a certain protocol or (0) of any."""

    def read(packet: Packet, _: "Evaluation") -> int | None:
        fits = not protocol or packet.protocol == protocol
        payload = packet.payload
        if not fits or packet.fragment & 0x1FFF or len(payload) < at + size:
            return None
        return int.from_bytes(payload[at : at + size])

    return read


def _state(packet: Packet, _: "Evaluation") -> int | None:
    """What was not tracked, or not yet, is invalid."""
    return types.CT_STATES.get(packet.connection_state.lower(), types.CT_STATES["invalid"])


def _status(packet: Packet, _: "Evaluation") -> int | None:
    connection = packet.connection
    if connection is None:
        return None
    held = {
        "seen-reply": connection.seen_reply,
        "assured": connection.assured,
        "confirmed": connection.confirmed,
        "snat": connection.nat_source,
        "dnat": connection.nat_destination,
    }
    return sum(types.CT_STATUSES[name] for name, value in held.items() if value)


def _tuple_part(direction: int, part: int) -> Read:
    def read(packet: Packet, _: "Evaluation") -> int | None:
        return None if packet.connection is None else packet.connection.tuples[direction][part]

    return read


def _address_type(side: str, device: str = "") -> Read:
    def read(packet: Packet, at: "Evaluation") -> int | None:
        address = packet.source if side == "saddr" else packet.destination
        if is_multicast(address):
            return types.ADDRESS_TYPES["multicast"]
        if address in (0, IPV6):
            return types.ADDRESS_TYPES["unspec"]
        if address == 0xFFFFFFFF:
            return types.ADDRESS_TYPES["broadcast"]
        route = at.namespace.fib_for(address).lookup(address)
        if route is None:
            return types.ADDRESS_TYPES["unreachable"]
        name = at.in_name if device == "iif" else at.out_name if device == "oif" else ""
        if name and (route.device is None or route.device.name != name):
            return types.ADDRESS_TYPES["unicast"]
        return types.ADDRESS_TYPES.get(route.kind, 1)

    return read


def _payload_fields() -> dict[str, Field]:
    fields = {
        "ip saddr": (types.IPV4_ADDR, _ipv4(lambda packet: packet.source)),
        "ip daddr": (types.IPV4_ADDR, _ipv4(lambda packet: packet.destination)),
        "ip protocol": (types.INET_PROTO, _ipv4(lambda packet: packet.protocol)),
        "ip ttl": (types.BYTE, _ipv4(lambda packet: packet.ttl)),
        "ip length": (types.INTEGER, _ipv4(lambda packet: packet.length)),
        "ip dscp": (types.DSCP, _ipv4(lambda packet: packet.tos >> 2)),
        "ip6 saddr": (types.IPV6_ADDR, _ipv6(lambda packet: packet.source)),
        "ip6 daddr": (types.IPV6_ADDR, _ipv6(lambda packet: packet.destination)),
        "ip6 nexthdr": (types.INET_PROTO, _ipv6(lambda packet: packet.data[6])),
        "ip6 hoplimit": (types.BYTE, _ipv6(lambda packet: packet.ttl)),
        "ip6 dscp": (types.DSCP, _ipv6(lambda packet: packet.tos >> 2)),
    }
    return {name: Field(name, datatype, read) for name, (datatype, read) in fields.items()}


def _transport_fields() -> dict[str, Field]:
    found: dict[str, Field] = {}
    for header, protocol in (("tcp", TCP), ("udp", UDP), ("sctp", SCTP), ("th", 0)):
        for name, at in (("sport", 0), ("dport", 2)):
            text = f"{header} {name}"
            found[text] = Field(text, types.INET_SERVICE, _transport(protocol, at, 2), protocol)
    found["tcp flags"] = Field("tcp flags", types.TCP_FLAG, _transport(TCP, 13, 1), TCP)
    found["udp length"] = Field("udp length", types.INTEGER, _transport(UDP, 4, 2), UDP)
    for header, protocol, datatype in (("icmp", ICMP, types.ICMP_TYPE), ("icmpv6", ICMPV6, types.ICMPV6_TYPE)):
        found[f"{header} type"] = Field(f"{header} type", datatype, _transport(protocol, 0, 1), protocol)
        found[f"{header} code"] = Field(f"{header} code", types.BYTE, _transport(protocol, 1, 1), protocol)
    return found


def _meta_fields() -> dict[str, Field]:
    fields: dict[str, tuple[Datatype, Read]] = {
        "meta l4proto": (types.INET_PROTO, lambda packet, _: packet.protocol),
        "meta nfproto": (types.NF_PROTO, lambda packet, _: 10 if packet.ethertype == TYPE_IPV6 else 2),
        "meta protocol": (types.ETHER_TYPE, lambda packet, _: packet.ethertype),
        "meta mark": (types.MARK, lambda packet, _: packet.mark),
        "meta length": (types.INTEGER, lambda packet, _: packet.length),
        "iifname": (types.IFNAME, lambda _, at: at.in_name or None),
        "oifname": (types.IFNAME, lambda _, at: at.out_name or None),
        "iif": (types.IFNAME, lambda _, at: at.in_name or None),
        "oif": (types.IFNAME, lambda _, at: at.out_name or None),
    }
    return {name: Field(name, datatype, read) for name, (datatype, read) in fields.items()}


def _conntrack_fields() -> dict[str, Field]:
    fields: dict[str, tuple[Datatype, Read]] = {
        "ct state": (types.CT_STATE, _state),
        "ct status": (types.CT_STATUS, _status),
        "ct mark": (types.MARK, lambda packet, _: None if packet.connection is None else packet.connection.mark),
        "ct direction": (types.CT_DIRECTION, lambda packet, _: None if packet.connection is None else packet.direction),
        "ct original ip saddr": (types.IPV4_ADDR, _tuple_part(0, 1)),
        "ct original ip daddr": (types.IPV4_ADDR, _tuple_part(0, 3)),
        "ct original ip6 saddr": (types.IPV6_ADDR, _tuple_part(0, 1)),
        "ct original ip6 daddr": (types.IPV6_ADDR, _tuple_part(0, 3)),
        "ct original protocol": (types.INET_PROTO, _tuple_part(0, 0)),
        "ct original proto-dst": (types.INET_SERVICE, _tuple_part(0, 4)),
        "ct original proto-src": (types.INET_SERVICE, _tuple_part(0, 2)),
        "ct reply ip saddr": (types.IPV4_ADDR, _tuple_part(1, 1)),
        "ct reply ip daddr": (types.IPV4_ADDR, _tuple_part(1, 3)),
    }
    return {name: ConntrackField(name, datatype, read) for name, (datatype, read) in fields.items()}


def _fib_fields() -> dict[str, Field]:
    found: dict[str, Field] = {}
    for side in ("saddr", "daddr"):
        for device in ("", "iif", "oif"):
            name = f"fib {side}{f' . {device}' if device else ''} type"
            found[name] = Field(name, types.ADDRESS_TYPE, _address_type(side, device))
    return found


FIELDS: Final = _payload_fields() | _transport_fields() | _meta_fields() | _conntrack_fields() | _fib_fields()
"""Every field, by the words that name it."""
