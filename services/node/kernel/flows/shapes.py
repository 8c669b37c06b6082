"""Where packets of a kind keep what tells flows apart, and what must hold for lengths, as masks over one big number.

The first bytes of a packet become one integer: one AND gives the key of its flow, another the length fields, which are
compared with what the number of bytes says. That is a third of the time that slicing the fields out takes.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from podwire.proto.packet.ipv4 import ICMP, TCP, UDP
from podwire.proto.packet.ipv6 import ICMPV6
from podwire.proto.packet.vxlan import LINUX_PORT

PACKET, FRAME, TUNNELLED, TUNNELLED6 = 0, 14, 64, 84
"""Where the IP packet begins: in what a socket made, in an Ethernet frame, inside VXLAN in an Ethernet frame."""
TUNNEL, TUNNEL6 = 50, 70
"""Bytes that VXLAN puts before an inner IP packet, inner Ethernet header included, outer one not."""
PORT: Final = LINUX_PORT.to_bytes(2)
Fields = tuple[tuple[int, int], ...]


class _Header(NamedTuple):
    """An IP header: its length and fields. `transport` is for ports; of an echo for type, code and identifier."""

    length: int
    fixed: Fields
    """What the key takes of it: all but lengths, identification and header checksum."""
    count_at: int
    counts_from: int
    """Where its own length stands, and what that counts from."""
    outside: dict[int, Fields]
    """What the key takes of the headers before it, by where it begins."""
    counts_outside: dict[int, Fields]
    """Where lengths stand there, and what they count from."""


_IPV4: Final = _Header(
    20,
    ((0, 2), (6, 10), (12, 20)),
    2,
    0,
    {PACKET: (), FRAME: ((0, 14),), TUNNELLED: ((0, 16), (20, 24), (26, 38), (40, 64))},
    {TUNNELLED: ((16, 14), (38, 34))},
)
_IPV6: Final = _Header(
    40,
    ((0, 4), (6, 40)),
    4,
    40,
    {PACKET: (), FRAME: ((0, 14),), TUNNELLED6: ((0, 18), (20, 58), (62, 84))},
    {TUNNELLED6: ((18, 54), (58, 54))},
)


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of packet. `span` bytes are read; lengths are right if `value & lengths == count * factor - base`."""

    number: int
    at: int
    protocol: int
    shortest: int
    span: int
    key: int
    lengths: int
    factor: int
    base: int


def _mask(span: int, fields: Iterable[tuple[int, int]]) -> int:
    return sum((1 << 8 * (end - start)) - 1 << 8 * (span - end) for start, end in fields)


def _shape(number: int, header: _Header, at: int, protocol: int) -> Shape:
    end = header.length
    span = at + end + 6
    ports: Fields = ((0, 2), (4, 6)) if protocol in (ICMP, ICMPV6) else ((0, 4),)
    inside = [(at + start, at + stop) for start, stop in header.fixed]
    transport = [(at + end + start, at + end + stop) for start, stop in ports]
    counted = [(at + header.count_at, at + header.counts_from), *header.counts_outside.get(at, ())]
    if protocol == UDP:
        counted.append((at + end + 4, at + end))
    units = [(1 << 8 * (span - field - 2), before) for field, before in counted]
    return Shape(
        number,
        at,
        protocol,
        at + end + (20 if protocol == TCP else 8),
        span,
        _mask(span, [*header.outside[at], *inside, *transport]),
        _mask(span, [(field, field + 2) for field, _ in counted]),
        sum(unit for unit, _ in units),
        sum(unit * before for unit, before in units),
    )


def _shapes(header: _Header, protocols: tuple[int, ...], first: int) -> dict[int, dict[int, Shape]]:
    numbers = itertools.count(first)
    return {
        at: {protocol: _shape(next(numbers), header, at, protocol) for protocol in protocols} for at in header.outside
    }


SHAPES: Final = _shapes(_IPV4, (UDP, TCP, ICMP), 0)
"""Of IPv4, by where the IP packet begins and by its protocol."""
SHAPES6: Final = _shapes(_IPV6, (UDP, TCP, ICMPV6), 9)
NUMBER_BITS: Final = 5
"""What a shape's number fits into."""
