"""UDP sockets (RFC 768; udp(7))."""

import errno
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from podwire.proto.packet.addresses import format_address, is_ipv6
from podwire.proto.packet.ipv4 import UDP
from podwire.proto.packet.udp import build_datagram
from podwire.services.node.kernel.drops import DropReason
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.packet import Packet
from podwire.services.node.kernel.sockets.base import (
    ANY,
    ANY6,
    RECEIVE_BUFFER,
    Endpoint,
    Socket,
    atomic,
    overlap,
    parse_endpoint,
)

if TYPE_CHECKING:
    from podwire.services.node.kernel.namespace import Namespace

OVERHEAD: Final = 256
"""What a waiting datagram is charged beside its payload, so that empty ones are bounded too."""
TRACED_PEERS: Final = 64
REPORTS_LIMIT: Final = 256


class Datagram(NamedTuple):
    """A received datagram: from where, to which of our addresses, and the trace it carried."""

    payload: bytes
    source: Endpoint
    destination: str
    trace: str


class PathReport(NamedTuple):
    """An ICMP error about a datagram that was sent, as the error queue tells it (ip(7), IP_RECVERR).

    `port` is where the datagram was for, `ttl` is the report's own, `mtu` 0 unless that is the complaint; `time` is ns.
    """

    type: int
    code: int
    source: str
    port: int
    ttl: int
    mtu: int
    time: int


class UdpSocket(Socket):
    """A UDP socket. What it sends to a peer whose last datagram was traced is traced too."""

    def __init__(self, namespace: "Namespace", trace: str = "") -> None:
        super().__init__(namespace, trace)
        self._queue: deque[Datagram] = deque()
        self._charged = 0
        self._traces: dict[tuple[int, int], str] = {}
        self._reports: deque[PathReport] | None = None

    @property
    def waiting(self) -> int:
        """Bytes that the datagrams in the queue are charged."""
        return self._charged

    def bind(self, endpoint: Endpoint) -> None:
        """Take a local address and port (0: an ephemeral one); KernelError EADDRINUSE, EADDRNOTAVAIL."""
        self.check_open()
        address, port = parse_endpoint(endpoint)
        table = self.namespace.sockets
        table.check_local(address, transparent=self.transparent)
        if self.local[1]:
            raise KernelError(errno.EINVAL)
        if port == 0:
            port = next((each for each in table.ephemeral_ports() if self._free(address, each)), 0)
        if not port or not self._free(address, port):
            raise KernelError(errno.EADDRINUSE)
        self.local = (address, port)
        table.udp.setdefault(port, []).append(self)
        table.udp_version += 1

    def _free(self, address: int, port: int) -> bool:
        others = self.namespace.sockets.udp.get(port, ())
        return not self.namespace.is_tunnel_port(port) and not any(overlap(other.local[0], address) for other in others)

    def connect(self, endpoint: Endpoint) -> None:
        """Fix the peer, and with it the source address; KernelError ENETUNREACH."""
        remote = parse_endpoint(endpoint)
        source = self.namespace.sockets.source_for(remote[0])
        if not self.local[1]:
            self.bind((format_address(source), 0))
        elif self.local[0] in (ANY, ANY6):
            self.local = (source, self.local[1])
        self.remote = remote
        self.namespace.sockets.udp_version += 1

    def send(self, payload: bytes) -> None:
        """Send to the peer; KernelError EDESTADDRREQ, or what an ICMP error reported."""
        if self.remote is None:
            raise KernelError(errno.EDESTADDRREQ)
        self.send_to(payload, (format_address(self.remote[0]), self.remote[1]))

    def queue_errors(self) -> None:
        """Have ICMP errors wait to be read by `report`, instead of failing calls."""
        self._reports = deque(maxlen=REPORTS_LIMIT)

    @property
    def queues_errors(self) -> bool:
        """Whether `queue_errors` was called."""
        return self._reports is not None

    def report(self) -> PathReport | None:
        """The oldest report that waits, None if there is none."""
        return self._reports.popleft() if self._reports else None

    def error_arrived(self, report: PathReport) -> None:
        """Queue a report; the oldest goes if nobody reads."""
        if self._reports is not None:
            self._reports.append(report)
            self.ready()

    @atomic
    def probe(self, payload: bytes, endpoint: Endpoint, ttl: int) -> None:
        """Send a datagram with a TTL that no router may cut (IP_PMTUDISC_PROBE); KernelError ENETUNREACH, EMSGSIZE."""
        self.check_open()
        address, port = parse_endpoint(endpoint)
        if len(payload) > 65507:
            raise KernelError(errno.EMSGSIZE)
        source = self.namespace.sockets.source_for(address)
        if not self.local[1]:
            self.bind(("::" if is_ipv6(address) else "0.0.0.0", 0))
        datagram = build_datagram(source, self.local[1], address, port, payload)
        self.transmit(source, address, UDP, datagram, ttl=ttl, probe=True)

    @atomic
    def send_to(self, payload: bytes, endpoint: Endpoint, source: str = "") -> None:
        """Send a datagram; KernelError EMSGSIZE, ENETUNREACH, or a pending error."""
        self.check_open()
        self.raise_error()
        if len(payload) > 65507:
            raise KernelError(errno.EMSGSIZE)
        address, port = parse_endpoint(endpoint)
        if not self.local[1]:
            self.bind(("::" if is_ipv6(address) else "0.0.0.0", 0))
        own = parse_endpoint((source, 0))[0] if source else self.local[0]
        own = own if own not in (ANY, ANY6) else self.namespace.sockets.source_for(address)
        if is_ipv6(own) != is_ipv6(address):
            raise KernelError(errno.EAFNOSUPPORT)
        self.namespace.sockets.source_for(address)
        datagram = build_datagram(own, self.local[1], address, port, payload)
        kept, self.trace = self.trace, self.trace or self._traces.pop((address, port), "")
        self.transmit(own, address, UDP, datagram)
        self.trace = kept

    def receive(self) -> Datagram | None:
        """The oldest waiting datagram, None if there is none; KernelError for a pending error."""
        self.check_open()
        self.raise_error()
        if not self._queue:
            return None
        datagram = self._queue.popleft()
        self._charged -= len(datagram.payload) + OVERHEAD
        return datagram

    def datagram_arrived(self, packet: Packet, payload: bytes) -> None:
        """Queue a datagram, or drop it if the owner is too slow."""
        source = (format_address(packet.source), packet.source_port)
        if packet.trace:
            if len(self._traces) >= TRACED_PEERS:
                self._traces.pop(next(iter(self._traces)))
            self._traces[packet.source, packet.source_port] = packet.trace
        if not self.take(payload, source, format_address(packet.destination), packet.trace):
            self.namespace.kernel.drop(packet, self.namespace, DropReason.SOCKET_RCVBUFF, "receive queue full")

    def take(self, payload: bytes, source: Endpoint, destination: str, trace: str = "") -> bool:
        """Queue a datagram; false if there is no room."""
        charge = len(payload) + OVERHEAD
        if self._charged + charge > RECEIVE_BUFFER:
            return False
        self._charged += charge
        self._queue.append(Datagram(payload, source, destination, trace))
        if self.on_ready is not None:
            self.on_ready()
        return True

    def close(self) -> None:
        """Give the port back."""
        if self.closed:
            return
        self.closed = True
        self.namespace.sockets.udp_version += 1
        sockets = self.namespace.sockets.udp.get(self.local[1], [])
        if self in sockets:
            sockets.remove(self)
        if not sockets:
            self.namespace.sockets.udp.pop(self.local[1], None)
