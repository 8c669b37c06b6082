"""The server's side of a SPDY/3.1 connection as Kubernetes' clients speak it (moby/spdystream `connection.go`).

The client opens streams; there is no flow control on the wire (spdystream has none), so that the reader of the
connection must not read on while it cannot pass on. `take` is to be called after every command and every `receive`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from podwire.services.apiserver.core.spdy import frames
from podwire.services.apiserver.core.spdy.reader import FrameReader

MOST_STREAMS: Final = 1024
"""Streams that are open at a time; further ones are refused."""
_PIECE: Final = 32 * 1024
_PINGS: Final = 0x7FFFFFFE


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """The client opened a stream; it waits for `accept` or `reset`."""

    stream: int
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DataReceived:
    """Bytes of a stream."""

    stream: int
    data: bytes


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """The client half-closed a stream."""

    stream: int


@dataclass(frozen=True, slots=True)
class StreamReset:
    """The client gave a stream up, both ways."""

    stream: int


@dataclass(frozen=True, slots=True)
class GoneAway:
    """The client will open no more streams."""


type Event = StreamOpened | DataReceived | StreamEnded | StreamReset | GoneAway


@dataclass(slots=True)
class _Halves:
    theirs: bool = True
    ours: bool = True


class Connection:
    """Events of what came, bytes of what is to be sent."""

    def __init__(self) -> None:
        self._reader, self._writer = FrameReader(), frames.FrameWriter()
        self._streams: dict[int, _Halves] = {}
        self._last = 0
        self._going_away = False
        self._pings = 0
        self._outbox: list[bytes] = []

    def receive(self, data: bytes) -> list[Event]:
        """What happened. Raises ProtocolError, after which the connection is over."""
        events: list[Event] = []
        for frame in self._reader.feed(data):
            events += self._on_frame(frame)
        return events

    def take(self) -> bytes:
        """The bytes to send now."""
        data = b"".join(self._outbox)
        self._outbox.clear()
        return data

    def _send(self, frame: frames.Frame) -> None:
        self._outbox.append(self._writer.encode(frame))

    # -- commands

    def is_writable(self, stream: int) -> bool:
        """Whether this side may still write to a stream."""
        halves = self._streams.get(stream)
        return halves is not None and halves.ours

    def accept(self, stream: int) -> None:
        """Replies to a stream that was opened."""
        if self.is_writable(stream):
            self._send(frames.SynReply(stream))

    def send(self, stream: int, data: bytes) -> None:
        """Bytes on a stream; dropped where the stream is over."""
        if self.is_writable(stream):
            for start in range(0, len(data), _PIECE):
                self._send(frames.Data(stream, data[start : start + _PIECE]))

    def finish(self, stream: int) -> None:
        """Half-closes a stream."""
        if self.is_writable(stream):
            self._send(frames.Data(stream, b"", fin=True))
            self._streams[stream].ours = False
            self._forget_if_over(stream)

    def reset(self, stream: int, status: int = frames.CANCEL) -> None:
        """Gives a stream up, both ways."""
        if self._streams.pop(stream, None) is not None:
            self._send(frames.RstStream(stream, status))

    def go_away(self) -> None:
        """Takes no more streams."""
        if not self._going_away:
            self._going_away = True
            self._send(frames.GoAway(self._last))

    def ping(self) -> None:
        """Asks for a sign of life."""
        self._pings = self._pings % _PINGS + 2
        self._send(frames.Ping(self._pings))

    # -- what came

    def _on_frame(self, frame: frames.Frame) -> list[Event]:
        match frame:
            case frames.SynStream():
                return self._on_open(frame)
            case frames.Data(stream, data, fin):
                return self._on_data(stream, data, fin)
            case frames.RstStream(stream):
                return [StreamReset(stream)] if self._streams.pop(stream, None) else []
            case frames.StreamHeaders(stream, _, fin):
                return self._on_data(stream, b"", fin)
            case frames.Ping(number) if number % 2:
                self._send(frame)
            case frames.GoAway():
                return [GoneAway()]
        return []

    def _on_open(self, frame: frames.SynStream) -> list[Event]:
        stream = frame.stream
        if self._going_away:
            return []
        if stream % 2 == 0 or stream <= self._last:
            self._send(frames.RstStream(stream, frames.PROTOCOL_ERROR))
            return []
        self._last = stream
        if len(self._streams) >= MOST_STREAMS:
            self._send(frames.RstStream(stream, frames.REFUSED_STREAM))
            return []
        self._streams[stream] = _Halves(theirs=not frame.fin, ours=not frame.unidirectional)
        opened = StreamOpened(stream, frame.headers)
        return [opened, StreamEnded(stream)] if frame.fin else [opened]

    def _on_data(self, stream: int, data: bytes, fin: bool) -> list[Event]:
        halves = self._streams.get(stream)
        if halves is None or not halves.theirs:
            return []
        events: list[Event] = [DataReceived(stream, data)] if data else []
        if fin:
            halves.theirs = False
            self._forget_if_over(stream)
            events.append(StreamEnded(stream))
        return events

    def _forget_if_over(self, stream: int) -> None:
        halves = self._streams[stream]
        if not halves.theirs and not halves.ours:
            del self._streams[stream]
