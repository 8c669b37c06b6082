"""What an SCTP receiver holds: which TSNs came, pieces of messages, and messages in their streams' order. Bounded."""

from collections import deque
from typing import NamedTuple

from podwire.proto.packet.sctp import BEGINNING, ENDING, UNORDERED, Data, Sack
from podwire.services.node.kernel.sockets.sctp_states import TSN_SPAN, WINDOW
from podwire.services.node.kernel.sockets.sequence import advanced, distance


class Message(NamedTuple):
    """A whole message, and the stream it came in."""

    payload: bytes
    stream: int


class Inbound:
    """`cumulative` is the last TSN up to which all came (RFC 9260 sections 6.2, 6.5 to 6.7, 6.9)."""

    __slots__ = ("_above", "_complete", "_duplicates", "_expected", "_held", "_pieces", "_queue", "cumulative")

    def __init__(self, first: int) -> None:
        self.cumulative = advanced(first, -1)
        self._above: dict[int, None] = {}
        self._pieces: dict[int, Data] = {}
        self._complete: dict[tuple[int, int], Message] = {}
        self._expected: dict[int, int] = {}
        self._queue: deque[Message] = deque()
        self._duplicates: list[int] = []
        self._held = 0

    @property
    def window(self) -> int:
        """How many bytes of payload may come."""
        return max(WINDOW - self._held, 0)

    @property
    def waiting(self) -> int:
        """Bytes that can be read."""
        return sum(len(message.payload) for message in self._queue)

    def read(self) -> Message | None:
        """The oldest message, None if there is none."""
        if not self._queue:
            return None
        message = self._queue.popleft()
        self._held -= len(message.payload)
        return message

    def take(self, data: Data) -> bool:
        """Take a chunk in; false if there is no room for it. A repeated one is only noted."""
        ahead = distance(self.cumulative, data.tsn)
        if ahead <= 0 or data.tsn in self._above:
            self._duplicates = [*self._duplicates, data.tsn][-16:]
            return True
        # the chunk that everything waits for is taken even so, or a closed window could never open
        crowded = len(data.payload) > self.window and (ahead > 1 or bool(self._queue))
        if ahead > TSN_SPAN or crowded:
            return False
        self._above[data.tsn] = None
        while (following := advanced(self.cumulative, 1)) in self._above:
            del self._above[following]
            self.cumulative = following
        self._held += len(data.payload)
        self._pieces[data.tsn] = data
        self._assemble(data)
        return True

    def _assemble(self, data: Data) -> None:
        """Make a message of the pieces around a new one, if none is missing."""
        first = last = data
        while not first.flags & BEGINNING:
            before = self._pieces.get(advanced(first.tsn, -1))
            if before is None:
                return
            first = before
        while not last.flags & ENDING:
            after = self._pieces.get(advanced(last.tsn, 1))
            if after is None:
                return
            last = after
        count = distance(first.tsn, last.tsn) + 1
        pieces = [self._pieces.pop(advanced(first.tsn, step)) for step in range(count)]
        self._deliver(Message(b"".join(piece.payload for piece in pieces), data.stream), first)

    def _deliver(self, message: Message, first: Data) -> None:
        if first.flags & UNORDERED:
            self._queue.append(message)
            return
        stream = first.stream
        self._complete[stream, first.sequence] = message
        expected = self._expected.get(stream, 0)
        while (following := self._complete.pop((stream, expected), None)) is not None:
            self._queue.append(following)
            expected = (expected + 1) & 0xFFFF
        self._expected[stream] = expected

    def acknowledgement(self) -> Sack:
        """What to tell the sender; duplicates are told once."""
        offsets = sorted(distance(self.cumulative, tsn) for tsn in self._above)
        gaps: list[tuple[int, int]] = []
        for offset in offsets:
            if gaps and gaps[-1][1] == offset - 1:
                gaps[-1] = (gaps[-1][0], offset)
            else:
                gaps.append((offset, offset))
        duplicates, self._duplicates = tuple(self._duplicates), []
        return Sack(self.cumulative, self.window, tuple(gaps[:64]), duplicates)
