"""A request that is passed on to a pod's port: HTTP/1.1 over a forwarded connection.

Source: apimachinery `util/proxy/{transport,upgradeaware}.go`. Links in pages are not rewritten.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import h11
from aiohttp import web

from podwire.services.apiserver.connections.channels import ByteChannel, RawChannel
from podwire.services.apiserver.connections.pod_bytes import PodChannel, SecureChannel, unreachable
from podwire.services.apiserver.core.errors import ApiError, bad_request
from podwire.services.apiserver.sessions import Refused, Session

_HEAD_WITHIN: Final = 60.0
_SWITCHING: Final = 101
_OWN_HEADERS: Final = (
    "authorization", "connection", "content-length", "expect", "keep-alive", "proxy-authenticate",
    "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade",
)  # fmt: skip
"""Headers of the connection or for the API server alone; `Impersonate-*` too."""


async def serve(request: web.Request, session: Session, prefix: str, *, secure: bool) -> web.StreamResponse:
    """Passes the request on, over TLS if that is asked for, and the answer back. Raises ApiError 503 when there is
    none, ConnectionError after."""
    target = request.raw_path[len(prefix) :]
    if target.partition("?")[0] == "" and request.method in ("GET", "HEAD"):
        return web.Response(status=301, headers={"Location": f"{prefix}/{target}"})
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(session.keep_alive())]
    try:
        await session.open()
        channel: ByteChannel = PodChannel(session)
        if secure:
            channel = secured = SecureChannel(channel)
            await secured.handshake()
        exchange = _Exchange(request, channel, prefix)
        asked = exchange.asked(target, await request.read())
        tasks.append(loop.create_task(channel.write(asked)))
        return await exchange.answer()
    except Refused as error:
        raise unreachable(error.message) from None
    finally:
        for task in tasks:
            task.cancel()
        session.close()


def _is_passed_on(name: str) -> bool:
    return name.lower() not in _OWN_HEADERS and not name.lower().startswith("impersonate-")


def _upgrade(request: web.Request) -> str:
    """The protocol that the client wants to go on with, "" for none."""
    wants = "upgrade" in request.headers.get("Connection", "").lower()
    return request.headers.get("Upgrade", "") if wants else ""


class _Exchange:
    """One request and its answer."""

    def __init__(self, request: web.Request, channel: ByteChannel, prefix: str) -> None:
        self._request, self._channel, self._prefix = request, channel, prefix
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
        headers += [("X-Forwarded-Uri", asked.raw_path), ("X-Forwarded-Host", asked.host)]
        upgrade = _upgrade(asked)
        headers += [("Connection", "Upgrade"), ("Upgrade", upgrade)] if upgrade else [("Connection", "close")]
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
            raise unreachable("timeout awaiting response headers") from None
        if isinstance(head, h11.InformationalResponse):
            await self._go_on(head)
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

    async def _head(self, events: AsyncIterator[h11.Event]) -> h11.Response | h11.InformationalResponse:
        """The answer's head, or that of the switch to another protocol."""
        async for event in events:
            if isinstance(event, h11.Response):
                return event
            if isinstance(event, h11.InformationalResponse) and event.status_code == _SWITCHING:
                return event
        raise unreachable("EOF")

    async def _go_on(self, head: h11.InformationalResponse) -> None:
        """Passes bytes both ways until one side ends. Raises ConnectionError then: the connection was taken over."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers.raw_items()}
        client, pod = RawChannel(self._request, headers), self._channel
        loop = asyncio.get_running_loop()
        upwards = loop.create_task(_pass_on(client, pod))
        try:
            if early := self._http.trailing_data[0]:
                await client.write(early)
            await _pass_on(pod, client)
        except ApiError as error:
            raise ConnectionResetError(error.message) from None
        finally:
            upwards.cancel()
            await client.close()
        raise ConnectionResetError("the connection was taken over and has ended")

    def _rewritten(self, name: bytes, value: str) -> str:
        """Redirects within the pod go through the proxy again."""
        inside = name == b"location" and value.startswith("/") and not value.startswith("//")
        return self._prefix + value if inside else value

    async def _events(self) -> AsyncIterator[h11.Event]:
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                raise unreachable(f"malformed HTTP response: {error}") from None
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._channel.read())
            elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
                return
            elif isinstance(event, h11.Event):
                yield event
            else:
                raise unreachable("the pod switched protocols")


async def _pass_on(source: ByteChannel, target: ByteChannel) -> None:
    while data := await source.read():
        await target.write(data)
