"""A SPDY connection over a byte channel: one reader that hands events on, many writers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from podwire.services.apiserver.connections.channels import ByteChannel
from podwire.services.apiserver.core.spdy.connection import Connection, Event
from podwire.services.apiserver.core.spdy.errors import ProtocolError
from podwire.services.apiserver.core.spdy.frames import CANCEL

_LINGER: Final = 2.0


class SpdyLink:
    """Reading waits for the handler of each event, so that what a handler cannot take stays with the client."""

    def __init__(self, channel: ByteChannel) -> None:
        self._channel, self._connection = channel, Connection()
        self._writing = asyncio.Lock()
        self._ended = asyncio.Event()

    async def run(self, handle: Callable[[Event], Awaitable[None]]) -> None:
        """Reads until the client ends the connection or breaks the protocol. Raises ConnectionError."""
        try:
            while data := await self._channel.read():
                events = self._connection.receive(data)
                await self._flush()
                for event in events:
                    await handle(event)
        except ProtocolError:
            await self.go_away()
        finally:
            self._ended.set()

    async def _flush(self) -> None:
        async with self._writing:
            if data := self._connection.take():
                await self._channel.write(data)

    async def accept(self, stream: int) -> None:
        """Replies to a stream. Raises ConnectionError, as all that write do."""
        self._connection.accept(stream)
        await self._flush()

    async def send(self, stream: int, data: bytes) -> None:
        """Bytes on a stream; returns when there is room for more."""
        self._connection.send(stream, data)
        await self._flush()

    async def finish(self, stream: int) -> None:
        """Half-closes a stream."""
        self._connection.finish(stream)
        await self._flush()

    async def reset(self, stream: int, status: int = CANCEL) -> None:
        """Gives a stream up."""
        self._connection.reset(stream, status)
        await self._flush()

    async def ping(self) -> None:
        """Writes something, which fails where the client is gone: a reader that waits for a handler does not see it."""
        self._connection.ping()
        await self._flush()

    async def go_away(self) -> None:
        """Takes no more streams."""
        self._connection.go_away()
        await self._flush()

    async def close(self) -> None:
        """Gives the client a moment to end the connection, so that nothing that was sent is lost, and ends it."""
        try:
            async with asyncio.timeout(_LINGER):
                await self._ended.wait()
        except TimeoutError:
            pass
        await self._channel.close()
