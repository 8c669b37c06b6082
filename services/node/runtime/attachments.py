"""The streams of a container's main program: into its log, and to and from whoever is attached.

What was printed before an attach is in the log only. A slow client holds the program up, as it does in containerd,
where the log and the attached streams are written one after the other (`internal/cri/io/container_io.go`).
"""

import asyncio
from typing import Final

from podwire.services.chassis.clock import Clock
from podwire.services.node.pipes import BrokenPipe, NewlineWriter, NoInput, Reader, Writer
from podwire.services.node.runtime.records import ContainerRecord
from podwire.services.node.runtime.sessions import Session
from podwire.services.node.terminal import Terminal

_LOOK_AGAIN: Final = 5.0


class MainOutput:
    """One output stream of a main program."""

    def __init__(self, record: ContainerRecord, stream: str, clock: Clock) -> None:
        self._record, self._stream, self._clock = record, stream, clock

    async def write(self, data: bytes) -> None:
        if not data:
            return
        self._record.log.write(self._stream, data, self._clock.now_ns())
        for writers in list(self._record.attached):
            try:
                await writers[self._stream].write(data)
            except BrokenPipe:
                pass

    def close(self) -> None:
        """The log stays open for the other stream."""


def main_streams(record: ContainerRecord, clock: Clock) -> tuple[Reader, Writer, Writer]:
    """Standard input, output and error of a container's main program; a terminal has one output."""
    stdin: Reader = record.stdin if record.config.stdin else NoInput()
    output = MainOutput(record, "stdout", clock)
    if record.config.tty:
        record.terminal = Terminal(stdin if record.config.stdin else None, output)
        shown = NewlineWriter(output)
        return record.terminal, shown, shown
    return stdin, output, MainOutput(record, "stderr", clock)


async def follow(record: ContainerRecord, session: Session) -> None:
    """Joins a session to a program that runs outside the machine: what it writes from now on, line by line."""
    writers: dict[str, Writer] = {"stdout": session.stdout, "stderr": session.stderr}
    position = record.log.end
    while True:
        begin, lines = record.log.read(position)
        for line in lines:
            await writers[line.stream].write(f"{line.text}\n".encode())
        position = begin + len(lines)
        if not lines:
            await record.log.change(_LOOK_AGAIN)


async def attach(record: ContainerRecord, session: Session) -> None:
    """Joins a session to a main program until the container or the client ends."""
    writers: dict[str, Writer] = {"stdout": session.stdout, "stderr": session.stderr}
    record.attached.append(writers)
    if record.terminal is not None:
        session.watch_size(record.terminal.resize)
    try:
        await _copy_input(record, session)
        await asyncio.Event().wait()
    finally:
        record.attached.remove(writers)


async def _copy_input(record: ContainerRecord, session: Session) -> None:
    """With stdinOnce the end of the first client's input is the end of the program's (API reference, Container)."""
    if not record.config.stdin or not session.has_input:
        return
    try:
        while data := await session.stdin.read():
            await record.stdin.write(data)
    except BrokenPipe:
        session.stdin.abandon()
    finally:
        if record.config.stdin_once:
            record.stdin.close()
