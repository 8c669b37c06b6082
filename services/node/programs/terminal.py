"""A terminal's side of an interactive shell: the line discipline (termios(3): echo, erase, ^C, ^D) and the prompt."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from podwire.services.node.pipes import BrokenPipe, NewlineWriter, Reader, Writer
from podwire.services.node.process import Process
from podwire.services.node.programs.shell.interpreter import Shell
from podwire.services.node.programs.shell.parser import parse
from podwire.services.node.programs.shell.state import Exit, Failure, Leave
from podwire.services.node.programs.shell.syntax import ShellSyntaxError

_LONGEST_LINE: Final = 4096
_MOST_LINES: Final = 1024
_INTERRUPTED: Final = 130


class Terminal:
    """Canonical input: one line a read, edited and echoed; b"" for ^D. `on_interrupt` is called for ^C."""

    def __init__(self, reader: Reader, echo: Writer) -> None:
        self._reader, self._echo = reader, echo
        self._line = bytearray()
        self._ready: deque[bytes] = deque()
        self._changed = asyncio.Event()
        self._ended = False
        self.on_interrupt: Callable[[], None] | None = None

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
        """Takes what is typed until the other side ends."""
        while data := await self._reader.read():
            for byte in data:
                await self._key(byte)
        self._ended = True
        self._changed.set()

    async def _key(self, byte: int) -> None:
        match byte:
            case 3:
                self._line.clear()
                await self._echo.write(b"^C\r\n")
                self._interrupt()
            case 4:
                self._finish(bytes(self._line))
            case 8 | 127:
                if self._line:
                    del self._line[-1]
                    await self._echo.write(b"\b \b")
            case 10 | 13:
                await self._echo.write(b"\r\n")
                self._finish(bytes(self._line) + b"\n")
            case _ if len(self._line) < _LONGEST_LINE:
                self._line.append(byte)
                await self._echo.write(bytes((byte,)))

    def _interrupt(self) -> None:
        if self.on_interrupt is not None:
            self.on_interrupt()
        else:
            self._finish(b"\n")

    def _finish(self, line: bytes) -> None:
        self._line.clear()
        if len(self._ready) < _MOST_LINES:
            self._ready.append(line)
            self._changed.set()


async def interact(shell: Shell, process: Process) -> int:
    """Prompts, reads and runs until `exit` or the end of the input; the exit code."""
    terminal = Terminal(process.stdin, process.stdout)
    stdout, stderr = NewlineWriter(process.stdout), NewlineWriter(process.stderr)
    process = replace(process, stdin=terminal, stdout=stdout, stderr=stderr)
    pump = asyncio.get_running_loop().create_task(terminal.pump(), name="terminal")
    try:
        while (text := await _read_command(shell, process)) is not None:
            await _run_interruptible(shell, text, process, terminal)
        await process.print("\n")
        return shell.state.status
    except Exit as leaving:
        return leaving.code
    finally:
        pump.cancel()
        for job in shell.state.jobs.values():
            job.cancel()


async def _read_command(shell: Shell, process: Process) -> str | None:
    """Lines until they make a command; None at the end of the input."""
    text, prompt = "", f"{shell.state.folder} # "
    while True:
        await process.print(prompt)
        line = await process.stdin.read()
        if not line:
            return None
        text += line.decode(errors="replace")
        if not _is_unfinished(text):
            return text
        prompt = "> "


def _is_unfinished(text: str) -> bool:
    try:
        parse(text)
    except ShellSyntaxError as error:
        return "end of file" in str(error) or "unterminated" in str(error)
    return False


async def _run_interruptible(shell: Shell, text: str, process: Process, terminal: Terminal) -> None:
    task = asyncio.get_running_loop().create_task(shell.run_text(text, process), name="foreground")
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        interrupted = True
        task.cancel()

    terminal.on_interrupt = interrupt
    try:
        await task
    except asyncio.CancelledError:
        task.cancel()
        if not interrupted:
            raise
        shell.state.status = _INTERRUPTED
    except Failure as failure:
        await process.complain(f"{shell.state.name}: {failure}")
        shell.state.status = failure.code
    except (Leave, BrokenPipe):
        pass
    finally:
        terminal.on_interrupt = None
