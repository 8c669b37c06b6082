"""exec and attach sessions: numbered frames over the bus on one side, a program's streams on the other."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages import kubelet as messages
from podwire.services.chassis.bus.base import Bus, Message
from podwire.services.chassis.tasks import OrderedTaskGroup
from podwire.services.node.pipes import Pipe, Sink
from podwire.services.node.runtime.exit_codes import KILLED

_LARGEST: Final = 32 * 1024


class Session:
    """One session's frames, and the tasks that serve it."""

    def __init__(self, bus: Bus, node: str, name: str, stdin: bool) -> None:
        self.stdin = Pipe()
        if not stdin:
            self.stdin.close()
        self.stdout = Sink(lambda data: self._send_data(messages.STDOUT, data))
        self.stderr = Sink(lambda data: self._send_data(messages.STDERR, data))
        self._bus = bus
        self._running: list[asyncio.Task[None]] = []
        self._subject = subjects.stream_output(node, name)
        self._sent, self._received = 0, 0
        self._heard = True
        self._open = True
        self._input: asyncio.Queue[bytes] = asyncio.Queue()
        self._subscription = bus.subscribe(subjects.stream_input(node, name), self._receive)

    def _send(self, frame: messages.StreamFrame) -> None:
        if self._open:
            self._bus.publish(self._subject, codec.encode(frame))

    def _next(self) -> int:
        self._sent += 1
        return self._sent

    def _send_data(self, channel: int, data: bytes) -> None:
        for start in range(0, len(data), _LARGEST):
            self._send(messages.Data(self._next(), channel, data[start : start + _LARGEST]))

    def finish(self, code: int, message: str = "") -> None:
        """The program ended."""
        self._send(messages.Exit(self._next(), code, message))
        self.close()

    def close(self) -> None:
        """Nothing is sent or taken any more."""
        self._open = False
        self.stdin.close()
        self._subscription.close()

    def _receive(self, message: Message) -> None:
        try:
            frame: messages.StreamFrame = codec.decode_union(messages.StreamFrame, message.payload)
        except codec.ForeignMessage:
            return self._break("a foreign frame")
        self._heard = True
        if frame.sequence != self._received + 1:
            return self._break("frames were lost")
        self._received += 1
        match frame:
            case messages.Data(data=data):
                self._input.put_nowait(data)
            case messages.CloseStdin():
                self._input.put_nowait(b"")
            case messages.StreamError() | messages.Exit():
                self._break("the client is gone")
        return None

    def _break(self, reason: str) -> None:
        self._send(messages.StreamError(self._next(), reason))
        self.close()
        self._cancel()

    def serve(self, tasks: OrderedTaskGroup, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Runs the program until it ends, is cancelled, or the other side is gone or breaks the rules."""
        main = tasks.start(work, name="session")
        self._running = [main, tasks.start(self._feed(), name="session input")]
        self._running.append(tasks.start(self._watch(), name="session liveness"))
        main.add_done_callback(self._over)
        return main

    def _over(self, main: asyncio.Task[None]) -> None:
        if main.cancelled():
            self.finish(KILLED, "the program was killed")
        self._cancel()

    def _cancel(self) -> None:
        for task in self._running:
            task.cancel()

    async def _feed(self) -> None:
        """Moves input to the program as it takes it."""
        while data := await self._input.get():
            try:
                await self.stdin.write(data)
            except OSError:
                return
        self.stdin.close()

    async def _watch(self) -> None:
        """Shows that we live, and ends the session when the other side is silent for too long."""
        while self._open:
            self._heard = False
            for _ in range(messages.SILENCE_LIMIT // messages.ALIVE_EVERY):
                await asyncio.sleep(messages.ALIVE_EVERY)
                self._send(messages.Alive(self._next()))
            if not self._heard:
                self._break("the client is silent")
