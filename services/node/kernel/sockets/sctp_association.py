"""SCTP associations (RFC 9260) as one-to-one sockets: handshake, ordered streams, retransmission, heartbeat, shutdown.

One path: further addresses that a peer names are ignored, and none are named. Acknowledgements are never delayed.
"""

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from podwire.proto.packet import sctp
from podwire.proto.packet.errors import PacketError
from podwire.proto.packet.ipv4 import SCTP
from podwire.proto.packet.sctp import Chunk, Data, Init, Sack, Sctp, build_parameter
from podwire.services.node.kernel.drops import DropReason
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.packet import Packet
from podwire.services.node.kernel.sockets.base import Endpoint, Socket, atomic, headers_length, parse_endpoint
from podwire.services.node.kernel.sockets.path import PathError
from podwire.services.node.kernel.sockets.rtt import RttEstimator
from podwire.services.node.kernel.sockets.sctp_cookie import Cookie
from podwire.services.node.kernel.sockets.sctp_inbound import Inbound, Message
from podwire.services.node.kernel.sockets.sctp_outbound import Outbound
from podwire.services.node.kernel.sockets.sctp_states import (
    ASSOCIATION_RETRIES,
    HEARTBEAT_INTERVAL,
    INBOUND_STREAMS,
    INIT_RETRIES,
    LARGEST_MESSAGE,
    OPENING,
    OUTBOUND_STREAMS,
    RECEIVING,
    RTO_INITIAL,
    RTO_MAXIMUM,
    RTO_MINIMUM,
    SENDING,
    SHUTTING,
    WINDOW,
)

if TYPE_CHECKING:
    from podwire.services.node.kernel.namespace import Namespace

_TCP_HEADER: Final = 20
_HEARTBEAT_INFO: Final = 1


