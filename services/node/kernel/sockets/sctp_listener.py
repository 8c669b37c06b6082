"""Listening SCTP sockets: they keep nothing of a peer until its cookie comes back (RFC 9260 section 5.1)."""

import errno
from collections import deque
from typing import TYPE_CHECKING

from podwire.proto.packet import sctp
from podwire.proto.packet.errors import PacketError
from podwire.proto.packet.sctp import Chunk, Init, Sctp, build_parameter
from podwire.services.node.kernel.drops import DropReason
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.packet import Packet
from podwire.services.node.kernel.sockets.base import Endpoint, Socket, atomic, overlap, parse_endpoint
from podwire.services.node.kernel.sockets.sctp_association import SctpSocket
from podwire.services.node.kernel.sockets.sctp_cookie import Cookie
from podwire.services.node.kernel.sockets.sctp_states import COOKIE_LIFE, INBOUND_STREAMS, OUTBOUND_STREAMS, WINDOW

if TYPE_CHECKING:
    from podwire.services.node.kernel.namespace import Namespace


class SctpListener(Socket):
    """A listening socket; associations wait in a queue of `backlog`."""

    def __init__(self, namespace: "Namespace", endpoint: Endpoint, backlog: int) -> None:
        super().__init__(namespace)
        self.backlog = max(backlog, 1)
        self._queue: deque[SctpSocket] = deque()
        self._secret = namespace.kernel.random.getrandbits(256).to_bytes(32)
        address, port = parse_endpoint(endpoint)
        namespace.sockets.check_local(address)
        table = namespace.sockets.sctp
        port = port or next((each for each in namespace.sockets.ephemeral_ports() if each not in table.listeners), 0)
        for other in table.listeners.get(port, ()):
            if overlap(other.local[0], address):
                raise KernelError(errno.EADDRINUSE)
        self.local = (address, port)
        table.listeners.setdefault(port, []).append(self)

    @property
    def waiting(self) -> int:
        """Associations that nobody has accepted yet."""
        return len(self._queue)

    def accept(self) -> SctpSocket | None:
        """The oldest association, None if there is none."""
        self.check_open()
        return self._queue.popleft() if self._queue else None

    def init_arrived(self, packet: Packet, read: Sctp) -> None:
        """Answer INIT with a cookie, and forget it."""
        try:
            body = Init.parse(read.chunks[0].value)
        except PacketError as error:
            return self._drop(packet, error.reason)
        table = self.namespace.sockets.sctp
        if not body.tag:
            return self._drop(packet, "INIT with initiate tag 0")
        if not body.outbound_streams or not body.inbound_streams:
            self._drop(packet, "INIT without streams")
            return table.answer(packet, read, Chunk(sctp.ABORT), body.tag)
        cookie = self._cookie(packet, read, body)
        reply = Init(
            cookie.own_tag,
            WINDOW,
            OUTBOUND_STREAMS,
            INBOUND_STREAMS,
            cookie.own_tsn,
            ((sctp.STATE_COOKIE, cookie.sign(self._secret)),),
        )
        return table.answer(packet, read, Chunk(sctp.INIT_ACK, 0, reply.build()), body.tag)

    def _cookie(self, packet: Packet, read: Sctp, body: Init) -> Cookie:
        kernel = self.namespace.kernel
        return Cookie(
            kernel.now,
            kernel.random.getrandbits(32) or 1,
            body.tag,
            kernel.random.getrandbits(32),
            body.first_tsn,
            body.window,
            min(OUTBOUND_STREAMS, body.inbound_streams),
            body.outbound_streams,
            packet.destination,
            read.destination_port,
            packet.source,
            read.source_port,
        )

    def cookie_arrived(self, packet: Packet, read: Sctp, known: SctpSocket | None) -> None:
        """COOKIE ECHO, for a new association or one that is `known`; other chunks may follow it."""
        cookie = Cookie.verify(read.chunks[0].value, self._secret)
        endpoints = (packet.destination, read.destination_port, packet.source, read.source_port)
        if cookie is None or cookie[-4:] != endpoints or cookie.own_tag != read.verification_tag:
            return self._drop(packet, "a cookie that is not ours")
        if known is not None and (known.own_tag, known.peer_tag) == (cookie.own_tag, cookie.peer_tag):
            known.repeat_cookie_acknowledgement()
            return known.packet_arrived(packet, read, read.chunks[1:])
        age = self.namespace.kernel.now - cookie.issued
        if age > COOKIE_LIFE:
            cause = build_parameter(sctp.STALE_COOKIE, ((age - COOKIE_LIFE) // 1000).to_bytes(4))
            self._drop(packet, "stale cookie")
            return self.namespace.sockets.sctp.answer(packet, read, Chunk(sctp.ERROR, 0, cause), cookie.peer_tag)
        if len(self._queue) > self.backlog:
            kernel = self.namespace.kernel
            return kernel.drop(packet, self.namespace, DropReason.SOCKET_BACKLOG, "listen queue full")
        if known is not None:
            known.replaced()
        child = SctpSocket(self.namespace, packet.trace)
        child.begin(cookie)
        self._queue.append(child)
        child.packet_arrived(packet, read, read.chunks[1:])
        return self.ready()

    def _drop(self, packet: Packet, why: str) -> None:
        self.namespace.kernel.drop(packet, self.namespace, DropReason.NOT_SPECIFIED, why)

    @atomic
    def close(self) -> None:
        """Stop listening; associations that nobody accepted are aborted."""
        if self.closed:
            return
        self.closed = True
        listeners = self.namespace.sockets.sctp.listeners
        listeners[self.local[1]].remove(self)
        if not listeners[self.local[1]]:
            del listeners[self.local[1]]
        for child in self._queue:
            child.abort()
