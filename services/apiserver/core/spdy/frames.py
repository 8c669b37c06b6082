"""SPDY/3.1 frames as values, and their bytes.

Source: draft-mbelshe-httpbis-spdy-00, section 2.6. Which frames are refused follows moby/spdystream `spdy/read.go`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from podwire.services.apiserver.core.spdy.headers import HeaderCompressor

VERSION: Final = 3
FIN: Final = 1
LARGEST_CONTROL: Final = 64 * 1024
"""Bytes of one control frame's payload."""
LARGEST_DATA: Final = 0xFFFFFF

SYN_STREAM: Final = 1
SYN_REPLY: Final = 2
RST_STREAM: Final = 3
SETTINGS: Final = 4
PING: Final = 6
GOAWAY: Final = 7
HEADERS: Final = 8
WINDOW_UPDATE: Final = 9

PROTOCOL_ERROR: Final = 1
REFUSED_STREAM: Final = 3
CANCEL: Final = 5


@dataclass(frozen=True, slots=True)
class SynStream:
    """Opens a stream."""

    stream: int
    headers: Mapping[str, str] = field(default_factory=dict)
    fin: bool = False
    unidirectional: bool = False
    associated: int = 0
    priority: int = 0


@dataclass(frozen=True, slots=True)
class SynReply:
    """Accepts a stream."""

    stream: int
    headers: Mapping[str, str] = field(default_factory=dict)
    fin: bool = False


@dataclass(frozen=True, slots=True)
class RstStream:
    """Ends a stream both ways."""

    stream: int
    status: int


@dataclass(frozen=True, slots=True)
class Settings:
    """(id, flags, value) of each setting."""

    values: tuple[tuple[int, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Ping:
    """To be sent back as it is, if its id is of the other side's parity."""

    id: int


@dataclass(frozen=True, slots=True)
class GoAway:
    """No stream above `last` will be served."""

    last: int
    status: int = 0


@dataclass(frozen=True, slots=True)
class StreamHeaders:
    """Further headers of a stream."""

    stream: int
    headers: Mapping[str, str] = field(default_factory=dict)
    fin: bool = False


@dataclass(frozen=True, slots=True)
class WindowUpdate:
    """Room for more bytes. spdystream knows no flow control, so that nobody waits for it."""

    stream: int
    delta: int


@dataclass(frozen=True, slots=True)
class Data:
    """Bytes of a stream: a frame, or a piece of one where it comes in pieces (`fin` is the last piece's)."""

    stream: int
    data: bytes
    fin: bool = False


type Frame = SynStream | SynReply | RstStream | Settings | Ping | GoAway | StreamHeaders | WindowUpdate | Data


def _control(kind: int, payload: bytes, flags: int = 0) -> bytes:
    return (0x8000 | VERSION).to_bytes(2) + kind.to_bytes(2) + bytes([flags]) + len(payload).to_bytes(3) + payload


def _numbers(*values: int) -> bytes:
    return b"".join(value.to_bytes(4) for value in values)


class FrameWriter:
    """Frames to bytes, in the order in which they are to be sent (header blocks share one zlib stream)."""

    def __init__(self) -> None:
        self._compressor = HeaderCompressor()

    def encode(self, frame: Frame) -> bytes:
        """One frame's bytes."""
        match frame:
            case Data(stream, data, fin):
                return stream.to_bytes(4) + bytes([FIN * fin]) + len(data).to_bytes(3) + data
            case SynStream():
                return self._syn_stream(frame)
            case SynReply(stream, headers, fin):
                return _control(SYN_REPLY, _numbers(stream) + self._compressor.compress(headers), FIN * fin)
            case StreamHeaders(stream, headers, fin):
                return _control(HEADERS, _numbers(stream) + self._compressor.compress(headers), FIN * fin)
            case RstStream(stream, status):
                return _control(RST_STREAM, _numbers(stream, status))
            case Settings(values):
                words = [word for name, flags, value in values for word in (flags << 24 | name, value)]
                return _control(SETTINGS, _numbers(len(values), *words))
            case Ping(number):
                return _control(PING, _numbers(number))
            case GoAway(last, status):
                return _control(GOAWAY, _numbers(last, status))
            case WindowUpdate(stream, delta):
                return _control(WINDOW_UPDATE, _numbers(stream, delta))

    def _syn_stream(self, frame: SynStream) -> bytes:
        fixed = _numbers(frame.stream, frame.associated) + bytes([frame.priority << 5, 0])
        flags = FIN * frame.fin | 2 * frame.unidirectional
        return _control(SYN_STREAM, fixed + self._compressor.compress(frame.headers), flags)
