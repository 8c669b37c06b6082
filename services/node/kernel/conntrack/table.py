"""The connection table of a namespace (Linux net/netfilter/nf_conntrack_core.c), bounded by nf_conntrack_max."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from podwire.proto.packet import icmpv6
from podwire.proto.packet.addresses import ipv6_number
from podwire.proto.packet.checksum import internet_checksum, transport_checksum
from podwire.proto.packet.errors import PacketError
from podwire.proto.packet.ethernet import TYPE_IPV6
from podwire.proto.packet.icmp import ECHO_REPLY, ECHO_REQUEST, ERRORS
from podwire.proto.packet.ipv4 import ICMP, SCTP, TCP, UDP
from podwire.proto.packet.ipv6 import HEADER_LENGTH, ICMPV6, find_upper
from podwire.proto.packet.sctp import packet_checksum
from podwire.services.node.kernel.conntrack import sctp, tcp
from podwire.services.node.kernel.conntrack.entry import ORIGINAL, REPLY, Connection, Tuple, inverse
from podwire.services.node.kernel.conntrack.statistics import Statistics
from podwire.services.node.kernel.drops import DropReason
from podwire.services.node.kernel.packet import FRAGMENT_BITS, Packet

if TYPE_CHECKING:
    from podwire.services.node.kernel.namespace import Namespace

SECOND: Final = 1_000_000_000
GENERIC_TIMEOUT: Final = 600 * SECOND
ICMP_TIMEOUT: Final = 30 * SECOND
SWEEP: Final = 60 * SECOND
LAST_ICMP_TYPE: Final = 18
UNTRACKED: Final = "UNTRACKED"
ECHOES: Final = {
    ICMP: {ECHO_REQUEST: ECHO_REPLY, 13: 14, 15: 16, 17: 18},
    ICMPV6: {icmpv6.ECHO_REQUEST: icmpv6.ECHO_REPLY},
}
"""Protocol → the types of questions, and of their answers (timestamp, information and mask requests beside echo)."""
_QUESTION_OF: Final = {
    protocol: {answer: question for question, answer in pairs.items()} for protocol, pairs in ECHOES.items()
}
_DISCOVERY: Final = (130, 131, 132, 133, 134, 135, 136, 137, 143)
"""ICMPv6 types that are never tracked (nf_conntrack_proto_icmpv6.c, noct_valid_new)."""


class ConnectionTable:
    """All connections of a namespace, found by the tuple of either direction."""

    __slots__ = ("_namespace", "_sweeper", "by_tuple", "statistics")

    def __init__(self, namespace: "Namespace") -> None:
        self._namespace = namespace
        self.by_tuple: dict[Tuple, tuple[Connection, int]] = {}
        self.statistics = Statistics()
        self._sweeper = namespace.kernel.timer(self._sweep)

    def __len__(self) -> int:
        return len(self.by_tuple) // 2

    def connections(self) -> Iterator[Connection]:
        """Every live connection, oldest first."""
        self._namespace.kernel.settle()
        for connection, direction in list(self.by_tuple.values()):
            if direction == ORIGINAL and connection.expires > self._namespace.kernel.now:
                yield connection

    def track(self, packet: Packet, *, verify: bool = False) -> bool:
        """Attach a packet to its connection, new or known; false if the packet must die (table full).

        What comes from outside is verified first: a wrong checksum makes it INVALID (nf_conntrack_checksum).
        """
        if packet.connection_state not in ("", "INVALID"):
            return True  # seen already (loopback) or untracked; what was invalid is looked at again
        if packet.protocol == ICMPV6 and is_discovery(packet):
            packet.connection_state = UNTRACKED
            return True
        packet.connection_state = "INVALID"
        if not is_sound(packet, verify=verify):
            return self._reject(packet, is_error=packet.protocol in ECHOES)
        key = self._tuple(packet)
        if key is None:
            return self._track_icmp_error(packet)
        found = self.lookup(key)
        if found is None:
            return self._begin(packet, key)
        return self._continue(packet, key, *found)

    def _reject(self, packet: Packet, *, is_error: bool = False) -> bool:
        """Leave a packet INVALID; an ICMP type that nobody knows is an error as well (nf_conntrack_icmpv4_error)."""
        packet.recording = None
        if is_error or (packet.protocol == ICMP and packet.payload[0] > LAST_ICMP_TYPE):
            self.statistics.error += 1
        else:
            self.statistics.invalid += 1
        return True

    def is_taken(self, key: Tuple) -> bool:
        """Whether a connection has the tuple, so that NAT must find another (nf_conntrack_tuple_taken)."""
        taken = self.lookup(key) is not None
        self.statistics.found += taken
        return taken

    def _tuple(self, packet: Packet) -> Tuple | None:
        protocol = packet.protocol
        if protocol in (TCP, UDP, SCTP):
            return (
                protocol,
                packet.source,
                packet.source_port,
                packet.destination,
                packet.destination_port,
            )
        if protocol not in (ICMP, ICMPV6):
            return (protocol, packet.source, 0, packet.destination, 0)
        payload = packet.payload
        if len(payload) < 8 or is_error(protocol, payload[0]):
            return None
        question = _QUESTION_OF[protocol].get(payload[0], payload[0])
        identifier = question << 16 | int.from_bytes(payload[4:6])
        return (protocol, packet.source, identifier, packet.destination, identifier)

    def lookup(self, key: Tuple) -> tuple[Connection, int] | None:
        """The live connection that a tuple belongs to, and in which direction."""
        found = self.by_tuple.get(key)
        if found is None or found[0].expires > self._namespace.kernel.now:
            return found
        self._namespace.kernel.settle()
        if found[0].expires > self._namespace.kernel.now:
            return found
        self.remove(found[0])
        return None

    def _begin(self, packet: Packet, key: Tuple) -> bool:
        tracking = None
        if packet.protocol == SCTP:
            first = sctp.read(packet.payload)
            tracking = None if first is None else sctp.begin(first)
            if tracking is None:
                return self._reject(packet)
        state = self._first_state(packet)
        if state is None:
            return self._reject(packet)
        if len(self) >= int(self._namespace.sysctls["net.netfilter.nf_conntrack_max"]):
            self.statistics.drop += 1
            detail = "nf_conntrack: table full, dropping packet"
            self._namespace.kernel.drop(packet, self._namespace, DropReason.NETFILTER_DROP, detail)
            return False
        connection = Connection(key, self._namespace.kernel.now)
        connection.tcp_state, connection.sctp = state, tracking
        self._attach(packet, connection, ORIGINAL)
        self._touch(packet, connection)
        return True

    def _first_state(self, packet: Packet) -> str | None:
        if packet.protocol in ECHOES:
            return "NONE" if packet.payload[0] in ECHOES[packet.protocol] else None
        if packet.protocol != TCP:
            return "NONE"
        if len(packet.payload) < 20:
            return None
        state = tcp.TRANSITIONS[ORIGINAL, tcp.kind_of(packet.tcp_flags), "NONE"]
        return None if state == tcp.INVALID else state

    def _continue(self, packet: Packet, key: Tuple, connection: Connection, direction: int) -> bool:
        if packet.protocol in ECHOES:
            direction = self._echo_direction(packet, connection, direction)
            if direction < 0:
                return self._reject(packet)
        if packet.protocol == TCP:
            state = self._next_tcp_state(packet, connection, direction)
            if state == tcp.INVALID:
                return self._reject(packet)
            reopened = state == "SYN_SENT" and connection.tcp_state in ("TIME_WAIT", "CLOSE")
            if reopened and direction == ORIGINAL:
                self.remove(connection)
                return self._begin(packet, key)
            self._set_tcp_state(connection, state, direction)
        if packet.protocol == SCTP and not self._continue_sctp(packet, connection, direction):
            return self._reject(packet)
        if direction == REPLY and not connection.seen_reply:
            connection.seen_reply = True
            connection.invalidate_flows()
        self._attach(packet, connection, direction)
        self._touch(packet, connection)
        return True

    def _continue_sctp(self, packet: Packet, connection: Connection, direction: int) -> bool:
        """Whether the packet fits the association's state and tags."""
        tracking, read = connection.sctp, sctp.read(packet.payload)
        if tracking is None or read is None:
            return False
        before = tracking.state
        if not sctp.advance(tracking, read, direction):
            return False
        if direction == REPLY and (before, tracking.state) == ("COOKIE_ECHOED", "ESTABLISHED"):
            connection.assured = True
        return True

    def _echo_direction(self, packet: Packet, connection: Connection, direction: int) -> int:
        is_question = packet.payload[0] in ECHOES[packet.protocol]
        if connection.tuples[ORIGINAL] == connection.tuples[REPLY]:
            return ORIGINAL if is_question else REPLY
        return direction if is_question == (direction == ORIGINAL) else -1

    def _next_tcp_state(self, packet: Packet, connection: Connection, direction: int) -> str:
        if len(packet.payload) < 20:
            return tcp.INVALID
        return tcp.TRANSITIONS[direction, tcp.kind_of(packet.tcp_flags), connection.tcp_state]

    def _set_tcp_state(self, connection: Connection, state: str, direction: int) -> None:
        if state == tcp.IGNORE:
            return
        old, connection.tcp_state = connection.tcp_state, state
        if old != state:
            connection.invalidate_flows()
        if state == "ESTABLISHED" and (connection.seen_reply or direction == REPLY):
            connection.assured = True

    def _attach(self, packet: Packet, connection: Connection, direction: int) -> None:
        packet.connection, packet.direction = connection, direction
        seen = connection.seen_reply or direction == REPLY
        packet.connection_state = "ESTABLISHED" if seen else "NEW"
        if packet.trace and not connection.trace:
            connection.trace = packet.trace
            connection.invalidate_flows()
        elif connection.trace and not packet.trace:
            packet.trace = connection.trace
            packet.recording = None

    def _touch(self, packet: Packet, connection: Connection) -> None:
        if connection.sctp is not None and not connection.sctp.refreshed:
            return
        timeout = self._timeout(packet, connection)
        connection.refresh(self._namespace.kernel.now, timeout)
        recording = packet.recording
        if recording is None:
            return
        if not connection.confirmed or (packet.protocol == TCP and connection.tcp_state != "ESTABLISHED"):
            packet.recording = None
        elif packet.protocol == UDP and connection.seen_reply and not connection.assured:
            packet.recording = None  # its timeout grows once it is two seconds old
        else:
            recording.connections.append(connection)

    def _timeout(self, packet: Packet, connection: Connection) -> int:
        sysctls = self._namespace.sysctls
        if packet.protocol == TCP:
            if connection.tcp_state == "ESTABLISHED":
                return int(sysctls["net.netfilter.nf_conntrack_tcp_timeout_established"]) * SECOND
            if connection.tcp_state == "CLOSE_WAIT":
                return int(sysctls["net.netfilter.nf_conntrack_tcp_timeout_close_wait"]) * SECOND
            return tcp.TIMEOUTS[connection.tcp_state]
        if packet.protocol == UDP:
            if connection.seen_reply and self._namespace.kernel.now > connection.created + 2 * SECOND:
                connection.assured = True
                return int(sysctls["net.netfilter.nf_conntrack_udp_timeout_stream"]) * SECOND
            return int(sysctls["net.netfilter.nf_conntrack_udp_timeout"]) * SECOND
        if connection.sctp is not None:
            return int(sysctls[f"net.netfilter.nf_conntrack_sctp_timeout_{connection.sctp.state.lower()}"]) * SECOND
        return ICMP_TIMEOUT if packet.protocol in ECHOES else GENERIC_TIMEOUT

    def _track_icmp_error(self, packet: Packet) -> bool:
        """An error answers the packet that it quotes, as that looked after NAT (nf_conntrack_inet_error)."""
        quoted = quoted_packet(packet)
        key = None if quoted is None else self._tuple(quoted)
        found = None if key is None else self.lookup(inverse(key))
        if found is None:
            self.statistics.error += 1
        else:
            packet.connection, packet.direction = found
            packet.connection_state, packet.related = "RELATED", True
            packet.trace = packet.trace or packet.connection.trace
        return True

    def confirm(self, packet: Packet) -> bool:
        """Enter a new connection into the table as its first packet leaves; false on a clash."""
        connection = packet.connection
        if connection is None or connection.confirmed or packet.related:
            return True
        original, reply = connection.tuples
        if self.lookup(original) is not None or (reply != original and self.lookup(reply) is not None):
            self.statistics.insert_failed += 1
            self.statistics.drop += 1
            self._namespace.kernel.drop(packet, self._namespace, DropReason.NETFILTER_DROP, "conntrack clash")
            return False
        connection.confirmed = True
        self.by_tuple[reply] = (connection, REPLY)
        self.by_tuple[original] = (connection, ORIGINAL)
        if self._sweeper.deadline is None:
            self._sweeper.set(self._namespace.kernel.now + SWEEP)
        return True

    def remove(self, connection: Connection) -> None:
        """Forget a connection."""
        connection.invalidate_flows()
        connection.confirmed = False
        for key in connection.tuples:
            self.by_tuple.pop(key, None)

    def delete(self, wanted: Callable[[Connection], bool]) -> int:
        """Forget what `wanted` says (conntrack -D); how many that were."""
        doomed = [connection for connection in self.connections() if wanted(connection)]
        for connection in doomed:
            self.remove(connection)
        return len(doomed)

    def _sweep(self) -> None:
        self._namespace.kernel.settle()
        now = self._namespace.kernel.now
        expired = [
            connection
            for connection, direction in self.by_tuple.values()
            if direction == ORIGINAL and connection.expires <= now
        ]
        for connection in expired:
            self.remove(connection)
        if self.by_tuple:
            self._sweeper.set(now + SWEEP)


