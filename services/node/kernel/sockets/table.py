"""All sockets of one namespace: ports, demultiplexing, and what comes of packets that no socket wants."""

import errno
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Final

from podwire.proto.packet.addresses import format_address
from podwire.proto.packet.checksum import transport_checksum
from podwire.proto.packet.errors import PacketError
from podwire.proto.packet.icmp import Icmp
from podwire.proto.packet.internet import build_packet
from podwire.proto.packet.ipv4 import SCTP, TCP, UDP
from podwire.proto.packet.tcp import ACK, FIN, RST, SYN, Tcp, build_segment
from podwire.proto.packet.udp import Udp
from podwire.services.node.kernel import internet, unreachable
from podwire.services.node.kernel.conntrack.table import ECHOES, quoted_packet
from podwire.services.node.kernel.drops import DropReason
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.packet import Packet
from podwire.services.node.kernel.sockets.base import ANY, ANY6, Socket, accepts
from podwire.services.node.kernel.sockets.capture import PacketSocket
from podwire.services.node.kernel.sockets.path import MINIMUM_PATH_MTU, PathError, read_error
from podwire.services.node.kernel.sockets.ping import PingSocket
from podwire.services.node.kernel.sockets.sctp_table import SctpTable
from podwire.services.node.kernel.sockets.tcp import TcpListener, TcpSocket
from podwire.services.node.kernel.sockets.udp import PathReport, UdpSocket

if TYPE_CHECKING:
    from podwire.services.node.kernel.namespace import Namespace

PATH_LIMIT: Final = 256
DSCP: Final = 0xFC
"""A reset keeps the type of service of what it answers, without the congestion bits."""

type FourTuple = tuple[int, int, int, int]
"""(local address, local port, remote address, remote port)."""


