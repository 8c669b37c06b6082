"""All SCTP sockets of one namespace, and packets out of the blue (RFC 9260 section 8.4)."""

import errno
from typing import TYPE_CHECKING, Final

from podwire.proto.packet import sctp
from podwire.proto.packet.errors import PacketError
from podwire.proto.packet.internet import build_packet
from podwire.proto.packet.ipv4 import SCTP
from podwire.proto.packet.sctp import Chunk, Init, Sctp
from podwire.services.node.kernel.drops import DropReason
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.packet import Packet
from podwire.services.node.kernel.sockets.base import accepts
from podwire.services.node.kernel.sockets.path import PathError
from podwire.services.node.kernel.sockets.sctp_association import SctpSocket
from podwire.services.node.kernel.sockets.sctp_listener import SctpListener

if TYPE_CHECKING:
    from podwire.services.node.kernel.namespace import Namespace

_SILENT: Final = (sctp.ABORT, sctp.SHUTDOWN_COMPLETE, sctp.COOKIE_ACK)
"""What is never answered out of the blue."""


class SctpTable:
    """Associations by (local address, local port, remote address, remote port), listeners by port."""

    def __init__(self, namespace: "Namespace") -> None:
        self._namespace = namespace
        self.listeners: dict[int, list[SctpListener]] = {}
        self.associations: dict[tuple[int, int, int, int], SctpSocket] = {}

    def open(self, trace: str = "") -> SctpSocket:
        """A socket to connect with."""
        return SctpSocket(self._namespace, trace)

    def listen(self, endpoint: tuple[str, int], backlog: int = 128) -> SctpListener:
        """A listening socket; KernelError EADDRINUSE, EADDRNOTAVAIL."""
        return SctpListener(self._namespace, endpoint, backlog)

    def choose_port(self, source: int, remote: tuple[int, int]) -> int:
        """An ephemeral port for a new association; KernelError EADDRNOTAVAIL if all are taken."""
        for port in self._namespace.sockets.ephemeral_ports():
            if (source, port, *remote) not in self.associations and port not in self.listeners:
                return port
        raise KernelError(errno.EADDRNOTAVAIL)

    def register(self, association: SctpSocket) -> None:
        """Have packets find an association."""
        assert association.remote is not None
        self.associations[*association.local, *association.remote] = association

    def unregister(self, association: SctpSocket) -> None:
        """Have packets no longer find it."""
        if association.remote is not None:
            key = (*association.local, *association.remote)
            if self.associations.get(key) is association:
                del self.associations[key]

    def input(self, packet: Packet) -> None:
        """An SCTP packet for this host."""
        try:
            read = Sctp.parse(packet.payload)
        except PacketError as error:
            return self._drop(packet, error.reason)
        key = (packet.destination, read.destination_port, packet.source, read.source_port)
        known = self.associations.get(key)
        listener = self._listener(packet.destination, read.destination_port)
        if packet.trace:
            state = known.state if known is not None else "LISTEN" if listener is not None else "no socket"
            self._namespace.kernel.hop(packet, "socket", self._namespace, detail=f"sctp {state}")
        first = read.chunks[0].type
        if listener is not None and first == sctp.INIT and read.verification_tag == 0 and len(read.chunks) == 1:
            return listener.init_arrived(packet, read)
        if listener is not None and first == sctp.COOKIE_ECHO:
            return listener.cookie_arrived(packet, read, known)
        if known is not None and not (first == sctp.SHUTDOWN_ACK and known.state in ("COOKIE_WAIT", "COOKIE_ECHOED")):
            return known.packet_arrived(packet, read, read.chunks)
        return self._out_of_the_blue(packet, read)

    def _listener(self, address: int, port: int) -> SctpListener | None:
        for listener in self.listeners.get(port, ()):
            if accepts(listener.local[0], address):
                return listener
        return None

    def _out_of_the_blue(self, packet: Packet, read: Sctp) -> None:
        self._drop(packet, f"no SCTP association or listener on port {read.destination_port}", DropReason.NO_SOCKET)
        types = [chunk.type for chunk in read.chunks]
        if any(kind in types for kind in _SILENT):
            return None
        if sctp.SHUTDOWN_ACK in types:
            complete = Chunk(sctp.SHUTDOWN_COMPLETE, sctp.TAG_REFLECTED)
            return self.answer(packet, read, complete, read.verification_tag)
        if types[0] != sctp.INIT:
            abort = Chunk(sctp.ABORT, sctp.TAG_REFLECTED)
            return self.answer(packet, read, abort, read.verification_tag)
        try:
            return self.answer(packet, read, Chunk(sctp.ABORT), Init.parse(read.chunks[0].value).tag)
        except PacketError:
            return None

    def answer(self, packet: Packet, read: Sctp, chunk: Chunk, tag: int) -> None:
        """Send one chunk back to where a packet came from."""
        octets = Sctp(read.destination_port, read.source_port, tag, (chunk,)).build()
        data = build_packet(packet.destination, packet.source, SCTP, octets, fragment=0x4000)
        self._namespace.kernel.send_made(self._namespace, data, packet.trace)

    def icmp_error(self, inner: Packet, error: PathError) -> None:
        """An ICMP error that quotes a packet of ours."""
        key = (inner.source, inner.source_port, inner.destination, inner.destination_port)
        association = self.associations.get(key)
        if association is not None:
            association.icmp_arrived(error, int.from_bytes(inner.payload[4:8]))

    def _drop(self, packet: Packet, detail: str, reason: DropReason = DropReason.NOT_SPECIFIED) -> None:
        self._namespace.kernel.drop(packet, self._namespace, reason, detail)

    def close_all(self) -> None:
        """The namespace goes: every socket dies without a word."""
        for association in list(self.associations.values()):
            association.vanish()
        for listener in [socket for sockets in self.listeners.values() for socket in sockets]:
            listener.close()
