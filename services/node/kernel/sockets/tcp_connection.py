"""TCP connections (RFC 9293) with the state machine, windows and retransmission.

No timestamps and no selective acknowledgements; delayed acknowledgements and Nagle's algorithm are left out.
"""

import errno
from typing import TYPE_CHECKING

from podwire.proto.packet.ipv4 import TCP
from podwire.proto.packet.tcp import ACK, FIN, PSH, RST, SYN, Tcp, build_segment
from podwire.services.node.kernel.drops import DropReason
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.packet import Packet
from podwire.services.node.kernel.sockets import tcp_states as states
from podwire.services.node.kernel.sockets.base import (
    ANY,
    ANY6,
    Endpoint,
    Socket,
    atomic,
    headers_length,
    parse_endpoint,
)
from podwire.services.node.kernel.sockets.congestion import Congestion
from podwire.services.node.kernel.sockets.keep_alive import KeepAlive
from podwire.services.node.kernel.sockets.path import PathError
from podwire.services.node.kernel.sockets.peer_window import PeerWindow
from podwire.services.node.kernel.sockets.reassembly import ReceiveBuffer
from podwire.services.node.kernel.sockets.rtt import RttEstimator
from podwire.services.node.kernel.sockets.sequence import advanced, distance

if TYPE_CHECKING:
    from podwire.services.node.kernel.namespace import Namespace
    from podwire.services.node.kernel.sockets.tcp_listener import TcpListener