class SctpSocket(Socket):
    """One association. `state` is RFC 9260's name; `streams` is how many we may send in once it is ESTABLISHED."""

    def __init__(self, namespace: "Namespace", trace: str = "") -> None:
        super().__init__(namespace, trace)
        self.state = "CLOSED"
        self.streams = OUTBOUND_STREAMS
        self.own_tag = self.peer_tag = 0
        self._inbound = Inbound(0)
        self._outbound = Outbound(0, 1500)
        self._first_tsn = 0
        self._cookie = b""
        self._rtt = RttEstimator(RTO_INITIAL, RTO_MINIMUM, RTO_MAXIMUM, 0)
        self._errors = 0
        self._heartbeat_pending = self._owes_sack = False
        self._retransmit = namespace.kernel.timer(self._timed_out)
        self._heartbeat = namespace.kernel.timer(self._beat)

    # What the owner calls

    @property
    def waiting(self) -> int:
        """Bytes that nobody has read yet."""
        return self._inbound.waiting

    @property
    def unsent(self) -> int:
        """Bytes that the peer has not acknowledged."""
        return self._outbound.unsent

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.state not in ("ESTABLISHED", *OPENING, "SHUTDOWN_PENDING", "SHUTDOWN_SENT") and not self.waiting

    @atomic
    def connect(self, endpoint: Endpoint) -> None:
        """Send INIT; `state` becomes ESTABLISHED later, or `error` is set. KernelError ENETUNREACH, EADDRNOTAVAIL."""
        self.check_open()
        if self.state != "CLOSED":
            raise KernelError(errno.EALREADY if self.state in OPENING else errno.EISCONN)
        remote = parse_endpoint(endpoint)
        table = self.namespace.sockets
        source = table.source_for(remote[0])
        self.local = (source, table.sctp.choose_port(source, remote))
        self.remote = remote
        self.own_tag, self._first_tsn = self._random() or 1, self._random()
        table.sctp.register(self)
        self._outbound = Outbound(self._first_tsn, self._mtu)
        self.state = "COOKIE_WAIT"
        self._send_init()

    def _random(self) -> int:
        return self.namespace.kernel.random.getrandbits(32)

    @property
    def _room(self) -> int:
        """Bytes of chunks that fit into one packet."""
        assert self.remote is not None
        return self._mtu - headers_length(self.remote[0]) + _TCP_HEADER - sctp.HEADER_LENGTH

    @property
    def _mtu(self) -> int:
        assert self.remote is not None
        return self.namespace.sockets.mtu_to(self.remote[0])

    @atomic
    def send(self, message: bytes, stream: int = 0) -> bool:
        """Queue a message; false if the buffer is full. KernelError EPIPE, ENOTCONN, EMSGSIZE, EINVAL, one pending."""
        self.raise_error()
        if self.closed or self.state not in ("ESTABLISHED", *OPENING):
            raise KernelError(errno.EPIPE if self.own_tag else errno.ENOTCONN)
        if not message or not 0 <= stream < self.streams:
            raise KernelError(errno.EINVAL, "an empty message" if not message else f"stream {stream} of {self.streams}")
        if len(message) > LARGEST_MESSAGE:
            raise KernelError(errno.EMSGSIZE)
        if not self._outbound.room(len(message)):
            return False
        self._outbound.put(message, stream, (self._room - sctp.DATA_HEADER) & ~3)
        self._flush()
        return True

    @atomic
    def receive(self) -> Message | None:
        """A message, None if there is none (`ended` says whether one may come); KernelError for a pending error."""
        closed = self._inbound.window < self._mtu if self.remote is not None else False
        message = self._inbound.read()
        if message is None:
            self.raise_error()
        elif closed and self.state in RECEIVING:
            self._owes_sack = True
            self._flush()
        return message

    @atomic
    def close(self) -> None:
        """Shut down gracefully; with messages unread, or before the handshake is done, abort, as Linux does."""
        if self.closed:
            return None
        self.closed = True
        if self.state in OPENING or self.waiting:
            return self.abort()
        if self.state == "ESTABLISHED":
            self.state = "SHUTDOWN_PENDING"
            return self._flush()
        return None

    @atomic
    def abort(self) -> None:
        """End the association with ABORT."""
        self.closed = True
        if self.peer_tag and self.state != "CLOSED":
            self._emit(Chunk(sctp.ABORT, 0, build_parameter(sctp.USER_ABORT, b"")))
        self._forget()

    def vanish(self) -> None:
        """Die without a word, with the namespace."""
        self._die(errno.ENETDOWN)

    def _forget(self) -> None:
        self.state = "CLOSED"
        self._retransmit.cancel()
        self._heartbeat.cancel()
        self.namespace.sockets.sctp.unregister(self)

    def _die(self, number: int) -> None:
        self._forget()
        self.fail(number)

    # Sending

    def _emit(self, *chunks: Chunk, tag: int | None = None) -> None:
        assert self.remote is not None
        packet = Sctp(self.local[1], self.remote[1], self.peer_tag if tag is None else tag, chunks)
        self.transmit(self.local[0], self.remote[0], SCTP, packet.build())

    def _send_init(self) -> None:
        body = Init(self.own_tag, WINDOW, OUTBOUND_STREAMS, INBOUND_STREAMS, self._first_tsn)
        self._emit(Chunk(sctp.INIT, 0, body.build()), tag=0)
        self._arm()

    def _arm(self) -> None:
        self._retransmit.set(self.namespace.kernel.now + self._rtt.timeout)

    def _flush(self) -> None:
        """Acknowledge, send what the windows allow, and go on with a shutdown once nothing is left."""
        first = [self._inbound.acknowledgement().chunk()] if self._owes_sack else []
        self._owes_sack = False
        if self.state == "SHUTDOWN_SENT" and first:
            first.append(self._shutdown_chunk())
        while self.state in SENDING:
            room = self._room - sum(len(chunk.build()) for chunk in first)
            batch = self._outbound.next_batch(room, self.namespace.kernel.now)
            if not batch:
                break
            self._emit(*first, *(data.chunk() for data in batch))
            first = []
            if self._retransmit.deadline is None:
                self._arm()
        if first:
            self._emit(*first)
        if self.state in ("SHUTDOWN_PENDING", "SHUTDOWN_RECEIVED") and not self._outbound.unsent:
            self._shut()

    def _shutdown_chunk(self) -> Chunk:
        return Chunk(sctp.SHUTDOWN, 0, self._inbound.cumulative.to_bytes(4))

    def _shut(self) -> None:
        self._errors = 0
        if self.state == "SHUTDOWN_PENDING":
            self.state = "SHUTDOWN_SENT"
            self._emit(self._shutdown_chunk())
        else:
            self.state = "SHUTDOWN_ACK_SENT"
            self._emit(Chunk(sctp.SHUTDOWN_ACK))
        self._arm()

    def _timed_out(self) -> None:
        limit = INIT_RETRIES if self.state in OPENING else ASSOCIATION_RETRIES
        if self._errors >= limit:
            return self._die(errno.ETIMEDOUT)
        self._errors += 1
        self._rtt.backed_off()
        if self.state == "COOKIE_WAIT":
            return self._send_init()
        if self.state == "COOKIE_ECHOED":
            self._emit(Chunk(sctp.COOKIE_ECHO, 0, self._cookie))
        elif self.state in SHUTTING:
            self._emit(self._shutdown_chunk() if self.state == "SHUTDOWN_SENT" else Chunk(sctp.SHUTDOWN_ACK))
        else:
            self._outbound.timed_out()
            return self._flush()
        return self._arm()

    def _beat(self) -> None:
        """A heartbeat when the interval has passed; one that nobody answered counts as an error (section 8.3)."""
        if self._heartbeat_pending:
            self._errors += 1
            if self._errors > ASSOCIATION_RETRIES:
                return self._die(errno.ETIMEDOUT)
        self._heartbeat_pending = True
        now = self.namespace.kernel.now
        self._emit(Chunk(sctp.HEARTBEAT, 0, build_parameter(_HEARTBEAT_INFO, now.to_bytes(8))))
        return self._heartbeat.set(now + HEARTBEAT_INTERVAL + self._rtt.timeout)

    def _established(self) -> None:
        self.state = "ESTABLISHED"
        self._errors = 0
        self._retransmit.cancel()
        self._heartbeat.set(self.namespace.kernel.now + HEARTBEAT_INTERVAL + self._rtt.timeout)

    # Receiving

    def begin(self, cookie: Cookie, *, state: str = "ESTABLISHED") -> None:
        """Be the association that a cookie describes."""
        self.local, self.remote = (cookie.local, cookie.local_port), (cookie.remote, cookie.remote_port)
        self.own_tag, self.peer_tag = cookie.own_tag, cookie.peer_tag
        self.streams = cookie.outbound_streams
        self.namespace.sockets.sctp.register(self)
        self._inbound = Inbound(cookie.peer_tsn)
        self._outbound = Outbound(cookie.own_tsn, self._mtu)
        self._outbound.opened(cookie.peer_window)
        self.state = state
        self._established()
        self._emit(Chunk(sctp.COOKIE_ACK))

    def packet_arrived(self, packet: Packet, read: Sctp, chunks: tuple[Chunk, ...]) -> None:
        """Chunks of a packet for this association, its verification tag not yet checked."""
        for number, chunk in enumerate(chunks):
            if not self._tag_fits(read, chunk):
                reason = f"verification tag {read.verification_tag:#x}, not {self.own_tag:#x}"
                return self.namespace.kernel.drop(packet, self.namespace, DropReason.NOT_SPECIFIED, reason)
            handler = _HANDLERS.get(chunk.type)
            if handler is not None:
                try:
                    handler(self, chunk)
                except PacketError as error:
                    self.namespace.kernel.drop(packet, self.namespace, DropReason.NOT_SPECIFIED, error.reason)
                    return self._violated(error.reason)
            elif not chunk.type & 0x80:
                break  # the two high bits of an unknown type say whether to go on (section 3.2)
            if self.state == "CLOSED" and number + 1 < len(chunks):
                return None
        return self._flush() if self.state not in ("CLOSED", *OPENING) else None

    def _tag_fits(self, read: Sctp, chunk: Chunk) -> bool:
        tag = read.verification_tag
        if chunk.type == sctp.INIT:
            return tag == 0
        if chunk.type in (sctp.ABORT, sctp.SHUTDOWN_COMPLETE) and chunk.flags & sctp.TAG_REFLECTED:
            return tag == self.peer_tag
        return tag == self.own_tag

    def _violated(self, why: str) -> None:
        self._emit(Chunk(sctp.ABORT, 0, build_parameter(sctp.PROTOCOL_VIOLATION, why.encode())))
        self._die(errno.EPROTO)

    def _init_acknowledged(self, chunk: Chunk) -> None:
        if self.state != "COOKIE_WAIT":
            return None
        body = Init.parse(chunk.value)
        if not body.tag or not body.outbound_streams or not body.inbound_streams or body.cookie is None:
            self.peer_tag = body.tag
            return self._violated("INIT ACK without tag, streams or cookie")
        self.peer_tag, self._cookie = body.tag, body.cookie
        self.streams = min(OUTBOUND_STREAMS, body.inbound_streams)
        self._inbound = Inbound(body.first_tsn)
        self._outbound.opened(body.window)
        self.state, self._errors = "COOKIE_ECHOED", 0
        self._emit(Chunk(sctp.COOKIE_ECHO, 0, self._cookie))
        return self._arm()

    def _cookie_acknowledged(self, chunk: Chunk) -> None:
        if self.state == "COOKIE_ECHOED":
            self._established()
            self.ready()

    def _data(self, chunk: Chunk) -> None:
        data = Data.parse(chunk)
        if self.state not in RECEIVING:
            return
        self._owes_sack = True
        if self._inbound.take(data) and self._inbound.waiting:
            self.ready()

    def _sack(self, chunk: Chunk) -> None:
        if self.state in SENDING:
            self._acknowledged(Sack.parse(chunk.value))

    def _acknowledged(self, sack: Sack) -> None:
        new, sample = self._outbound.take(sack, self.namespace.kernel.now)
        if sample is not None:
            self._rtt.measured(sample)
        if new:
            self._errors = 0
            self._rtt.progressed()
            self._retransmit.cancel()
            if self._outbound.outstanding:
                self._arm()
            self.ready()

    def _heartbeat_arrived(self, chunk: Chunk) -> None:
        self._emit(Chunk(sctp.HEARTBEAT_ACK, 0, chunk.value))

    def _heartbeat_acknowledged(self, chunk: Chunk) -> None:
        self._heartbeat_pending = False
        self._errors = 0

    def _aborted(self, chunk: Chunk) -> None:
        self._die(errno.ECONNREFUSED if self.state in OPENING else errno.ECONNRESET)

    def _error(self, chunk: Chunk) -> None:
        """Of the causes only a stale cookie matters: begin again (section 5.2.6)."""
        if self.state == "COOKIE_ECHOED" and int.from_bytes(chunk.value[:2]) == sctp.STALE_COOKIE:
            self.state = "COOKIE_WAIT"
            self._send_init()

    def _shutdown_arrived(self, chunk: Chunk) -> None:
        if len(chunk.value) < 4:
            raise PacketError("truncated SCTP SHUTDOWN")
        if self.state in ("ESTABLISHED", "SHUTDOWN_PENDING"):
            self._acknowledged(Sack(int.from_bytes(chunk.value[:4]), WINDOW))
            self.state = "SHUTDOWN_RECEIVED"
            self.ready()
        elif self.state == "SHUTDOWN_SENT":
            self.state = "SHUTDOWN_RECEIVED"

    def _shutdown_acknowledged(self, chunk: Chunk) -> None:
        if self.state in SHUTTING:
            self._emit(Chunk(sctp.SHUTDOWN_COMPLETE))
            self._forget()
            self.ready()

    def _shutdown_completed(self, chunk: Chunk) -> None:
        if self.state == "SHUTDOWN_ACK_SENT":
            self._forget()
            self.ready()

    def repeat_cookie_acknowledgement(self) -> None:
        """The peer sent its cookie again: the first answer was lost (section 5.2.4, action D)."""
        self._emit(Chunk(sctp.COOKIE_ACK))

    def replaced(self) -> None:
        """The peer began anew from the same port (section 5.2.4, action A)."""
        self._die(errno.ECONNRESET)

    def icmp_arrived(self, error: PathError, tag: int) -> None:
        """An ICMP error quotes a packet of ours: "protocol unreachable" ends a handshake, the rest only delays it.

        As in Linux (net/sctp/input.c, sctp_v4_err): a port that is unreachable is no reason to give up.
        """
        if self.state not in OPENING or tag not in (0, self.peer_tag):
            return
        if error.number in (errno.ENOPROTOOPT, errno.EPROTO):
            self._die(errno.ENOPROTOOPT)


_HANDLERS: Final[dict[int, Callable[[SctpSocket, Chunk], None]]] = {
    sctp.INIT_ACK: SctpSocket._init_acknowledged,
    sctp.COOKIE_ACK: SctpSocket._cookie_acknowledged,
    sctp.DATA: SctpSocket._data,
    sctp.SACK: SctpSocket._sack,
    sctp.HEARTBEAT: SctpSocket._heartbeat_arrived,
    sctp.HEARTBEAT_ACK: SctpSocket._heartbeat_acknowledged,
    sctp.ABORT: SctpSocket._aborted,
    sctp.ERROR: SctpSocket._error,
    sctp.SHUTDOWN: SctpSocket._shutdown_arrived,
    sctp.SHUTDOWN_ACK: SctpSocket._shutdown_acknowledged,
    sctp.SHUTDOWN_COMPLETE: SctpSocket._shutdown_completed,
}
