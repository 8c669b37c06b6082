"""One forwarded connection: a client's bytes to a session with a pod's port, and back."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from podwire.proto.messages.kubelet import Data, Exit, StreamError
from podwire.services.apiserver.core.errors import ApiError
from podwire.services.apiserver.sessions import Session

_PIECES: Final = 4


class ForwardedConnection:
    """Takes the client's bytes from the beginning, also before the session stands."""

    def __init__(
        self,
        connect: Callable[[], Session],
        send: Callable[[bytes], Awaitable[None]],
        end: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`end` tells the client of the pod's half-close; a wire that cannot say it ends the client's side as well."""
        self._connect, self._send, self._end = connect, send, end or (lambda: self.take(b""))
        self._session: Session | None = None
        self._input: asyncio.Queue[bytes] = asyncio.Queue(_PIECES)
        self._is_over = False

    async def take(self, data: bytes) -> None:
        """Bytes from the client, b"" for its end; waits while the pod does not take them."""
        if not self._is_over:
            await self._input.put(data)

    def abandon(self) -> None:
        """The client gave the connection up."""
        self._is_over = True
        if self._session is not None:
            self._session.abandon("the client is gone")

    async def run(self) -> str:
        """Serves until the pod or the client ends; what went wrong, or "". Raises ConnectionError.

        A client that gave the connection up has nothing to complain of: kubectl from 1.32 on resets each data stream
        once it is through, and takes any text on the error stream for a broken pod.
        """
        if self._is_over:
            return ""
        loop = asyncio.get_running_loop()
        session = self._session = self._connect()
        tasks: list[asyncio.Task[None]] = []
        try:
            await session.open()
            tasks = [loop.create_task(session.keep_alive()), loop.create_task(self._bring_input(session))]
            complaint = await self._send_output(session)
            return "" if self._is_over else complaint
        except ApiError as error:
            return error.message
        finally:
            for task in tasks:
                task.cancel()
            session.close()
            self._drop_input()

    async def _send_output(self, session: Session) -> str:
        while not isinstance(frame := await session.receive(), Exit | StreamError):
            if isinstance(frame, Data):
                await self._send(frame.data)
            else:
                await self._end()
        return frame.message

    async def _bring_input(self, session: Session) -> None:
        while data := await self._input.get():
            await session.send_input(data)
        session.close_input()

    def _drop_input(self) -> None:
        """Lets whoever waits in `take` go on."""
        self._is_over = True
        while not self._input.empty():
            self._input.get_nowait()