class SocketTable:
    """Sockets by what packets find them by."""

    def __init__(self, namespace: "Namespace") -> None:
        self._namespace = namespace
        self.udp: dict[int, list[UdpSocket]] = {}
        self.udp_version = 0
        """Grows whenever a datagram may find another socket than before."""
        self.listeners: dict[int, list[TcpListener]] = {}
        self.connections: dict[FourTuple, TcpSocket] = {}
        self.pings: dict[int, PingSocket] = {}
        self.sctp = SctpTable(namespace)
        self._path_mtus: dict[int, int] = {}

    def open_udp(self, trace: str = "", *, user: int = 0, group: int = 0) -> UdpSocket:
        """A UDP socket, unbound, of a user's process."""
        return _owned(UdpSocket(self._namespace, trace), user, group)

    def open_tcp(self, trace: str = "", *, user: int = 0, group: int = 0) -> TcpSocket:
        """A TCP socket to connect with."""
        return _owned(TcpSocket(self._namespace, trace), user, group)

    def listen_tcp(
        self, endpoint: tuple[str, int], backlog: int = 128, *, user: int = 0, group: int = 0, transparent: bool = False
    ) -> TcpListener:
        """A listening TCP socket; KernelError EADDRINUSE, EADDRNOTAVAIL."""
        listener = _owned(TcpListener(self._namespace, backlog), user, group)
        listener.transparent = transparent
        listener.bind(endpoint)
        return listener

    def open_ping(self, trace: str = "", *, user: int = 0, group: int = 0) -> PingSocket:
        """An ICMP echo socket with an identifier of its own."""
        return _owned(PingSocket(self._namespace, trace), user, group)

    def open_capture(self, device: str = "") -> PacketSocket:
        """A packet socket on a device, or on all of them; KernelError ENODEV."""
        return PacketSocket(self._namespace, self._namespace.device(device) if device else None)

    def check_local(self, address: int, *, transparent: bool = False) -> None:
        """Refuse to bind to an address that is not of this namespace, but for transparent sockets."""
        if not transparent and address not in (ANY, ANY6) and not internet.is_local(self._namespace, address):
            raise KernelError(errno.EADDRNOTAVAIL)

    def source_for(self, destination: int) -> int:
        """The address to send from; KernelError ENETUNREACH."""
        source = internet.source_for(self._namespace, destination)
        if source is None or internet.route_to(self._namespace, destination) is None:
            raise KernelError(errno.ENETUNREACH)
        return source

    def ephemeral_ports(self) -> Iterator[int]:
        """Every port of ip_local_port_range, from a random one on."""
        low, high = (int(word) for word in self._namespace.sysctls["net.ipv4.ip_local_port_range"].split())
        start = self._namespace.kernel.random.getrandbits(16) % (high - low + 1)
        return chain(range(low + start, high + 1), range(low, low + start))

    def port_towards(self, source: int, remote: tuple[int, int]) -> int:
        """An ephemeral port that makes a new connection; KernelError EADDRNOTAVAIL."""
        for port in self.ephemeral_ports():
            if (source, port, *remote) not in self.connections and port not in self.listeners:
                return port
        raise KernelError(errno.EADDRNOTAVAIL)

    def register(self, socket: TcpSocket) -> None:
        """Have segments find a connection; KernelError EADDRNOTAVAIL if there is one like it."""
        assert socket.remote is not None
        if self.connections.setdefault((*socket.local, *socket.remote), socket) is not socket:
            raise KernelError(errno.EADDRNOTAVAIL)

    def mtu_to(self, destination: int) -> int:
        """The path's MTU as far as it is known: the device's, or what a router said."""
        route = internet.route_to(self._namespace, destination)
        device_mtu = 65535 if route is None or route.device is None else route.device.mtu
        return min(device_mtu, self._path_mtus.get(destination, 65535))

    def tcp_input(self, packet: Packet) -> None:
        """A TCP segment for this host."""
        try:
            segment, at = Tcp.parse(packet.payload)
        except PacketError as error:
            return self._drop(packet, DropReason.HDR_TRUNC, error.reason)
        if transport_checksum(packet.source, packet.destination, TCP, packet.payload):
            return self._drop(packet, DropReason.TCP_CSUM, "bad TCP checksum")
        key = (packet.destination, segment.destination_port, packet.source, segment.source_port)
        connection = self.connections.get(key)
        payload = bytes(packet.payload[at:])
        if connection is not None:
            self._trace(packet, f"tcp {connection.state}")
            return connection.segment_arrived(packet, segment, payload)
        diverted = packet.socket if isinstance(packet.socket, TcpListener) else None
        listener = diverted or self._listener(packet.destination, segment.destination_port)
        if listener is not None:
            self._trace(packet, "tcp LISTEN")
            return listener.segment_arrived(packet, segment, payload)
        self._drop(packet, DropReason.NO_SOCKET, f"no TCP socket on port {segment.destination_port}")
        return self.reset(packet, segment, len(payload))

    def _trace(self, packet: Packet, detail: str) -> None:
        if packet.trace:
            self._namespace.kernel.hop(packet, "socket", self._namespace, detail=detail)

    def _listener(self, address: int, port: int) -> TcpListener | None:
        for listener in self.listeners.get(port, ()):
            if accepts(listener.local[0], address):
                return listener
        return None

    def reset(self, packet: Packet, segment: Tcp, length: int) -> None:
        """Answer a segment that belongs to nothing (RFC 9293 section 3.5.2)."""
        if segment.flags & RST or not internet.is_local(self._namespace, packet.destination):
            return
        if segment.flags & ACK:
            reply = Tcp(segment.destination_port, segment.source_port, segment.acknowledgement, flags=RST)
        else:
            length += bool(segment.flags & SYN) + bool(segment.flags & FIN)
            acknowledged = (segment.sequence + length) & 0xFFFFFFFF
            reply = Tcp(segment.destination_port, segment.source_port, 0, acknowledged, RST | ACK)
        octets = build_segment(packet.destination, packet.source, reply)
        data = build_packet(packet.destination, packet.source, TCP, octets, tos=packet.tos & DSCP, fragment=0x4000)
        self._namespace.kernel.send_made(self._namespace, data, packet.trace)

    def udp_input(self, packet: Packet) -> None:
        """A UDP datagram for this host."""
        try:
            payload = packet.payload
            header, at = Udp.parse(payload)
        except PacketError as error:
            return self._drop(packet, DropReason.PKT_TOO_SMALL, error.reason)
        if header.length != len(payload):
            payload = payload[: header.length]
        if header.checksum and transport_checksum(packet.source, packet.destination, UDP, payload):
            return self._drop(packet, DropReason.UDP_CSUM, "bad UDP checksum")
        diverted = packet.socket if isinstance(packet.socket, UdpSocket) else None
        socket = diverted or self.udp_socket_for(packet)
        if socket is None:
            self._drop(packet, DropReason.NO_SOCKET, f"no UDP socket on port {header.destination_port}")
            return unreachable.port_unreachable(self._namespace, packet)
        if packet.trace:
            self._trace(packet, f"udp port {header.destination_port}")
        return socket.datagram_arrived(packet, bytes(payload[at:]))

    def udp_socket_for(self, packet: Packet) -> UdpSocket | None:
        """The socket that a datagram is for."""
        return self._udp_socket(packet.destination, packet.destination_port, packet.source, packet.source_port)

    def _udp_socket(self, address: int, port: int, source: int, source_port: int) -> UdpSocket | None:
        best, best_score = None, -1
        for socket in self.udp.get(port, ()):
            if socket.remote not in (None, (source, source_port)) or not accepts(socket.local[0], address):
                continue
            score = (socket.remote is not None) * 4 + (socket.local[0] == address) * 2 + (socket.local[0] == ANY)
            if score > best_score:
                best, best_score = socket, score
        return best

    def owner_of(self, packet: Packet) -> Socket | None:
        """The connected socket of this host that a packet from outside is for."""
        key = (packet.destination, packet.destination_port, packet.source, packet.source_port)
        if packet.protocol == TCP:
            return self.connections.get(key)
        connected = [socket for socket in self.udp.get(key[1], ()) if packet.protocol == UDP and socket.remote]
        return next((each for each in connected if (*each.local, *(each.remote or ())) == key), None)

    def listener_at(self, packet: Packet, address: int, port: int) -> Socket | None:
        """What would take a packet that begins something at another address and port."""
        if packet.protocol == TCP:
            return self._listener(address, port)
        open_ones = [socket for socket in self.udp.get(port, ()) if packet.protocol == UDP and not socket.remote]
        return next((each for each in open_ones if accepts(each.local[0], address)), None)

    def divert(self, packet: Packet, address: int, port: int) -> Socket | None:
        """Whom TPROXY gives a packet to; a connection in TIME_WAIT makes way for a new one (nf_tproxy_ipv4.c)."""
        owner = self.owner_of(packet)
        if owner is None:
            return self.listener_at(packet, address, port)
        is_first = packet.protocol == TCP and packet.tcp_flags & (SYN | ACK | RST | FIN) == SYN
        if is_first and isinstance(owner, TcpSocket) and owner.state == "TIME_WAIT":
            listener = self.listener_at(packet, address, port)
            if listener is not None:
                owner.make_way()
                return listener
        return owner

    def original_destination(self, socket: TcpSocket) -> tuple[str, int]:
        """SO_ORIGINAL_DST: where a redirected connection was meant to go; KernelError ENOENT (getorigdst)."""
        if socket.remote is None:
            raise KernelError(errno.ENOTCONN)
        found = self._namespace.netfilter.connections.lookup((TCP, *socket.local, *socket.remote))
        if found is None:
            raise KernelError(errno.ENOENT)
        _, _, _, address, port = found[0].tuples[0]
        return format_address(address), port

    def echo_reply(self, packet: Packet, header: Icmp, payload: bytes) -> None:
        """An answer to a ping of ours."""
        socket = self.pings.get(header.identifier)
        if socket is None:
            return self._drop(packet, DropReason.NO_SOCKET, f"no ping socket {header.identifier}")
        self._trace(packet, f"ping id {header.identifier} seq {header.sequence}")
        return socket.reply_arrived(packet, header, payload)

    def icmp_error(self, packet: Packet, header: Icmp) -> None:
        """An ICMP error: learn the path MTU, and tell the socket whose packet it quotes."""
        inner = quoted_packet(packet)
        if inner is None:
            return self._drop(packet, DropReason.NOT_SPECIFIED, "ICMP error that quotes too little")
        error = read_error(header, is_ipv6=inner.destination > 0xFFFFFFFF)
        if error.mtu:
            self._learn_path(inner.destination, error.mtu)
        self._trace(packet, "icmp error")
        return self._tell(packet, inner, header, error)

    def _learn_path(self, destination: int, mtu: int) -> None:
        if len(self._path_mtus) >= PATH_LIMIT:
            self._path_mtus.clear()
        self._path_mtus[destination] = max(mtu, MINIMUM_PATH_MTU)

    def _tell(self, packet: Packet, inner: Packet, header: Icmp, error: PathError) -> None:
        if inner.protocol == TCP:
            key = (inner.source, inner.source_port, inner.destination, inner.destination_port)
            connection = self.connections.get(key)
            if connection is not None:
                connection.icmp_arrived(error, int.from_bytes(inner.payload[4:8]))
        elif inner.protocol == SCTP:
            self.sctp.icmp_error(inner, error)
        elif inner.protocol == UDP:
            socket = self._udp_socket(inner.source, inner.source_port, inner.destination, inner.destination_port)
            if socket is not None and socket.queues_errors:
                about = (header.type, header.code, format_address(packet.source), inner.destination_port)
                now = self._namespace.kernel.now
                socket.error_arrived(PathReport(*about, ttl=packet.ttl, mtu=error.mtu, time=now))
            elif socket is not None and socket.remote is not None and error.number:
                socket.fail(error.number)
        elif inner.protocol in ECHOES:
            ping = self.pings.get(int.from_bytes(inner.payload[4:6]))
            if ping is not None:
                ping.error_arrived(packet, header, int.from_bytes(inner.payload[6:8]))

    def _drop(self, packet: Packet, reason: DropReason, detail: str) -> None:
        self._namespace.kernel.drop(packet, self._namespace, reason, detail)

    def close_all(self) -> None:
        """The namespace goes: every socket dies without a word."""
        for connection in list(self.connections.values()):
            connection.vanish()
        self.sctp.close_all()
        everything = [*self.pings.values()]
        for ping in everything:
            ping.close()
        for udp in [socket for sockets in self.udp.values() for socket in sockets]:
            udp.close()
        for listener in [socket for sockets in self.listeners.values() for socket in sockets]:
            listener.close()


def _owned[S: Socket](socket: S, user: int, group: int) -> S:
    socket.user, socket.group = user, group
    return socket