def is_sound(packet: Packet, *, verify: bool) -> bool:
    """Whether a packet's transport header may be believed: its checksum if `verify`, and a segment's flags."""
    protocol, payload = packet.protocol, packet.payload
    if protocol == TCP and not (len(payload) >= 20 and tcp.are_valid(packet.tcp_flags)):
        return False
    if not verify or packet.fragment & FRAGMENT_BITS:
        return True
    if protocol == ICMP:
        return not internet_checksum(payload)
    if protocol == SCTP:
        return len(payload) >= 12 and int.from_bytes(payload[8:12]) == packet_checksum(payload)
    if protocol not in (TCP, UDP, ICMPV6):
        return True
    if protocol == UDP and len(payload) >= 8 and packet.ethertype != TYPE_IPV6 and not payload[6] | payload[7]:
        return True
    return not transport_checksum(packet.source, packet.destination, protocol, payload)


def is_error(protocol: int, kind: int) -> bool:
    """Whether an ICMP type of a protocol is an error, which answers the packet that it quotes."""
    return kind < icmpv6.FIRST_INFORMATIONAL if protocol == ICMPV6 else kind in ERRORS


def is_discovery(packet: Packet) -> bool:
    """Whether it is neighbour or router discovery or multicast listening."""
    return bool(packet.payload) and packet.payload[0] in _DISCOVERY


