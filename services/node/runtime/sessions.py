"""exec, attach and port-forward sessions: numbered frames over the bus on one side, a program's streams on the other.

When the other side is gone, what the session started is ended. (containerd lets such a program go on with its standard
input closed; here it would run for ever, where nobody can see or stop it.)
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from podwire.proto import subjects
from podwire.proto.messages import kubelet as messages
from podwire.services.chassis.bus.base import Bus
from podwire.services.chassis.frames import FrameSession, Received
from podwire.services.chassis.tasks import OrderedTaskGroup
from podwire.services.node.pipes import BrokenPipe, Pipe
from podwire.services.node.processes import signal_number
from podwire.services.node.runtime.exit_codes import KILLED

_KILLED: Final = (KILLED, "the program was killed")


class SessionWriter:
    """One output channel: a program that writes waits while the client does not take what was written."""

    def __init__(self, frames: FrameSession, channel: int) -> None:
        self._frames, self._channel = frames, channel

    async def write(self, data: bytes) -> None:
        try:
            await self._frames.write(self._channel, data)
        except BrokenPipeError:
            raise BrokenPipe(32, "Broken pipe") from None

    def close(self) -> None:
        """The channel ends with the session."""


class Session:
    """One session's frames, and the tasks that serve it."""

    def __init__(self, bus: Bus, node: str, name: str, stdin: bool) -> None:
        self.stdin, self.has_input = Pipe(), stdin
        if not stdin:
            self.stdin.close()
        outgoing, incoming = subjects.stream_output(node, name), subjects.stream_input(node, name)
        self._frames = FrameSession(bus, outgoing, incoming, self._take)
        self.stdout = SessionWriter(self._frames, messages.STDOUT)
        self.stderr = SessionWriter(self._frames, messages.STDERR)
        self._input: asyncio.Queue[bytes] = asyncio.Queue()
        self._running: list[asyncio.Task[None]] = []
        self._on_size: Callable[[int, int], None] | None = None
        self._on_signal: Callable[[int], None] | None = None

    def end_output(self) -> None:
        """No more output follows; input may."""
        self._frames.close_input()

    def finish(self, code: int, message: str = "") -> None:
        """The program ended."""
        self._frames.finish(code, message)
        self.stdin.close()

    def watch_size(self, on_size: Callable[[int, int], None]) -> None:
        """Calls a function with the columns and rows of the client's terminal, whenever they change."""
        self._on_size = on_size

    def watch_signals(self, on_signal: Callable[[int], None]) -> None:
        """Calls a function with the number of every signal that the client sends."""
        self._on_signal = on_signal

    def _take(self, frame: Received) -> None:
        match frame:
            case messages.Data(data=data) if data:
                self._input.put_nowait(data)
            case messages.Resize(width=columns, height=rows) if self._on_size is not None:
                self._on_size(columns, rows)
            case messages.Signal(name=name) if self._on_signal is not None:
                if number := signal_number(name):
                    self._on_signal(number)
            case messages.CloseStdin():
                self._input.put_nowait(b"")
            case messages.StreamError() | messages.Exit():
                self._frames.close()
                self.stdin.close()
                self._cancel()

    def serve(
        self, tasks: OrderedTaskGroup, work: Coroutine[Any, Any, None], killed: tuple[int, str] = _KILLED
    ) -> asyncio.Task[None]:
        """Runs the program until it ends, is cancelled (`killed` is then told), or the other side is gone."""
        main = tasks.start(work, name="session")
        self._running = [main, tasks.start(self._feed(), name="session input")]
        self._running.append(tasks.start(self._frames.stay_alive(), name="session liveness"))
        main.add_done_callback(lambda done: self._over(done, killed))
        return main

    def _over(self, main: asyncio.Task[None], killed: tuple[int, str]) -> None:
        if main.cancelled():
            self.finish(*killed)
        self._cancel()

    def _cancel(self) -> None:
        for task in self._running:
            task.cancel()

    async def _feed(self) -> None:
        """Moves input to the program as it takes it; what it does not want any more is thrown away."""
        while data := await self._input.get():
            try:
                await self.stdin.write(data)
            except BrokenPipe:
                pass
            self._frames.consumed(len(data))
        self.stdin.close()
