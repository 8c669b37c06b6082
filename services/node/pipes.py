"""Byte streams between programs: bounded pipes, and the ends that a container's log or an exec session hold."""

import asyncio
import re
from collections.abc import Callable
from typing import Final, Protocol, runtime_checkable

CAPACITY: Final = 65536
_BARE_NEWLINE: Final = re.compile(rb"(?<!\r)\n")


class BrokenPipe(OSError):
    """Nobody reads any more."""


@runtime_checkable
class Reader(Protocol):
    """Where a program reads from."""

    async def read(self, limit: int = CAPACITY) -> bytes:
        """Some bytes, b"" at the end."""
        ...


@runtime_checkable
class Writer(Protocol):
    """Where a program writes to."""

    async def write(self, data: bytes) -> None:
        """Returns when the bytes are taken. Raises BrokenPipe."""
        ...

    def close(self) -> None:
        """No more follows."""
        ...


class Pipe:
    """pipe(7): writers wait while it is full, readers while it is empty; closing either end wakes the other."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._changed = asyncio.Event()
        self._ended = False
        self._abandoned = False

    async def read(self, limit: int = CAPACITY) -> bytes:
        while not self._data and not self._ended:
            self._changed.clear()
            await self._changed.wait()
        data = bytes(self._data[:limit])
        del self._data[:limit]
        self._changed.set()
        return data

    async def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            if self._abandoned or self._ended:
                raise BrokenPipe(32, "Broken pipe")
            room = CAPACITY - len(self._data)
            if room <= 0:
                self._changed.clear()
                await self._changed.wait()
                continue
            self._data += rest[:room]
            rest = rest[room:]
            self._changed.set()

    def close(self) -> None:
        self._ended = True
        self._changed.set()

    def abandon(self) -> None:
        """The reading end is closed: writers get BrokenPipe."""
        self._abandoned = True
        self._data.clear()
        self._changed.set()


class NoInput:
    """/dev/null to read from."""

    async def read(self, limit: int = CAPACITY) -> bytes:
        return b""


class Sink:
    """Hands every write to a function; used for logs, collected output and exec sessions."""

    def __init__(self, take: Callable[[bytes], None], on_close: Callable[[], None] | None = None) -> None:
        self._take, self._on_close = take, on_close

    async def write(self, data: bytes) -> None:
        if data:
            self._take(data)

    def close(self) -> None:
        if self._on_close is not None:
            self._on_close()


class NewlineWriter:
    """A terminal's ONLCR (termios(3)): a newline also returns to the line's start, unless it does already."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def write(self, data: bytes) -> None:
        await self._writer.write(_BARE_NEWLINE.sub(b"\r\n", data))

    def close(self) -> None:
        self._writer.close()


async def read_all(reader: Reader) -> bytes:
    """Everything up to the end."""
    parts = []
    while data := await reader.read():
        parts.append(data)
    return b"".join(parts)
