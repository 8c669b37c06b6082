"""What a TCP receiver holds: bytes in order to be read, and segments that came too early. Bounded."""

from typing import Final

from podwire.services.node.kernel.sockets.sequence import distance

CAPACITY: Final = 262_144
EARLY_LIMIT: Final = 256


class ReceiveBuffer:
    """`next` is the sequence number that is waited for."""

    __slots__ = ("_early", "_early_bytes", "next", "ready")

    def __init__(self, first: int) -> None:
        self.next = first
        self.ready = bytearray()
        self._early: dict[int, bytes] = {}
        self._early_bytes = 0

    @property
    def window(self) -> int:
        """How many bytes from `next` on may come."""
        return max(CAPACITY - len(self.ready), 0)

    def accepts(self, sequence: int, span: int) -> bool:
        """Whether a segment of so many sequence numbers touches the window (RFC 9293 section 3.10.7.4)."""
        start, window = distance(self.next, sequence), self.window
        if span == 0:
            return 0 <= start <= window if window else start == 0
        return window > 0 and start < window and start + span > 0

    def insert(self, sequence: int, payload: bytes) -> bool:
        """Take in bytes, trimmed to the window; false if they came too early and there is no room."""
        behind = distance(sequence, self.next)
        if behind > 0:
            payload = payload[behind:]
            sequence = self.next
        payload = payload[: max(self.window - distance(self.next, sequence), 0)]
        if not payload:
            return True
        if sequence != self.next:
            return self._keep(sequence, payload)
        self._append(payload)
        self._drain()
        return True

    def _append(self, payload: bytes) -> None:
        self.ready += payload
        self.next = (self.next + len(payload)) & 0xFFFFFFFF

    def _keep(self, sequence: int, payload: bytes) -> bool:
        held = self._early.get(sequence, b"")
        if len(self._early) >= EARLY_LIMIT or self._early_bytes + len(payload) > CAPACITY:
            return False
        if len(payload) > len(held):
            self._early[sequence] = payload
            self._early_bytes += len(payload) - len(held)
        return True

    def _drain(self) -> None:
        progressed = True
        while progressed and self._early:
            progressed = False
            for sequence in sorted(self._early, key=lambda each: distance(self.next, each)):
                behind = distance(sequence, self.next)
                if behind < 0:
                    return
                payload = self._early.pop(sequence)
                self._early_bytes -= len(payload)
                self._append(payload[behind:][: self.window])
                progressed = True

    def read(self, limit: int) -> bytes:
        """Up to `limit` bytes in order."""
        octets = bytes(self.ready[:limit])
        del self.ready[:limit]
        return octets
