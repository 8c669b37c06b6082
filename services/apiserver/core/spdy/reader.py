"""Bytes to frames, as they come. What is kept is never more than one control frame; data is passed on in pieces."""

from typing import Final

from podwire.services.apiserver.core.spdy import frames
from podwire.services.apiserver.core.spdy.errors import ProtocolError
from podwire.services.apiserver.core.spdy.headers import HeaderDecompressor

_HEAD: Final = 8
_ID: Final = 0x7FFFFFFF
_LENGTHS: Final = {frames.RST_STREAM: 8, frames.PING: 4, frames.GOAWAY: 8, frames.WINDOW_UPDATE: 8}
_LEAST: Final = {frames.SYN_STREAM: 10, frames.SYN_REPLY: 4, frames.HEADERS: 4, frames.SETTINGS: 4}
_NO_STREAM: Final = (frames.SETTINGS, frames.PING, frames.GOAWAY, frames.WINDOW_UPDATE)


class FrameReader:
    """Takes bytes in pieces of any size. After a ProtocolError it takes nothing more."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._decompressor = HeaderDecompressor()
        self._data_stream = self._data_left = 0
        self._data_fin = False

    def feed(self, data: bytes) -> list[frames.Frame]:
        """The frames, and pieces of data frames, that are complete now. Raises ProtocolError."""
        self._buffer += data
        found: list[frames.Frame] = []
        while (frame := self._next()) is not None:
            found.append(frame)
        return found

    def _next(self) -> frames.Frame | None:
        if self._data_left:
            return self._piece()
        if len(self._buffer) < _HEAD:
            return None
        length = int.from_bytes(self._buffer[5:8])
        if self._buffer[0] & 0x80:
            return self._control(length)
        return self._begin_data(length)

    def _begin_data(self, length: int) -> frames.Frame | None:
        stream, fin = int.from_bytes(self._buffer[:4]), bool(self._buffer[4] & frames.FIN)
        if not stream:
            raise ProtocolError("a data frame of stream 0")
        del self._buffer[:_HEAD]
        if not length:
            return frames.Data(stream, b"", fin)
        self._data_stream, self._data_left, self._data_fin = stream, length, fin
        return self._piece()

    def _piece(self) -> frames.Frame | None:
        if not self._buffer:
            return None
        data = bytes(self._buffer[: self._data_left])
        del self._buffer[: len(data)]
        self._data_left -= len(data)
        return frames.Data(self._data_stream, data, self._data_fin and not self._data_left)

    def _control(self, length: int) -> frames.Frame | None:
        version = int.from_bytes(self._buffer[:2]) & 0x7FFF
        kind, flags = int.from_bytes(self._buffer[2:4]), self._buffer[4]
        _check(version, kind, length)
        if len(self._buffer) < _HEAD + length:
            return None
        payload = bytes(self._buffer[_HEAD : _HEAD + length])
        del self._buffer[: _HEAD + length]
        return self._decode(kind, flags, payload)

    def _decode(self, kind: int, flags: int, payload: bytes) -> frames.Frame:
        first = int.from_bytes(payload[:4])
        stream = first & _ID
        if not stream and kind not in _NO_STREAM:
            raise ProtocolError(f"control frame {kind} of stream 0")
        if kind == frames.SETTINGS:
            return _settings(first, payload)
        if kind == frames.PING:
            return frames.Ping(first)
        if kind in _LENGTHS:
            second = int.from_bytes(payload[4:8])
            if kind == frames.RST_STREAM:
                return frames.RstStream(stream, second)
            return frames.GoAway(stream, second) if kind == frames.GOAWAY else frames.WindowUpdate(stream, second & _ID)
        fin = bool(flags & frames.FIN)
        headers = self._decompressor.decompress(payload[_LEAST[kind] :])
        if kind == frames.SYN_REPLY:
            return frames.SynReply(stream, headers, fin)
        if kind == frames.HEADERS:
            return frames.StreamHeaders(stream, headers, fin)
        associated = int.from_bytes(payload[4:8]) & _ID
        return frames.SynStream(stream, headers, fin, bool(flags & 2), associated, payload[8] >> 5)


def _check(version: int, kind: int, length: int) -> None:
    if version != frames.VERSION:
        raise ProtocolError(f"SPDY version {version}: only {frames.VERSION} is spoken here")
    if kind in _LENGTHS:
        if length != _LENGTHS[kind]:
            raise ProtocolError(f"control frame {kind} of {length} bytes: it has {_LENGTHS[kind]}")
    elif kind not in _LEAST:
        raise ProtocolError(f"control frame of unknown type {kind}")
    elif not _LEAST[kind] <= length <= frames.LARGEST_CONTROL:
        raise ProtocolError(f"control frame {kind} of {length} bytes: {_LEAST[kind]} to {frames.LARGEST_CONTROL}")


def _settings(count: int, payload: bytes) -> frames.Settings:
    if len(payload) != 4 + 8 * count:
        raise ProtocolError(f"SETTINGS of {len(payload)} bytes says that it has {count} entries")
    entries = [payload[start : start + 8] for start in range(4, len(payload), 8)]
    return frames.Settings(
        tuple((int.from_bytes(entry[1:4]), entry[0], int.from_bytes(entry[4:])) for entry in entries)
    )