def quoted_packet(packet: Packet) -> Packet | None:
    """The packet that an ICMP error quotes, as far as it is quoted; None if there is none to speak of."""
    octets = bytes(packet.payload)
    if len(octets) < 8 + 20 or packet.protocol not in ECHOES or not is_error(packet.protocol, octets[0]):
        return None
    return _quoted6(octets[8:]) if packet.ethertype == TYPE_IPV6 else _quoted4(octets[8:])


def _quoted_minimum(protocol: int) -> int:
    """What must be quoted to tell the connection: ports or an identifier, where there are such."""
    return 8 if protocol in (TCP, UDP, *ECHOES) else 0


def _quoted4(octets: bytes) -> Packet | None:
    inner = Packet(octets)
    inner.header_length = (inner.data[0] & 15) * 4
    if inner.data[0] >> 4 != 4 or inner.header_length < 20 or len(inner.data) < inner.header_length:
        return None
    inner.fragment = int.from_bytes(inner.data[6:8])
    inner.protocol = inner.data[9]
    if len(inner.data) < inner.header_length + _quoted_minimum(inner.protocol):
        return None
    inner.source, inner.destination = int.from_bytes(inner.data[12:16]), int.from_bytes(inner.data[16:20])
    inner.parse_ports()
    return inner


def _quoted6(octets: bytes) -> Packet | None:
    if len(octets) < HEADER_LENGTH or octets[0] >> 4 != 6:
        return None
    inner = Packet(octets, TYPE_IPV6)
    try:
        upper = find_upper(octets)
    except PacketError:
        return None
    inner.header_length, inner.protocol, inner.fragment = upper.at, upper.protocol, upper.fragment
    if len(octets) < upper.at + _quoted_minimum(upper.protocol):
        return None
    inner.source, inner.destination = ipv6_number(octets[8:24]), ipv6_number(octets[24:40])
    inner.parse_ports()
    return inner


__all__ = ["UNTRACKED", "ConnectionTable", "inverse", "quoted_packet"]
