"""RESP2, what Redis and its clients speak: commands as arrays of bulk strings, replies of five kinds."""

from typing import Final

from podwire.services.node.network.sockets import TcpStream

MOST_BYTES: Final = 1024 * 1024
_MOST_ITEMS: Final = 100_000
_MOST_WORDS: Final = 1024


class ProtocolFailure(ValueError):
    """Bytes that are no RESP; the connection ends after the error."""


class Reader:
    """RESP from a stream: commands on the server's side, replies on the client's."""

    def __init__(self, stream: TcpStream) -> None:
        self._stream, self._data = stream, bytearray()

    async def _line(self) -> bytes | None:
        while b"\r\n" not in self._data and b"\n" not in self._data:
            more = await self._stream.read()
            if not more or len(self._data) > MOST_BYTES:
                return None
            self._data += more
        line, _, rest = bytes(self._data).partition(b"\n")
        self._data = bytearray(rest)
        return line.removesuffix(b"\r")

    async def _exactly(self, length: int) -> bytes | None:
        while len(self._data) < length + 2:
            more = await self._stream.read()
            if not more:
                return None
            self._data += more
        data = bytes(self._data[:length])
        del self._data[: length + 2]
        return data

    async def command(self) -> list[bytes] | None:
        """The next command's words, None at the end. Raises ProtocolFailure."""
        line = await self._line()
        if line is None:
            return None
        if not line.startswith(b"*"):
            return line.split()
        words = []
        for _ in range(_length(line, _MOST_WORDS, "multibulk")):
            head = await self._line()
            if head is None:
                return None
            if not head.startswith(b"$"):
                raise ProtocolFailure(f"expected '$', got '{head[:1].decode(errors='replace')}'")
            word = await self._exactly(_length(head, MOST_BYTES, "bulk"))
            if word is None:
                return None
            words.append(word)
        return words

    async def reply(self, depth: int = 0) -> str | None:
        """The next reply as redis-cli prints it (not to a terminal), None at the end. Raises ProtocolFailure."""
        line = await self._line()
        if line is None or depth > 8:
            return None
        kind, text = line[:1], line[1:].decode(errors="replace")
        if kind in (b"+", b"-", b":"):
            return text
        if kind == b"$":
            if text == "-1":
                return ""
            data = await self._exactly(_length(line, MOST_BYTES, "bulk"))
            return None if data is None else data.decode(errors="replace")
        if kind != b"*":
            raise ProtocolFailure("not a reply")
        items = [await self.reply(depth + 1) for _ in range(_length(line, _MOST_ITEMS, "multibulk"))]
        return "\n".join(item or "" for item in items)


def _length(line: bytes, most: int, what: str) -> int:
    text = line[1:]
    if not text.isdigit() or len(text) > 9 or int(text) > most:
        raise ProtocolFailure(f"invalid {what} length")
    return int(text)


def bulk(value: bytes | None) -> bytes:
    """A bulk string, or nil."""
    return b"$-1\r\n" if value is None else b"$%d\r\n%s\r\n" % (len(value), value)


def integer(value: int) -> bytes:
    """An integer reply."""
    return b":%d\r\n" % value
