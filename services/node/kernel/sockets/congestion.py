"""NewReno congestion control (RFC 5681, RFC 6582), in bytes."""

from typing import Final

from podwire.services.node.kernel.sockets.sequence import distance

INITIAL_SEGMENTS: Final = 10
DUPLICATES: Final = 3


class Congestion:
    """The congestion window; `recover` is the sequence number that ends a fast recovery, None outside one."""

    __slots__ = ("duplicates", "mss", "recover", "threshold", "window")

    def __init__(self, mss: int) -> None:
        self.mss = mss
        self.window = INITIAL_SEGMENTS * mss
        self.threshold = 1 << 30
        self.duplicates = 0
        self.recover: int | None = None

    def acknowledged(self, octets: int, upto: int) -> bool:
        """New data was acknowledged; whether to retransmit the first segment, as recovery goes on."""
        if self.recover is None:
            self._grow(octets)
            return False
        if distance(self.recover, upto) >= 0:
            self._recovered()
            return False
        self.window = max(self.window - octets + self.mss, self.mss)  # a partial acknowledgement: deflate
        return True

    def _grow(self, octets: int) -> None:
        """Slow start or congestion avoidance."""
        self.duplicates = 0
        if self.window < self.threshold:
            self.window += min(octets, self.mss)
        else:
            self.window += max(self.mss * self.mss // self.window, 1)

    def duplicated(self, in_flight: int, sent_up_to: int) -> bool:
        """A duplicate acknowledgement; whether to retransmit the first segment now."""
        self.duplicates += 1
        if self.recover is not None:
            self.window += self.mss
            return False
        if self.duplicates != DUPLICATES:
            return False
        self.threshold = max(in_flight // 2, 2 * self.mss)
        self.window = self.threshold + DUPLICATES * self.mss
        self.recover = sent_up_to
        return True

    def _recovered(self) -> None:
        """Everything sent before the loss was acknowledged."""
        self.window = max(self.threshold, self.mss)
        self.recover = None
        self.duplicates = 0

    def timed_out(self, in_flight: int) -> None:
        """The retransmission timer struck: start over from one segment."""
        self.threshold = max(in_flight // 2, 2 * self.mss)
        self.window = self.mss
        self.recover = None
        self.duplicates = 0
