"""Sessions with containers: the API server's end of the numbered frames that go to and from a kubelet.

The output subject is subscribed to before the kubelet hears of the session, so that nothing is lost; a gap in the
numbers or a kubelet that falls silent ends the session with an error.
"""

import asyncio
from typing import Final

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages.kubelet import (
    ALIVE_EVERY,
    SILENCE_LIMIT,
    STDIN,
    Alive,
    CloseStdin,
    Data,
    Exit,
    KubeletReply,
    KubeletRequest,
    Resize,
    StreamError,
    StreamFrame,
    StreamRefused,
)
from podwire.services.apiserver.core.errors import ApiError
from podwire.services.chassis.bus import pieces
from podwire.services.chassis.bus.base import Bus, BusError, Message

_ANSWER: Final = 5.0
_CHUNK: Final = 256 * 1024
type Received = Data | Exit | StreamError


class Session:
    """One open session. Await `open` first; `close` always."""

    def __init__(self, bus: Bus, node: str, request: KubeletRequest) -> None:
        self._bus, self._node, self._request = bus, node, request
        self._input = subjects.stream_input(node, request.session)
        self._frames: asyncio.Queue[Received] = asyncio.Queue()
        self._sent = self._received = 0
        self._heard = asyncio.Event()
        self._subscription = bus.subscribe(subjects.stream_output(node, request.session), self._on_frame)

    async def open(self) -> None:
        """Asks the kubelet. Raises ApiError with the kubelet's refusal, or 500 when it does not answer."""
        try:
            await self._bus.flush()
            answer = await pieces.request(self._bus, subjects.kubelet(self._node), codec.encode(self._request), _ANSWER)
            reply: KubeletReply = codec.decode(KubeletReply, answer)  # type: ignore[arg-type]  # a union is a kind of message too
        except (BusError, codec.ForeignMessage) as error:
            text = f"error dialing backend: kubelet {self._node}: {error}"
            raise ApiError(500, "InternalError", text) from None
        if isinstance(reply, StreamRefused):
            raise ApiError(reply.code, reply.reason, reply.message)

    def close(self) -> None:
        """Nothing more is received."""
        self._subscription.close()

    def send_input(self, data: bytes) -> None:
        """Bytes for standard input, cut to size."""
        for start in range(0, len(data), _CHUNK):
            self._send(Data(self._next(), STDIN, data[start : start + _CHUNK]))

    def close_input(self) -> None:
        """No more input follows."""
        self._send(CloseStdin(self._next()))

    def resize(self, width: int, height: int) -> None:
        """The terminal's new size."""
        self._send(Resize(self._next(), width, height))

    async def keep_alive(self) -> None:
        """Says that this end is still there, until cancelled."""
        while True:
            await asyncio.sleep(ALIVE_EVERY)
            self._send(Alive(self._next()))

    async def receive(self) -> Received:
        """The next Data, Exit or StreamError; silence is a StreamError."""
        while True:
            self._heard.clear()
            try:
                return await asyncio.wait_for(self._frames.get(), SILENCE_LIMIT)
            except TimeoutError:
                if not self._heard.is_set():
                    return StreamError(0, f"the kubelet of {self._node} does not answer any more")

    def _next(self) -> int:
        self._sent += 1
        return self._sent

    def _send(self, frame: StreamFrame) -> None:
        try:
            self._bus.publish(self._input, codec.encode(frame))
        except BusError as error:
            self._frames.put_nowait(StreamError(0, str(error)))

    def _on_frame(self, message: Message) -> None:
        try:
            frame: StreamFrame = codec.decode(StreamFrame, message.payload)  # type: ignore[arg-type]  # as above
        except codec.ForeignMessage as error:
            self._frames.put_nowait(StreamError(0, f"a frame that cannot be read: {error}"))
            return
        self._received += 1
        self._heard.set()
        if frame.sequence != self._received:
            self._frames.put_nowait(StreamError(0, "frames were lost"))
        elif isinstance(frame, Data | Exit | StreamError):
            self._frames.put_nowait(frame)


async def collect(session: Session) -> bytes:
    """Everything that a session prints until it ends. Raises ApiError 500 when it breaks."""
    parts: list[bytes] = []
    while True:
        frame = await session.receive()
        if isinstance(frame, StreamError):
            raise ApiError(500, "InternalError", frame.message)
        if isinstance(frame, Exit):
            return b"".join(parts)
        parts.append(frame.data)
