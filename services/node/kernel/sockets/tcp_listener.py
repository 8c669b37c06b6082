"""Listening TCP sockets: a queue of finished handshakes, bounded by the backlog."""

import errno
from collections import deque
from typing import TYPE_CHECKING

from podwire.proto.packet.tcp import ACK, FIN, RST, SYN, Tcp
from podwire.services.node.kernel.drops import DropReason
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.packet import Packet
from podwire.services.node.kernel.sockets.base import Endpoint, Socket, atomic, overlap, parse_endpoint
from podwire.services.node.kernel.sockets.tcp_connection import TcpSocket

if TYPE_CHECKING:
    from podwire.services.node.kernel.namespace import Namespace


class TcpListener(Socket):
    """A listening socket; finished handshakes wait in a queue of `backlog`."""

    def __init__(self, namespace: "Namespace", backlog: int) -> None:
        super().__init__(namespace)
        self.backlog = max(backlog, 1)
        self.pending: dict[TcpSocket, None] = {}
        self._queue: deque[TcpSocket] = deque()

    def bind(self, endpoint: Endpoint) -> None:
        """Take the address and port; KernelError EADDRINUSE, EADDRNOTAVAIL."""
        address, port = parse_endpoint(endpoint)
        table = self.namespace.sockets
        table.check_local(address, transparent=self.transparent)
        if port == 0:
            port = next((each for each in table.ephemeral_ports() if each not in table.listeners), 0)
        for other in table.listeners.get(port, ()):
            if overlap(other.local[0], address):
                raise KernelError(errno.EADDRINUSE)
        self.local = (address, port)
        table.listeners.setdefault(port, []).append(self)

    def segment_arrived(self, packet: Packet, segment: Tcp, payload: bytes) -> None:
        """A segment for no connection yet: begin one on SYN, reset what has an ACK."""
        kernel = self.namespace.kernel
        if segment.flags & RST:
            return kernel.drop(packet, self.namespace, DropReason.TCP_RESET, "reset to a listener")
        if segment.flags & ACK:
            kernel.drop(packet, self.namespace, DropReason.NO_SOCKET, "acknowledges nothing")
            return self.namespace.sockets.reset(packet, segment, len(payload))
        if not segment.flags & SYN or segment.flags & FIN:
            return kernel.drop(packet, self.namespace, DropReason.TCP_FLAGS, "no SYN")
        if len(self._queue) + len(self.pending) >= self.backlog + 1:
            return kernel.drop(packet, self.namespace, DropReason.SOCKET_BACKLOG, "listen queue full")
        child = TcpSocket(self.namespace, packet.trace)
        child.inherit(self)
        self.pending[child] = None
        return child.accept_syn(self, packet, segment)

    @property
    def waiting(self) -> int:
        """Connections that nobody has accepted yet."""
        return len(self._queue)

    def established(self, child: "TcpSocket") -> None:
        """A handshake is finished."""
        self.pending.pop(child, None)
        self._queue.append(child)
        self.ready()

    def accept(self) -> "TcpSocket | None":
        """The oldest finished connection, None if there is none."""
        self.check_open()
        return self._queue.popleft() if self._queue else None

    @atomic
    def close(self) -> None:
        """Stop listening; connections that nobody accepted are reset."""
        if self.closed:
            return
        self.closed = True
        listeners = self.namespace.sockets.listeners
        listeners[self.local[1]].remove(self)
        if not listeners[self.local[1]]:
            del listeners[self.local[1]]
        for child in [*self.pending, *self._queue]:
            child.abort()
