"""One end of a session of numbered frames (proto/messages/kubelet.py): numbering, flow control, signs of life.

Both ends use it: the API server, and the kubelet or machine that it talks to. What is received is never more than
WINDOW bytes ahead of what was passed on; what is sent waits for the other side's credit.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from podwire.proto.messages import codec
from podwire.proto.messages.kubelet import (
    ALIVE_EVERY,
    SILENCE_LIMIT,
    WINDOW,
    Alive,
    CloseStdin,
    Credit,
    Data,
    Exit,
    Resize,
    Signal,
    StreamError,
    StreamFrame,
)
from podwire.services.chassis.bus.base import Bus, BusError, Message

_LARGEST: Final = 32 * 1024
_CREDIT_STEP: Final = WINDOW // 4

type Received = Data | Resize | Signal | CloseStdin | Exit | StreamError


class FrameSession:
    """Listens from the moment it is made. `take` gets every frame but Alive and Credit; a StreamError is the last, and
    is made here too: for lost or foreign frames, for silence, for a window that was not kept."""

    def __init__(self, bus: Bus, outgoing: str, incoming: str, take: Callable[[Received], None]) -> None:
        self._bus, self._outgoing, self._take = bus, outgoing, take
        self._sent = self._received = 0
        self._room, self._room_changed = WINDOW, asyncio.Event()
        self._uncredited = self._unconsumed = 0
        self._heard = True
        self.is_open = True
        self._subscription = bus.subscribe(incoming, self._on_message)

    def close(self) -> None:
        """Nothing is sent or taken any more; whoever waits to write gets BrokenPipeError. Idempotent."""
        self.is_open = False
        self._subscription.close()
        self._room_changed.set()

    # -- sending

    async def write(self, channel: int, data: bytes) -> None:
        """Returns when all bytes are under way. Raises BrokenPipeError once the session is closed."""
        rest = memoryview(data)
        while rest:
            while self.is_open and not self._room:
                self._room_changed.clear()
                await self._room_changed.wait()
            if not self.is_open:
                raise BrokenPipeError("the session is closed")
            size = min(len(rest), _LARGEST, self._room)
            self._room -= size
            self._send(Data(self._next(), channel, bytes(rest[:size])))
            rest = rest[size:]

    def close_input(self) -> None:
        """No more Data follows from this side."""
        self._send(CloseStdin(self._next()))

    def resize(self, width: int, height: int) -> None:
        """The terminal's new size."""
        self._send(Resize(self._next(), width, height))

    def signal(self, name: str) -> None:
        """A signal for the program, by its name without SIG."""
        self._send(Signal(self._next(), name))

    def finish(self, code: int, message: str = "") -> None:
        """The program ended: the last frame, and the end of the session."""
        self._send(Exit(self._next(), code, message))
        self.close()

    def fail(self, message: str) -> None:
        """Tells the other side that the session is over, and ends it. Idempotent."""
        self._send(StreamError(self._next(), message))
        self.close()

    def consumed(self, size: int) -> None:
        """So many bytes of Data were passed on."""
        self._unconsumed -= size
        self._uncredited += size
        if self._uncredited >= _CREDIT_STEP:
            self._send(Credit(self._next(), self._uncredited))
            self._uncredited = 0

    async def stay_alive(self) -> None:
        """Says that this end is still there, and notices the other's silence; until the session is closed."""
        while self.is_open:
            self._heard = False
            for _ in range(SILENCE_LIMIT // ALIVE_EVERY):
                await asyncio.sleep(ALIVE_EVERY)
                self._send(Alive(self._next()))
            if not self._heard:
                self._break("the other side is silent")

    def _next(self) -> int:
        self._sent += 1
        return self._sent

    def _send(self, frame: StreamFrame) -> None:
        if not self.is_open:
            return
        try:
            self._bus.publish(self._outgoing, codec.encode(frame))
        except BusError as error:
            self.close()
            self._take(StreamError(0, str(error)))

    # -- receiving

    def _break(self, reason: str) -> None:
        if self.is_open:
            self.fail(reason)
            self._take(StreamError(0, reason))

    def _on_message(self, message: Message) -> None:
        if not self.is_open:
            return
        try:
            frame: StreamFrame = codec.decode_union(StreamFrame, message.payload)
        except codec.ForeignMessage as error:
            self._break(f"a frame that cannot be read: {error}")
            return
        self._heard = True
        self._received += 1
        if frame.sequence != self._received:
            self._break("frames were lost")
        else:
            self._on_frame(frame)

    def _on_frame(self, frame: StreamFrame) -> None:
        if isinstance(frame, Alive):
            return
        if isinstance(frame, Credit):
            self._room = min(self._room + max(frame.size, 0), WINDOW)
            self._room_changed.set()
            return
        if isinstance(frame, Data):
            self._unconsumed += len(frame.data)
            if self._unconsumed + self._uncredited > WINDOW:
                self._break(f"more than {WINDOW} bytes were sent ahead")
                return
        elif isinstance(frame, Exit | StreamError):
            self.close()
        self._take(frame)
