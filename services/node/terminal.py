"""A terminal: its line discipline (termios(3): echo, erase, ^C, ^D, ^\\), and its size (ioctl_tty(2), TIOCGWINSZ)."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from podwire.services.node.pipes import Reader, Writer
from podwire.services.node.processes import INTERRUPT, QUIT, WINDOW_CHANGED, Running

_LONGEST_LINE: Final = 4096
_MOST_LINES: Final = 1024
_ESCAPE: Final = 27
_UP: Final = ord("A")


class Terminal:
    """Canonical input: one line a read, edited and echoed; b"" for ^D. `leader` is the process that it belongs to;
    `on_interrupt`, if a shell has set it, is called for ^C instead of interrupting whatever runs."""

    def __init__(self, reader: Reader | None, echo: Writer) -> None:
        self._reader, self._echo = reader, echo
        self._line = bytearray()
        self._ready: deque[bytes] = deque()
        self._changed = asyncio.Event()
        self._ended = False
        self.columns = self.rows = 0
        self.echoes = True
        self.history: list[bytes] | None = None
        """Earlier lines that the arrow keys bring back, while a shell reads that edits its line."""
        self._back = 0
        self._escape = b""
        self.leader: Running | None = None
        self.on_interrupt: Callable[[], None] | None = None

    def resize(self, columns: int, rows: int) -> None:
        """Takes the window's new size and tells what runs (SIGWINCH)."""
        self.columns, self.rows = columns, rows
        self.signal(WINDOW_CHANGED)

    def end_line(self) -> None:
        """Lets a reader have an empty line."""
        self._finish(b"\n")

    def signal(self, number: int) -> None:
        """Sends a signal to everything in the foreground."""
        if self.leader is not None:
            for running in [*self.leader.foreground(), self.leader]:
                running.send(number, running.namespace)

    async def read(self, limit: int = 65536) -> bytes:
        while not self._ready and not self._ended:
            self._changed.clear()
            await self._changed.wait()
        if not self._ready:
            return b""
        line = self._ready.popleft()
        if len(line) > limit:
            self._ready.appendleft(line[limit:])
        return line[:limit]

    async def pump(self) -> None:
        """Takes what is typed until the other side ends. Without anybody who types a read never ends."""
        if self._reader is None:
            return
        while data := await self._reader.read():
            for byte in data:
                await self._key(byte)
        self._ended = True
        self._changed.set()

    async def _key(self, byte: int) -> None:
        if self._escape or (byte == _ESCAPE and self.history is not None):
            await self._sequence(byte)
            return
        match byte:
            case 3 | 28:
                self._line.clear()
                await self._show(b"^C" if byte == 3 else b"^\\")
                self._interrupt(INTERRUPT if byte == 3 else QUIT)
            case 4:
                self._finish(bytes(self._line))
            case 8 | 127:
                if self._line:
                    del self._line[-1]
                    await self._show(b"\b \b")
            case 10 | 13:
                await self._show(b"\r\n")
                self._finish(bytes(self._line) + b"\n")
            case _ if len(self._line) < _LONGEST_LINE:
                self._line.append(byte)
                await self._show(bytes((byte,)))

    async def _sequence(self, byte: int) -> None:
        """A key that sends several bytes (ECMA-48, 5.4): up and down bring lines back, the others do nothing."""
        self._escape += bytes((byte,))
        if len(self._escape) == 1 or self._escape in (b"\x1b[", b"\x1bO") or 0x20 <= byte < 0x40:
            return
        self._escape = b""
        if byte in b"AB" and self.history is not None:
            back = min(max(self._back + (1 if byte == _UP else -1), 0), len(self.history))
            if back != self._back:
                self._back = back
                await self._replace(self.history[-back] if back else b"")

    async def _replace(self, line: bytes) -> None:
        await self._show(b"\b \b" * len(self._line) + line)
        self._line[:] = line

    async def _show(self, data: bytes) -> None:
        if self.echoes:
            await self._echo.write(data)

    def _interrupt(self, number: int) -> None:
        if self.on_interrupt is not None and number == INTERRUPT:
            self.on_interrupt()
        else:
            self.signal(number)

    def _finish(self, line: bytes) -> None:
        self._line.clear()
        self._back = 0
        if len(self._ready) < _MOST_LINES:
            self._ready.append(line)
            self._changed.set()
