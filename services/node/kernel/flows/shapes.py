"""Where packets of a kind keep what tells flows apart, and what must hold for lengths, as masks over one big number.

The first bytes of a packet become one integer: one AND gives the key of its flow, another the length fields, which are
compared with what the number of bytes says. That is a third of the time that slicing the fields out takes.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from podwire.proto.packet.ipv4 import ICMP, TCP, UDP
from podwire.proto.packet.vxlan import LINUX_PORT

PACKET, FRAME, TUNNELLED = 0, 14, 64
"""Where the IP packet begins: in what a socket made, in an Ethernet frame, inside VXLAN in an Ethernet frame."""
TUNNEL: Final = 50
"""Bytes that VXLAN puts before an inner IP packet, inner Ethernet header included, outer one not."""
PORT: Final = LINUX_PORT.to_bytes(2)
_OUTSIDE: Final = {PACKET: (), FRAME: ((0, 14),), TUNNELLED: ((0, 16), (20, 24), (26, 38), (40, 42), (42, 64))}
"""What the key takes of the headers outside: all but lengths, identification and header checksum."""
_INSIDE: Final = ((0, 2), (6, 10), (12, 20))
_TRANSPORT: Final = {UDP: ((20, 24),), TCP: ((20, 24),), ICMP: ((20, 22), (24, 26))}
"""Ports; of an echo type, code and identifier."""
_SHORTEST: Final = {UDP: 28, TCP: 40, ICMP: 28}


class Shape(NamedTuple):
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


def _shape(index: int, at: int, protocol: int) -> Shape:
    span = at + 26
    inside = [(at + start, at + end) for start, end in (*_INSIDE, *_TRANSPORT[protocol])]
    counted = [(at + 2, at)]
    if protocol == UDP:
        counted.append((at + 24, at + 20))
    if at == TUNNELLED:
        counted += [(16, 14), (38, 34)]
    units = [(1 << 8 * (span - field - 2), before) for field, before in counted]
    return Shape(
        index,
        at,
        protocol,
        at + _SHORTEST[protocol],
        span,
        _mask(span, [*_OUTSIDE[at], *inside]),
        _mask(span, [(field, field + 2) for field, _ in counted]),
        sum(unit for unit, _ in units),
        sum(unit * before for unit, before in units),
    )


SHAPES: Final = {
    at: {protocol: _shape(place * 4 + number, at, protocol) for number, protocol in enumerate((UDP, TCP, ICMP))}
    for place, at in enumerate((PACKET, FRAME, TUNNELLED))
}
"""Shapes by where the IP packet begins and by its protocol."""
