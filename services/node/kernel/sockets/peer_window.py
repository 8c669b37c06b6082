"""The window that a TCP peer offers (RFC 9293 section 3.8.6), as Linux takes it in (net/ipv4/tcp_input.c)."""

from podwire.proto.packet.tcp import Tcp
from podwire.services.node.kernel.sockets.sequence import distance


class PeerWindow:
    """`size` in bytes, `largest` ever offered; `scale` is the peer's shift."""

    __slots__ = ("_updated_by", "largest", "scale", "size")

    def __init__(self) -> None:
        self.size = self.largest = 0
        self.scale = 0
        self._updated_by = 0

    def begin(self, segment: Tcp) -> None:
        """Take the window of a SYN, which is never scaled."""
        self._set(segment.window, segment.sequence)

    def offered(self, segment: Tcp) -> int:
        """What a segment offers."""
        return segment.window << self.scale

    def update(self, segment: Tcp, *, acknowledges: bool) -> bool:
        """Take a window that is newer, or that opens or closes it (tcp_may_update_window).

        Whether it went from or to nothing.
        """
        window = self.offered(segment)
        newer = distance(self._updated_by, segment.sequence)
        if not (acknowledges or newer > 0 or (newer == 0 and (window > self.size or not window))):
            return False
        was = self.size
        self._set(window, segment.sequence)
        return not window or (not was and window > 0)

    def force(self, segment: Tcp) -> None:
        """Take the window of the segment that ends the handshake."""
        self.size = self.offered(segment)
        self.largest = max(self.largest, self.size)

    def _set(self, window: int, sequence: int) -> None:
        self.size = window
        self.largest = max(self.largest, window)
        self._updated_by = sequence
