"""What the events of a watch are written to: a chunked answer, or a WebSocket."""

import asyncio

from aiohttp import web

from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.presentation import WatchForm


class Chunks:
    """Events in a chunked answer."""

    def __init__(self, request: web.Request, response: web.StreamResponse, form: WatchForm) -> None:
        self.response, self._request, self._form, self._is_over = response, request, form, False

    @property
    def is_over(self) -> bool:
        """Whether the client is gone."""
        transport = self._request.transport
        return self._is_over or transport is None or transport.is_closing()

    @classmethod
    async def open(cls, request: web.Request, form: WatchForm) -> "Chunks":
        """Begins the answer."""
        headers = {"Content-Type": form.content_type, "Cache-Control": "no-cache, private"}
        response = web.StreamResponse(headers=headers)
        response.enable_chunked_encoding()
        await response.prepare(request)
        return cls(request, response, form)

    async def write(self, events: list[Json]) -> None:
        """Writes events, and remembers that the client is gone."""
        try:
            await self.response.write(b"".join(map(self._form.frame, events)))
        except ConnectionError:
            self._is_over = True

    async def close(self) -> None:
        """Nothing to do: the answer ends with its handler."""


class Messages:
    """Events as WebSocket messages (apiserver `endpoints/handlers/watch.go`, HandleWS)."""

    def __init__(self, response: web.WebSocketResponse, form: WatchForm) -> None:
        self.response, self._form = response, form
        self._reader = asyncio.get_running_loop().create_task(self._read())

    @classmethod
    async def open(cls, request: web.Request, form: WatchForm) -> "Messages":
        """Answers the upgrade."""
        response = web.WebSocketResponse(compress=False)
        await response.prepare(request)
        return cls(response, form)

    async def _read(self) -> None:
        """Answers pings and notices that the client closes; what it says is ignored."""
        async for _ in self.response:
            pass

    @property
    def is_over(self) -> bool:
        """Whether the client is gone."""
        return self.response.closed

    async def write(self, events: list[Json]) -> None:
        """Writes events; to a client that is gone nothing."""
        for event in events:
            if not self.response.closed:
                await self._send(self._form.message(event))

    async def _send(self, message: bytes) -> None:
        try:
            if self._form.is_text:
                await self.response.send_str(message.decode())
            else:
                await self.response.send_bytes(message)
        except ConnectionError:
            pass

    async def close(self) -> None:
        """Says that no more follows."""
        self._reader.cancel()
        await self.response.close()
