"""Sessions with containers: the API server's end of the numbered frames that go to and from a kubelet.

The output subject is subscribed to before the kubelet hears of the session, so that nothing is lost.
"""

import asyncio
from typing import Final

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages.kubelet import (
    STDIN,
    CloseStdin,
    Data,
    Exit,
    KubeletReply,
    KubeletRequest,
    PathAnswer,
    PathRequest,
    StreamError,
    StreamRefused,
    StreamRequest,
)
from podwire.services.apiserver.core.errors import ApiError
from podwire.services.chassis.bus.base import Bus, BusError
from podwire.services.chassis.bus.pieces import request as ask
from podwire.services.chassis.frames import FrameSession
from podwire.services.chassis.frames import Received as AnyFrame

_ANSWER: Final = 5.0
type Received = Data | CloseStdin | Exit | StreamError


class Refused(ApiError):
    """A kubelet's refusal of a session."""


class Session:
    """One open session. Await `open` first; `close` always."""

    def __init__(self, bus: Bus, node: str, request: StreamRequest) -> None:
        self._bus, self._node, self._request = bus, node, request
        outgoing = subjects.stream_input(node, request.session)
        incoming = subjects.stream_output(node, request.session)
        self._received: asyncio.Queue[Received] = asyncio.Queue()
        self._frames = FrameSession(bus, outgoing, incoming, self._take)
        self._unread = 0

    async def open(self) -> None:
        """Asks the kubelet. Raises Refused with the kubelet's words, or 500 when it does not answer."""
        await _ask_kubelet(self._bus, self._node, self._request)

    def close(self) -> None:
        """Nothing more is received; a session that has not ended is ended there too. Idempotent."""
        self._frames.fail("the client is gone")

    def abandon(self, reason: str) -> None:
        """Ends the session from this side: whoever receives gets `reason`."""
        if self._frames.is_open:
            self._frames.fail(reason)
            self._received.put_nowait(StreamError(0, reason))

    async def send_input(self, data: bytes) -> None:
        """Bytes for standard input; returns when they are under way. Of a session that is over nobody reads them."""
        try:
            await self._frames.write(STDIN, data)
        except BrokenPipeError:
            pass

    def close_input(self) -> None:
        """No more input follows."""
        self._frames.close_input()

    def resize(self, width: int, height: int) -> None:
        """The terminal's new size."""
        self._frames.resize(width, height)

    async def keep_alive(self) -> None:
        """Says that this end is still there, and ends the session when the kubelet falls silent."""
        await self._frames.stay_alive()

    async def receive(self) -> Received:
        """The next Data, Exit or StreamError; of a port-forward CloseStdin for the pod's half-close. To ask for it says
        that the one before was passed on."""
        self._frames.consumed(self._unread)
        self._unread = 0
        frame = await self._received.get()
        if isinstance(frame, Data):
            self._unread = len(frame.data)
        return frame

    def _take(self, frame: AnyFrame) -> None:
        if isinstance(frame, Data | CloseStdin | Exit | StreamError):
            self._received.put_nowait(frame)


async def _ask_kubelet(bus: Bus, node: str, request: KubeletRequest) -> KubeletReply:
    """Raises Refused with the kubelet's words, or ApiError 500 when it does not answer."""
    try:
        await bus.flush()
        answer = await ask(bus, subjects.kubelet(node), codec.encode(request), _ANSWER)
        reply: KubeletReply = codec.decode_union(KubeletReply, answer)
    except (BusError, codec.ForeignMessage) as error:
        raise ApiError(500, "InternalError", f"error dialing backend: kubelet {node}: {error}") from None
    if isinstance(reply, StreamRefused):
        raise Refused(reply.code, reply.reason, reply.message)
    return reply


async def ask_path(bus: Bus, node: str, request: PathRequest) -> PathAnswer:
    """What a kubelet's own HTTP server says. Raises Refused and ApiError 500."""
    reply = await _ask_kubelet(bus, node, request)
    if not isinstance(reply, PathAnswer):
        raise ApiError(500, "InternalError", f"error dialing backend: kubelet {node}: it opened a stream")
    return reply


async def collect(session: Session) -> bytes:
    """Everything that a session prints until it ends. Raises ApiError 500 when it breaks."""
    parts: list[bytes] = []
    while True:
        frame = await session.receive()
        if isinstance(frame, StreamError):
            raise ApiError(500, "InternalError", frame.message)
        if isinstance(frame, Exit):
            return b"".join(parts)
        if isinstance(frame, Data):
            parts.append(frame.data)
