"""A request that is passed on to a pod's port: HTTP/1.1 over a forwarded connection.

Source: apimachinery `util/proxy/{transport,upgradeaware}.go`. Links in pages are not rewritten, and upgrades are not
passed on.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import h11
from aiohttp import web

from podwire.proto.messages.kubelet import Data, Exit, StreamError
from podwire.services.apiserver.core.errors import ApiError, bad_request, unavailable
from podwire.services.apiserver.sessions import Refused, Session

_HEAD_WITHIN: Final = 60.0
_OWN_HEADERS: Final = (
    "authorization", "connection", "content-length", "expect", "keep-alive", "proxy-authenticate",
    "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade",
)  # fmt: skip
"""Headers of the connection or for the API server alone; `Impersonate-*` too."""


async def serve(request: web.Request, session: Session, prefix: str) -> web.StreamResponse:
    """Passes the request on and the answer back. Raises ApiError 503 when there is none, ConnectionError after."""
    target = request.raw_path[len(prefix) :]
    if target.partition("?")[0] == "" and request.method in ("GET", "HEAD"):
        return web.Response(status=301, headers={"Location": f"{prefix}/{target}"})
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(session.keep_alive())]
    try:
        await session.open()
        exchange = _Exchange(request, session, prefix)
        asked = exchange.asked(target, await request.read())
        tasks.append(loop.create_task(session.send_input(asked)))
        return await exchange.answer()
    except Refused as error:
        raise _unreachable(error.message) from None
    finally:
        for task in tasks:
            task.cancel()
        session.close()


def _unreachable(why: str) -> ApiError:
    return unavailable(f"error trying to reach service: {why}")


def _is_passed_on(name: str) -> bool:
    return name.lower() not in _OWN_HEADERS and not name.lower().startswith("impersonate-")


class _Exchange:
    """One request and its answer."""

    def __init__(self, request: web.Request, session: Session, prefix: str) -> None:
        self._request, self._session, self._prefix = request, session, prefix
        self._http = h11.Connection(h11.CLIENT)

    def asked(self, target: str, body: bytes) -> bytes:
        """The request as it is passed on. Raises ApiError 400 for one that HTTP/1.1 has no form for."""
        try:
            return self._write(target, body)
        except h11.LocalProtocolError as error:
            raise bad_request(f"the request cannot be passed on: {error}") from None

    def _write(self, target: str, body: bytes) -> bytes:
        asked = self._request
        headers = [(name, value) for name, value in asked.headers.items() if _is_passed_on(name)]
        headers += [("X-Forwarded-Uri", asked.raw_path), ("X-Forwarded-Host", asked.host), ("Connection", "close")]
        headers += [("X-Forwarded-Proto", asked.scheme), ("X-Forwarded-For", asked.remote or "")]
        if body or asked.method in ("POST", "PUT", "PATCH"):
            headers.append(("Content-Length", str(len(body))))
        path = target if target.startswith("/") else f"/{target}"
        head = self._http.send(h11.Request(method=asked.method, target=path, headers=headers))
        rest = [self._http.send(h11.Data(data=body)) if body else b"", self._http.send(h11.EndOfMessage())]
        return b"".join(part for part in (head, *rest) if part)

    async def answer(self) -> web.StreamResponse:
        """Passes the answer back."""
        events = self._events()
        try:
            async with asyncio.timeout(_HEAD_WITHIN):
                head = await self._head(events)
        except TimeoutError:
            raise _unreachable("timeout awaiting response headers") from None
        response = web.StreamResponse(status=head.status_code, reason=head.reason.decode("latin-1"))
        for name, value in head.headers.raw_items():
            if _is_passed_on(name.decode("latin-1")):
                response.headers.add(name.decode("latin-1"), self._rewritten(name.lower(), value.decode("latin-1")))
        await response.prepare(self._request)
        try:
            async for event in events:
                if isinstance(event, h11.Data):
                    await response.write(bytes(event.data))
        except ApiError:
            raise ConnectionResetError("the pod broke off its answer") from None
        return response

    async def _head(self, events: AsyncIterator[h11.Event]) -> h11.Response:
        async for event in events:
            if isinstance(event, h11.Response):
                return event
        raise _unreachable("EOF")

    def _rewritten(self, name: bytes, value: str) -> str:
        """Redirects within the pod go through the proxy again."""
        inside = name == b"location" and value.startswith("/") and not value.startswith("//")
        return self._prefix + value if inside else value

    async def _events(self) -> AsyncIterator[h11.Event]:
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                raise _unreachable(f"malformed HTTP response: {error}") from None
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._read())
            elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
                return
            elif isinstance(event, h11.Event):
                yield event
            else:
                raise _unreachable("the pod switched protocols")

    async def _read(self) -> bytes:
        """Bytes from the pod, b"" at their end."""
        frame = await self._session.receive()
        if isinstance(frame, Data):
            return frame.data
        if isinstance(frame, StreamError) or (isinstance(frame, Exit) and frame.message):
            raise _unreachable(frame.message)
        return b""
