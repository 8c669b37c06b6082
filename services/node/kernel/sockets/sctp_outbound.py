"""What an SCTP sender holds: messages cut into DATA chunks, what is under way, how much may be (RFC 9260 6, 7)."""

from collections import deque

from podwire.proto.packet.sctp import BEGINNING, DATA_HEADER, ENDING, Data, Sack
from podwire.services.node.kernel.sockets.sctp_states import MISSES, SEND_BUFFER
from podwire.services.node.kernel.sockets.sequence import advanced, distance


class Sent:
    """A chunk on its way. `lost` ones are to be sent again; `gap_acknowledged` ones have arrived out of order."""

    __slots__ = ("data", "gap_acknowledged", "lost", "misses", "sent_at", "transmissions")

    def __init__(self, data: Data) -> None:
        self.data = data
        self.sent_at = 0
        self.transmissions = 0
        self.misses = 0
        self.lost = self.gap_acknowledged = False

    @property
    def size(self) -> int:
        """Bytes of payload."""
        return len(self.data.payload)


class Outbound:
    """`acknowledged` is the peer's cumulative TSN; windows are bytes of payload."""

    __slots__ = (
        *("_mtu", "_next_sequence", "_next_tsn", "_outstanding", "_partial", "_peer_window", "_queue", "_queued"),
        *("_threshold", "acknowledged", "window"),
    )

    def __init__(self, first: int, mtu: int) -> None:
        self._next_tsn = first
        self.acknowledged = advanced(first, -1)
        self._next_sequence: dict[int, int] = {}
        self._queue: deque[Data] = deque()
        self._queued = 0
        self._outstanding: dict[int, Sent] = {}
        self._mtu = mtu
        self._peer_window = 0
        self.window = min(4 * mtu, max(2 * mtu, 4380))
        self._threshold = 1 << 30
        self._partial = 0

    @property
    def unsent(self) -> int:
        """Bytes that the peer has not acknowledged."""
        return self._queued + sum(sent.size for sent in self._outstanding.values())

    @property
    def outstanding(self) -> bool:
        """Whether an acknowledgement is waited for."""
        return bool(self._outstanding)

    def opened(self, peer_window: int) -> None:
        """What the peer's INIT or INIT ACK allows."""
        self._peer_window = peer_window

    def room(self, octets: int) -> bool:
        """Whether a message fits the send buffer: as in Linux one always does if there is any room."""
        return not octets or self.unsent + octets <= SEND_BUFFER or not self.unsent

    def put(self, message: bytes, stream: int, largest: int) -> None:
        """Queue a message, cut into pieces of at most `largest` bytes."""
        sequence = self._next_sequence.get(stream, 0)
        self._next_sequence[stream] = (sequence + 1) & 0xFFFF
        for at in range(0, len(message), largest):
            flags = BEGINNING * (at == 0) | ENDING * (at + largest >= len(message))
            self._queue.append(Data(flags, self._next_tsn, stream, sequence, 0, message[at : at + largest]))
            self._next_tsn = advanced(self._next_tsn, 1)
        self._queued += len(message)

    @property
    def _flight(self) -> int:
        return sum(sent.size for sent in self._outstanding.values() if not (sent.lost or sent.gap_acknowledged))

    def next_batch(self, room: int, now: int) -> list[Data]:
        """The chunks of the next packet, of at most `room` bytes; none if the windows are full."""
        batch: list[Data] = []
        flight = self._flight
        for sent in self._candidates():
            size = DATA_HEADER + sent.size + -sent.size % 4
            if size > room or not self._allowed(flight, sent):
                break
            self._note_sent(sent, now)
            batch.append(sent.data)
            flight += sent.size
            room -= size
        return batch

    def _candidates(self) -> list[Sent]:
        lost = [sent for sent in self._outstanding.values() if sent.lost]
        return lost + [Sent(data) for data, _ in zip(self._queue, range(64), strict=False)]

    def _allowed(self, flight: int, sent: Sent) -> bool:
        if flight == 0:
            return True  # a window that is closed is probed (section 6.1, rule A)
        return flight + sent.size <= self.window and (sent.lost or sent.size <= self._peer_window)

    def _note_sent(self, sent: Sent, now: int) -> None:
        if sent.lost:
            sent.lost, sent.misses = False, 0
        else:
            self._outstanding[sent.data.tsn] = sent
            self._queue.popleft()
            self._queued -= sent.size
            self._peer_window = max(self._peer_window - sent.size, 0)
        sent.sent_at = now
        sent.transmissions += 1

    def take(self, sack: Sack, now: int) -> tuple[bool, int | None]:
        """Take an acknowledgement in: whether it brought something new, and a round-trip time if it gave one."""
        if distance(self.acknowledged, sack.cumulative) < 0:
            return False, None
        full = self._flight + self._queued >= self.window
        released, sample = self._release(sack.cumulative, now)
        highest = self._note_gaps(sack)
        self._count_misses(highest)
        self._peer_window = max(sack.window - self._flight, 0)
        if released:
            self._grow(released, full=full)
        return bool(released) or not self._outstanding, sample

    def _release(self, cumulative: int, now: int) -> tuple[int, int | None]:
        released, sample = 0, None
        while distance(self.acknowledged, cumulative) > 0 and self._outstanding:
            self.acknowledged = advanced(self.acknowledged, 1)
            sent = self._outstanding.pop(self.acknowledged, None)
            if sent is None:
                break
            released += sent.size
            if sent.transmissions == 1 and not sent.gap_acknowledged:
                sample = now - sent.sent_at
        return released, sample

    def _note_gaps(self, sack: Sack) -> int:
        highest = 0
        for first, last in sack.gaps:
            for offset in range(first, min(last, first + len(self._outstanding)) + 1):
                sent = self._outstanding.get(advanced(sack.cumulative, offset))
                if sent is not None:
                    highest = max(highest, 0 if sent.gap_acknowledged else offset)
                    sent.gap_acknowledged, sent.lost = True, False
        return highest

    def _count_misses(self, highest: int) -> None:
        """Three reports that a chunk is missing while later ones came: send it again (section 7.2.4)."""
        struck = False
        for tsn, sent in self._outstanding.items():
            behind = distance(self.acknowledged, tsn)
            if sent.gap_acknowledged or sent.lost or behind >= highest:
                continue
            sent.misses += 1
            if sent.misses == MISSES and sent.transmissions == 1:
                sent.lost = struck = True
        if struck:
            self._threshold = max(self.window // 2, 4 * self._mtu)
            self.window, self._partial = self._threshold, 0

    def _grow(self, released: int, *, full: bool) -> None:
        if self.window <= self._threshold:
            self.window += min(released, self._mtu) if full else 0
            return
        self._partial += released
        if self._partial >= self.window and full:
            self._partial -= self.window
            self.window += self._mtu

    def timed_out(self) -> None:
        """T3 struck: everything outstanding is sent again, one packet at first (section 7.2.3)."""
        self._threshold = max(self.window // 2, 4 * self._mtu)
        self.window, self._partial = self._mtu, 0
        for sent in self._outstanding.values():
            sent.lost = not sent.gap_acknowledged