class TcpSocket(Socket):
    """One connection. Reading gives None when it would block and b"" at the end; writing takes what fits."""

    def __init__(self, namespace: "Namespace", trace: str = "") -> None:
        super().__init__(namespace, trace)
        self.state = "CLOSED"
        self._listener: TcpListener | None = None
        self._mss = states.DEFAULT_MSS
        self._initial = self._unacknowledged = self._next = self._highest = 0
        self._peer_window = PeerWindow()
        self._receive_scale = 0
        self._outgoing = bytearray()
        self._fin_queued = self._fin_acknowledged = False
        self._incoming = ReceiveBuffer(0)
        self._their_fin: int | None = None
        self._rtt = RttEstimator()
        self._congestion = Congestion(states.DEFAULT_MSS)
        self._timed: tuple[int, int] | None = None
        self._retries = 0
        self._advertised = 0
        self._soft_error = 0
        self._acknowledged_bytes = 0
        self._keep_alive: KeepAlive | None = None
        self._retransmit = namespace.kernel.timer(self._timed_out)
        self._linger = namespace.kernel.timer(self._lingered)

    def bind(self, endpoint: Endpoint) -> None:
        """Fix the local address and port before connecting; KernelError EADDRNOTAVAIL."""
        address, port = parse_endpoint(endpoint)
        self.namespace.sockets.check_local(address, transparent=self.transparent)
        self.local = (address, port)

    @atomic
    def connect(self, endpoint: Endpoint) -> None:
        """Send a SYN; `state` becomes ESTABLISHED later, or `error` is set. KernelError ENETUNREACH, EADDRNOTAVAIL."""
        self.check_open()
        if self.state != "CLOSED":
            raise KernelError(errno.EISCONN if self.state in states.SYNCHRONIZED else errno.EALREADY)
        remote = parse_endpoint(endpoint)
        source = self.local[0] if self.local[0] not in (ANY, ANY6) else self.namespace.sockets.source_for(remote[0])
        self.namespace.sockets.source_for(remote[0])
        self.local = (source, self.local[1] or self.namespace.sockets.port_towards(source, remote))
        self.remote = remote
        self.namespace.sockets.register(self)
        self._start("SYN_SENT")
        self._send_syn()

    def _start(self, state: str) -> None:
        assert self.remote is not None
        self.state = state
        self._initial = self.namespace.kernel.random.getrandbits(32)
        self._unacknowledged = self._initial
        self._next = self._highest = advanced(self._initial, 1)
        self._set_mss(self._path_mss(self.remote[0]))

    def _set_mss(self, mss: int) -> None:
        self._mss = max(mss, 64)
        self._congestion = Congestion(self._mss)

    def _send_syn(self) -> None:
        flags = SYN | ACK if self.state == "SYN_RECEIVED" else SYN
        scale = states.WINDOW_SCALE if flags == SYN or self._receive_scale else None
        self._emit(flags, self._initial, b"", mss=self._own_mss(), scale=scale)
        self._timed = (self._next, self.namespace.kernel.now) if self._retries == 0 else None
        self._retransmit.set(self.namespace.kernel.now + self._rtt.timeout)

    def _own_mss(self) -> int:
        assert self.remote is not None
        return min(self._path_mss(self.remote[0]), 65495)

    def _path_mss(self, remote: int) -> int:
        return self.namespace.sockets.mtu_to(remote) - headers_length(remote)

    def accept_syn(self, listener: "TcpListener", packet: Packet, segment: Tcp) -> None:
        """Begin the passive side of a handshake."""
        self._listener = listener
        self.local = (packet.destination, segment.destination_port)
        self.remote = (packet.source, segment.source_port)
        self.namespace.sockets.register(self)
        self._start("SYN_RECEIVED")
        self._take_syn(segment)
        self._send_syn()

    def _take_syn(self, segment: Tcp) -> None:
        self._incoming = ReceiveBuffer(advanced(segment.sequence, 1))
        self._set_mss(min(self._mss, segment.maximum_segment_size or states.DEFAULT_MSS))
        if segment.window_scale is not None:
            self._peer_window.scale, self._receive_scale = min(segment.window_scale, 14), states.WINDOW_SCALE
        self._peer_window.begin(segment)

    # What the owner calls

    @property
    def waiting(self) -> int:
        """Bytes that nobody has read yet."""
        return len(self._incoming.ready)

    @property
    def unsent(self) -> int:
        """Bytes that the peer has not acknowledged."""
        return len(self._outgoing)

    @atomic
    def send(self, octets: bytes) -> int:
        """Queue bytes; how many were taken (0: the buffer is full). KernelError EPIPE, ENOTCONN, or a pending error."""
        self.raise_error()
        if self._fin_queued or self.closed or self.state in ("CLOSED", "TIME_WAIT"):
            raise KernelError(errno.EPIPE if self._initial else errno.ENOTCONN)
        taken = octets[: max(states.SEND_BUFFER - len(self._outgoing), 0)]
        self._outgoing += taken
        self._push()
        return len(taken)

    @atomic
    def receive(self, limit: int = 65536) -> bytes | None:
        """Bytes in order, b"" at the end of the stream, None if there are none yet; KernelError for a pending error."""
        if self._incoming.ready:
            before = self._incoming.window
            octets = self._incoming.read(limit)
            self._tell_window(before)
            return octets
        if self._their_fin is not None and self._incoming.next == self._their_fin:
            return b""
        self.raise_error()
        if self.state == "CLOSED":
            return b""
        return None

    def _tell_window(self, before: int) -> None:
        """Open a closed window aloud once it is worth it (RFC 9293 section 3.8.6.2.2)."""
        if self.state not in states.SYNCHRONIZED:
            return
        small = before < 2 * self._mss or self._advertised < 2 * self._mss
        if small and self._incoming.window >= 2 * self._mss:
            self._acknowledge()

    @atomic
    def shutdown(self) -> None:
        """Half-close: no more will be sent; reading goes on."""
        if self._fin_queued or self.state not in states.AFTER_CLOSE:
            return
        self._fin_queued = True
        self.state = states.AFTER_CLOSE[self.state]
        self._push()

    @atomic
    def close(self) -> None:
        """Close both ways; unread bytes turn it into a reset, as in Linux."""
        if self.closed:
            return None
        self.closed = True
        if self.state in ("SYN_SENT", "CLOSED"):
            return self._forget()
        if self._incoming.ready:
            return self.abort()
        self.shutdown()
        if self.state == "FIN_WAIT_2":
            self._linger.set(self.namespace.kernel.now + states.FIN_TIMEOUT)
        return None

    @atomic
    def abort(self) -> None:
        """Reset the connection."""
        self.closed = True
        if self.state not in ("CLOSED", "SYN_SENT", "TIME_WAIT"):
            self._emit(RST | ACK, self._next, b"")
        self._forget()

    def inherit(self, listener: Socket) -> None:
        """An accepted connection is of the process that listened, and is kept alive as its listener says."""
        super().inherit(listener)
        if listener.keeps_alive:
            self.keep_alive()

    def keep_alive(self) -> None:
        """SO_KEEPALIVE: reset the connection if a silent peer does not answer questions either."""
        if self._keep_alive is None:
            self._keep_alive = KeepAlive(self.namespace, self._is_sending, self._probe, self._expire)

    def _is_sending(self) -> bool:
        return self._in_flight > 0 or self._waiting() or self.state not in states.SYNCHRONIZED

    def _expire(self) -> None:
        self._emit(RST | ACK, self._next, b"")
        self._die(self._soft_error or errno.ETIMEDOUT)

    def make_way(self) -> None:
        """Give up lingering in TIME_WAIT, for a new connection of the same addresses and ports."""
        self._forget()

    def vanish(self) -> None:
        """Die without a word, with the namespace."""
        self._forget()
        self.fail(errno.ENETDOWN)

    def _forget(self) -> None:
        self.state = "CLOSED"
        self._retransmit.cancel()
        self._linger.cancel()
        if self._keep_alive is not None:
            self._keep_alive.stop()
        if self._listener is not None:
            self._listener.pending.pop(self, None)
        if self.remote is not None:
            key = (*self.local, *self.remote)
            if self.namespace.sockets.connections.get(key) is self:
                del self.namespace.sockets.connections[key]

    def _die(self, number: int) -> None:
        self._forget()
        self.fail(number)

    # Sending

    def _emit(
        self, flags: int, sequence: int, payload: bytes, *, mss: int | None = None, scale: int | None = None
    ) -> None:
        assert self.remote is not None
        self._advertised = self._incoming.window
        shift = 0 if flags & SYN else self._receive_scale
        header = Tcp(
            self.local[1],
            self.remote[1],
            sequence,
            self._incoming.next if flags & ACK else 0,
            flags,
            min(self._advertised >> shift, 0xFFFF),
            maximum_segment_size=mss,
            window_scale=scale,
        )
        segment = build_segment(self.local[0], self.remote[0], header, payload)
        self.transmit(self.local[0], self.remote[0], TCP, segment)

    def _acknowledge(self) -> None:
        self._emit(ACK, self._next, b"")

    @property
    def _in_flight(self) -> int:
        return distance(self._unacknowledged, self._next)

    def _push(self) -> None:
        """Send what the windows allow; see to it that a timer runs while something is outstanding."""
        if self.state not in states.SYNCHRONIZED or self.state == "TIME_WAIT":
            return
        while self._send_one():
            pass
        if self._in_flight or self._waiting():
            if self._retransmit.deadline is None:
                self._retransmit.set(self.namespace.kernel.now + self._rtt.timeout)
        else:
            self._retransmit.cancel()

    def _waiting(self) -> bool:
        sent = self._in_flight
        if sent == len(self._outgoing):
            return self._fin_queued and not self._fin_acknowledged
        return sent < len(self._outgoing)

    def _send_one(self) -> bool:
        sent = self._in_flight
        room = min(self._peer_window.size, self._congestion.window) - sent
        left = len(self._outgoing) - sent
        if left > 0 and room > 0:
            length = min(left, room, self._mss)
            if length < min(left, self._mss) and sent > 0:
                return False  # silly window: wait for more room
            self._send_data(sent, length)
            return True
        if left == 0 and self._fin_queued and not self._fin_acknowledged:
            self._emit(FIN | ACK, self._next, b"")
            self._sent(1)
            return True
        return False

    def _send_data(self, sent: int, length: int) -> None:
        payload = bytes(self._outgoing[sent : sent + length])
        flags = ACK | (PSH if sent + length == len(self._outgoing) else 0)
        self._emit(flags, self._next, payload)
        self._sent(length)

    def _sent(self, octets: int) -> None:
        self._next = advanced(self._next, octets)
        if distance(self._highest, self._next) > 0:
            self._highest = self._next
            if self._timed is None:
                self._timed = (self._next, self.namespace.kernel.now)

    def _timed_out(self) -> None:
        if self.state in ("SYN_SENT", "SYN_RECEIVED"):
            return self._syn_timed_out()
        if self.state == "CLOSED":
            return None
        limit = states.ORPHAN_RETRIES if self.closed else states.DATA_RETRIES
        probing = self._peer_window.size == 0 and self._in_flight == 0
        if self._retries >= limit and not (probing and not self.closed):
            return self._die(self._soft_error or errno.ETIMEDOUT)
        self._retries += 1
        self._rtt.backed_off()
        self._timed = None
        if probing:
            self._probe()
        else:
            self._start_over()
        self._retransmit.set(self.namespace.kernel.now + self._rtt.timeout)
        return None

    def _syn_timed_out(self) -> None:
        limit = states.SYN_RETRIES if self.state == "SYN_SENT" else states.SYN_ACK_RETRIES
        if self._retries >= limit:
            return self._die(self._soft_error or errno.ETIMEDOUT)
        self._retries += 1
        self._rtt.backed_off()
        return self._send_syn()

    def _probe(self) -> None:
        """A closed window: ask whether it opened, with an old sequence number that must be answered, as Linux does."""
        self._emit(ACK, advanced(self._unacknowledged, -1), b"")

    def _start_over(self) -> None:
        self._congestion.timed_out(self._in_flight)
        self._next = self._unacknowledged
        if not self._send_one():
            self._retransmit_first()

    def _retransmit_first(self) -> None:
        payload = bytes(self._outgoing[: self._mss])
        self._timed = None
        if payload:
            self._emit(ACK, self._unacknowledged, payload)
        elif self._fin_queued and not self._fin_acknowledged:
            self._emit(FIN | ACK, self._unacknowledged, b"")

    def _lingered(self) -> None:
        self._forget()

    # Receiving (RFC 9293 section 3.10.7)

    def segment_arrived(self, packet: Packet, segment: Tcp, payload: bytes) -> None:
        """One segment of this connection."""
        if packet.trace and not self.trace:
            self.trace = packet.trace
        if self._keep_alive is not None:
            self._keep_alive.heard()
        if self.state == "SYN_SENT":
            return self._in_syn_sent(packet, segment)
        if self.state == "TIME_WAIT" and segment.flags & SYN and not segment.flags & ACK:
            return self._reopen(packet, segment, payload)
        if not self._acceptable(segment, len(payload)):
            return self._refuse(packet, segment)
        if segment.flags & RST:
            return self._reset_arrived(packet, segment)
        if segment.flags & SYN:
            if self.state == "SYN_RECEIVED" and segment.sequence == advanced(self._incoming.next, -1):
                return self._send_syn()
            self._drop(packet, DropReason.TCP_INVALID_SYN, "SYN inside a connection")
            return self._acknowledge()
        if not segment.flags & ACK:
            return self._drop(packet, DropReason.TCP_FLAGS, "no ACK")
        if not self._take_acknowledgement(packet, segment, payload):
            return None
        self._take_data(packet, segment, payload)
        return None

    def _drop(self, packet: Packet, reason: DropReason, detail: str) -> None:
        self.namespace.kernel.drop(packet, self.namespace, reason, detail)

    def _in_syn_sent(self, packet: Packet, segment: Tcp) -> None:
        acknowledges = bool(segment.flags & ACK)
        if acknowledges and segment.acknowledgement != self._next:
            self._drop(packet, DropReason.TCP_INVALID_SEQUENCE, "acknowledges no SYN of ours")
            return self.namespace.sockets.reset(packet, segment, 0)
        if segment.flags & RST:
            return self._die(errno.ECONNREFUSED) if acknowledges else None
        if not segment.flags & SYN:
            return self._drop(packet, DropReason.TCP_FLAGS, "no SYN")
        self._take_syn(segment)
        if not acknowledges:  # simultaneous open
            self.state = "SYN_RECEIVED"
            return self._send_syn()
        self._unacknowledged = segment.acknowledgement
        self._handshake_done()
        self._acknowledge()
        self._push()
        return self.ready()

    def _handshake_done(self) -> None:
        self.state = states.AFTER_CLOSE["ESTABLISHED"] if self._fin_queued else "ESTABLISHED"
        self._measure(self._next)
        self._retries = 0
        self._retransmit.cancel()

    def _reopen(self, packet: Packet, segment: Tcp, payload: bytes) -> None:
        """A new SYN for a connection in TIME_WAIT makes room for itself (RFC 9293 section 3.6.1)."""
        if distance(self._incoming.next, segment.sequence) <= 0:
            return self._acknowledge()
        self._forget()
        return self.namespace.sockets.tcp_input(packet)

    def _acceptable(self, segment: Tcp, length: int) -> bool:
        start = distance(self._incoming.next, segment.sequence)
        if self.state == "SYN_RECEIVED" and segment.flags & SYN and start == -1:
            return True
        return self._incoming.accepts(segment.sequence, length + bool(segment.flags & FIN))

    def _refuse(self, packet: Packet, segment: Tcp) -> None:
        if segment.flags & RST:
            return self._drop(packet, DropReason.TCP_INVALID_SEQUENCE, "reset outside the window")
        behind = distance(self._incoming.next, segment.sequence) < 0
        reason = DropReason.TCP_OLD_DATA if behind else DropReason.TCP_OVERWINDOW
        self._drop(packet, reason, "outside the window")
        if segment.flags & ACK and self.state != "SYN_RECEIVED":
            self._take_window(segment)
            self._update_send(segment)
        if self.state == "TIME_WAIT":
            self._linger.set(self.namespace.kernel.now + states.TIME_WAIT)
        self._acknowledge()
        return self._push()

    def _update_send(self, segment: Tcp) -> None:
        """An old or overlong segment still acknowledges."""
        advance = distance(self._unacknowledged, segment.acknowledgement)
        if 0 < advance <= distance(self._unacknowledged, self._highest):
            self._acknowledged(advance, segment.acknowledgement)

    def _reset_arrived(self, packet: Packet, segment: Tcp) -> None:
        if segment.sequence != self._incoming.next:
            self._drop(packet, DropReason.TCP_INVALID_SEQUENCE, "reset that is not next")
            return self._acknowledge()  # a challenge (RFC 5961)
        if self.state == "SYN_RECEIVED" and self._listener is not None:
            return self._forget()
        if self.state == "TIME_WAIT":
            return self._forget()
        return self._die(errno.EPIPE if self.state == "CLOSE_WAIT" else errno.ECONNRESET)

    def _take_acknowledgement(self, packet: Packet, segment: Tcp, payload: bytes) -> bool:
        advance = distance(self._unacknowledged, segment.acknowledgement)
        if self.state == "SYN_RECEIVED":
            if segment.acknowledgement != advanced(self._initial, 1):
                self._drop(packet, DropReason.TCP_INVALID_SEQUENCE, "acknowledges no SYN of ours")
                self.namespace.sockets.reset(packet, segment, len(payload))
                return False
            self._finish_passive(segment)
            advance = 0
        if -advance > min(self._peer_window.largest, self._acknowledged_bytes):
            self._drop(packet, DropReason.TCP_TOO_OLD_ACK, "acknowledges what is long past")
            self._acknowledge()  # a challenge (RFC 5961 section 5.2)
            return False
        if advance > distance(self._unacknowledged, self._highest):
            self._drop(packet, DropReason.TCP_INVALID_SEQUENCE, "acknowledges what was not sent")
            self._acknowledge()
            return False
        duplicate = (
            advance == 0
            and not payload
            and not segment.flags & FIN
            and self._in_flight > 0
            and self._peer_window.offered(segment) == self._peer_window.size
        )
        self._take_window(segment)
        if advance > 0:
            self._acknowledged(advance, segment.acknowledgement)
        elif duplicate and self._congestion.duplicated(self._in_flight, self._highest):
            self._retransmit_first()
        self._push()
        return self.state != "CLOSED"

    def _finish_passive(self, segment: Tcp) -> None:
        self._unacknowledged = segment.acknowledgement
        self._handshake_done()
        self._peer_window.force(segment)
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.established(self)

    def _take_window(self, segment: Tcp) -> None:
        acknowledges = distance(self._unacknowledged, segment.acknowledgement) > 0
        if self._peer_window.update(segment, acknowledges=acknowledges):
            self._retries = 0

    def _acknowledged(self, advance: int, upto: int) -> None:
        of_data = min(advance, len(self._outgoing))
        del self._outgoing[:of_data]
        self._acknowledged_bytes += of_data
        self._unacknowledged = upto
        if distance(self._next, upto) > 0:
            self._next = upto
        self._retries = 0
        self._measure(upto)
        self._rtt.progressed()
        if self._congestion.acknowledged(advance, upto):
            self._retransmit_first()
        self._retransmit.cancel()
        if advance > of_data and self._fin_queued:
            self._fin_acknowledged = True
        if self._fin_acknowledged and self.state in states.AFTER_OUR_FIN_ACKED:
            self._our_fin_acknowledged()
        self.ready()

    def _measure(self, upto: int) -> None:
        if self._timed is not None and distance(self._timed[0], upto) >= 0:
            self._rtt.measured(self.namespace.kernel.now - self._timed[1])
            self._timed = None

    def _our_fin_acknowledged(self) -> None:
        self.state = states.AFTER_OUR_FIN_ACKED[self.state]
        if self.state == "CLOSED":
            self._forget()
        elif self.state == "TIME_WAIT":
            self._linger.set(self.namespace.kernel.now + states.TIME_WAIT)
        elif self.closed:
            self._linger.set(self.namespace.kernel.now + states.FIN_TIMEOUT)

    def _take_data(self, packet: Packet, segment: Tcp, payload: bytes) -> None:
        if not payload and not segment.flags & FIN:
            return None
        if payload and self.closed:
            self._drop(packet, DropReason.TCP_CLOSE, "data after close")
            self.namespace.sockets.reset(packet, segment, len(payload))
            return self._forget()
        if payload and self.state in states.AFTER_FIN and distance(self._incoming.next, segment.sequence) >= 0:
            return self._drop(packet, DropReason.TCP_CLOSE, "data after the peer's FIN")
        if segment.flags & FIN:
            self._their_fin = advanced(segment.sequence, len(payload))
        if payload and not self._incoming.insert(segment.sequence, payload):
            self._drop(packet, DropReason.TCP_OFO_DROP, "no room for early segments")
        self._take_fin()
        self._acknowledge()
        return self.ready()

    def _take_fin(self) -> None:
        if self._their_fin is None or self._incoming.next != self._their_fin or self.state == "TIME_WAIT":
            return
        if self.state in states.AFTER_FIN:
            return
        self._incoming.next = advanced(self._incoming.next, 1)
        self._their_fin = self._incoming.next
        self.state = states.AFTER_THEIR_FIN.get(self.state, "CLOSING")
        if self.state == "TIME_WAIT":
            self._linger.set(self.namespace.kernel.now + states.TIME_WAIT)

    def icmp_arrived(self, error: PathError, sequence: int) -> None:
        """An ICMP error quotes a segment of ours (RFC 5927: only if its sequence number is outstanding)."""
        offset = distance(self._unacknowledged, sequence)
        if not 0 <= offset <= distance(self._unacknowledged, self._highest):
            return None
        if error.mtu:
            return self._path_shrank()
        if self.state in ("SYN_SENT", "SYN_RECEIVED") and error.number:
            return self._die(error.number)
        self._soft_error = error.number
        return None

    def _path_shrank(self) -> None:
        assert self.remote is not None
        mss = self._path_mss(self.remote[0])
        if mss >= self._mss:
            return
        self._set_mss(mss)
        self._timed = None
        self._next = self._unacknowledged
        self._push()
