"""Address translation on tracked connections (Linux net/netfilter/nf_nat_core.c).

Rules decide once, for a connection's first packet; afterwards both directions are rewritten from the tuples.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from podwire.proto.packet.checksum import internet_checksum, transport_checksum, updated_checksum
from podwire.proto.packet.ipv4 import SCTP, TCP, UDP
from podwire.proto.packet.ipv6 import ICMPV6
from podwire.services.node.kernel.conntrack.entry import IDENTIFIER, ORIGINAL, Connection, Tuple, inverse
from podwire.services.node.kernel.conntrack.table import ECHOES, quoted_packet
from podwire.services.node.kernel.packet import Packet

if TYPE_CHECKING:
    from podwire.services.node.kernel.namespace import Namespace

ATTEMPTS: Final = 128


@dataclass(frozen=True, slots=True)
class NatRange:
    """Addresses and ports to choose from; None leaves that part as it is."""

    low: int | None = None
    high: int | None = None
    low_port: int | None = None
    high_port: int | None = None
    random: bool = False
    persistent: bool = False


NO_CHANGE: Final = NatRange()


def set_up(namespace: "Namespace", packet: Packet, wanted: NatRange, *, source: bool) -> bool:
    """Bind a new connection's source or destination to a range; false if no free tuple was found."""
    connection = packet.connection
    assert connection is not None
    if connection.nat_source_done if source else connection.nat_destination_done:
        return True
    current = inverse(connection.tuples[1])
    chosen = _choose(namespace, current, wanted, source=source)
    if chosen is None:
        return False
    if chosen != current:
        connection.tuples[1] = inverse(chosen)
        if source:
            connection.nat_source = True
        else:
            connection.nat_destination = True
    if source:
        connection.nat_source_done = True
    else:
        connection.nat_destination_done = True
    return True


def _choose(namespace: "Namespace", current: Tuple, wanted: NatRange, *, source: bool) -> Tuple | None:
    moved = _with_address(current, _pick_address(current, wanted, source=source), source=source)
    ports = _port_range(moved, wanted, source=source)
    port = moved[2] if source else moved[4]
    kept = not wanted.random and (wanted.low_port is None or ports[0] <= port <= ports[1])
    if kept and (not source or _free(namespace, moved)):
        return moved
    if moved[0] not in (TCP, UDP, SCTP, *ECHOES):
        return moved
    return _search_port(namespace, moved, ports, source=source)


def _pick_address(current: Tuple, wanted: NatRange, *, source: bool) -> int:
    if wanted.low is None:
        return current[1] if source else current[3]
    count = (wanted.high or wanted.low) - wanted.low + 1
    spread = current[1] * 0x9E3779B1 + (0 if wanted.persistent else current[3] * 0x85EBCA77)
    return wanted.low + (spread >> 8) % count


def _with_address(current: Tuple, address: int, *, source: bool) -> Tuple:
    protocol, from_, from_port, to, to_port = current
    return (protocol, address, from_port, to, to_port) if source else (protocol, from_, from_port, address, to_port)


def _with_port(current: Tuple, port: int, *, source: bool) -> Tuple:
    protocol, from_, from_port, to, to_port = current
    if protocol in ECHOES:
        identifier = from_port & ~IDENTIFIER | port
        return (protocol, from_, identifier, to, identifier)
    return (protocol, from_, port, to, to_port) if source else (protocol, from_, from_port, to, port)


def _port_range(current: Tuple, wanted: NatRange, *, source: bool) -> tuple[int, int]:
    """The ports to search: those of the rule, else the class that the old port is in (nf_nat_l4proto_unique_tuple)."""
    if wanted.low_port is not None:
        return wanted.low_port, wanted.high_port or wanted.low_port
    port = current[2] if source else current[4]
    if current[0] in ECHOES:
        return 0, 65535
    if port < 512:
        return 1, 511
    return (600, 1023) if port < 1024 else (1024, 65535)


def _search_port(namespace: "Namespace", current: Tuple, ports: tuple[int, int], *, source: bool) -> Tuple | None:
    low, high = ports
    count = high - low + 1
    start = namespace.kernel.random.getrandbits(16) if count > 1 else 0
    for step in range(min(count, ATTEMPTS)):
        candidate = _with_port(current, low + (start + step) % count, source=source)
        if not source or _free(namespace, candidate):
            return candidate
    return None


def _free(namespace: "Namespace", candidate: Tuple) -> bool:
    return not namespace.netfilter.connections.is_taken(inverse(candidate))


def translate(packet: Packet, *, source: bool) -> tuple[str, str] | None:
    """Rewrite one side of a packet as its connection demands; the endpoint before and after, None if unchanged."""
    connection = packet.connection
    if connection is None or not _applies(connection, packet.direction, source=source):
        return None
    target = inverse(connection.tuples[1 - packet.direction])
    before = packet.endpoints()
    if packet.related and packet.protocol in ECHOES:
        translate_error(packet, target, source=source)
    elif source:
        _set_identifier(packet, target)
        packet.set_source(target[1], target[2])
    else:
        _set_identifier(packet, target)
        packet.set_destination(target[3], target[4])
    after = packet.endpoints()
    return (before[0], after[0]) if source else (before[1], after[1])


def _applies(connection: Connection, direction: int, *, source: bool) -> bool:
    if direction == ORIGINAL:
        return connection.nat_source if source else connection.nat_destination
    return connection.nat_destination if source else connection.nat_source


def _set_identifier(packet: Packet, target: Tuple) -> None:
    if packet.protocol not in ECHOES or len(packet.data) < packet.header_length + 8:
        return
    at = packet.header_length
    old, new, data = int.from_bytes(packet.data[at + 4 : at + 6]), target[2] & IDENTIFIER, packet.data
    if old == new:
        return
    data[at + 4 : at + 6] = new.to_bytes(2)
    checksum = updated_checksum(int.from_bytes(data[at + 2 : at + 4]), old, new)
    data[at + 2 : at + 4] = checksum.to_bytes(2)


def translate_error(packet: Packet, target: Tuple, *, source: bool) -> None:
    """An ICMP error: its own header, and the header it quotes, which travelled the other way.

    Its source becomes the target's, or its destination; so does the quoted packet's other end, port included.
    """
    inner = quoted_packet(packet)
    if inner is None:
        return
    _set_identifier(inner, target)
    if source:
        inner.set_destination(target[1], target[2])
        packet.set_source(target[1], 0)
    else:
        inner.set_source(target[3], target[4])
        packet.set_destination(target[3], 0)
    at = packet.header_length
    packet.data[at + 8 :] = inner.data
    packet.data[at + 2 : at + 4] = b"\0\0"
    if packet.protocol == ICMPV6:
        checksum = transport_checksum(packet.source, packet.destination, ICMPV6, packet.payload)
    else:
        checksum = internet_checksum(packet.data[at:])
    packet.data[at + 2 : at + 4] = checksum.to_bytes(2)
