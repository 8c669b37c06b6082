"""The HTTP/1.1 server that every HTTP image shares (RFC 9112, by h11): keep-alive, bounded bodies, slow clients ended.

What differs from server to server, the order of headers and the pages of errors, is its Style.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, unquote

import h11

from podwire.services.chassis.clock import SECOND
from podwire.services.node.images.tcp_server import serve_tcp
from podwire.services.node.network.sockets import EVERYWHERE, Endpoint, TcpStream
from podwire.services.node.network.tls import TlsFailure, TlsStream, accept_tls
from podwire.services.node.process import Process

MOST_BODY: Final = 1024 * 1024
MOST_HEADERS: Final = 32 * 1024
IDLE_TIMEOUT: Final = 75
"""Seconds (nginx keepalive_timeout)."""
REQUEST_TIMEOUT: Final = 60
"""Seconds for the rest of a request once it has begun (nginx client_body_timeout)."""
LINGERING: Final = 5
"""Seconds that a refused client may go on sending (nginx lingering_timeout)."""

HTTP_TO_HTTPS: Final = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
"""What Go's net/http answers."""

Stream = TcpStream | TlsStream
Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Request:
    """A request that has arrived completely."""

    method: str
    target: str
    version: str
    headers: Headers
    body: bytes
    source: Endpoint
    local: Endpoint

    @property
    def path(self) -> str:
        """The path, decoded."""
        return unquote(self.target.partition("?")[0])

    @property
    def query(self) -> dict[str, str]:
        """The query's fields; the first of several values."""
        fields = parse_qsl(self.target.partition("?")[2], keep_blank_values=True)
        return dict(reversed(fields))

    def header(self, name: str) -> str:
        """The first header of that name (any case), "" if there is none."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; `headers` are those that the style does not make."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Style:
    """How a server writes: all headers of a response (given the date), and its page for an error status."""

    headers: Callable[[Response, str], list[tuple[str, str]]]
    error: Callable[[int], Response]


def _plain_headers(response: Response, date: str) -> list[tuple[str, str]]:
    length = ("Content-Length", str(len(response.body)))
    kind = [("Content-Type", response.content_type)] if response.content_type else []
    return [*sorted(response.headers), ("Date", date), length, *kind]


def _plain_error(status: int) -> Response:
    return Response(status, f"{status} {reason(status)}".encode())


GO: Final = Style(_plain_headers, _plain_error)
"""As Go's net/http writes."""

Handler = Callable[[Request], Awaitable[Response]]
Observer = Callable[[Request, Response], Awaitable[None]]


def reason(status: int) -> str:
    """A status's phrase."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


class HttpServer:
    """Serves one handler, over TLS if there are settings for it; `served` is told of every answer (for access logs)."""

    def __init__(
        self,
        process: Process,
        handler: Handler,
        style: Style = GO,
        served: Observer | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._process, self._handler, self._style, self._served = process, handler, style, served
        self._tls = tls

    async def run(self, port: int, address: str = EVERYWHERE) -> None:
        """Serves until cancelled. Raises OSError (EADDRINUSE)."""
        await serve_tcp(self._process.network, port, self._accept, address)

    async def _accept(self, stream: TcpStream) -> None:
        if self._tls is None:
            return await self._converse(stream)
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                tls = await accept_tls(stream, self._tls, self._process.clock)
        except TlsFailure as failure:
            if failure.kind == "http":
                await stream.write(HTTP_TO_HTTPS)
            else:
                await self._process.complain(f"TLS handshake error: {failure}")
            return None
        except TimeoutError:
            return None
        return await self._converse(tls)

    async def _converse(self, stream: Stream) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MOST_HEADERS)
        try:
            while await self._exchange(connection, stream):
                connection.start_next_cycle()
        except h11.RemoteProtocolError as error:
            await self._refuse(connection, stream, error.error_status_hint)
        except h11.LocalProtocolError:
            return
        except TimeoutError:
            return

    async def _exchange(self, connection: h11.Connection, stream: Stream) -> bool:
        async with asyncio.timeout(IDLE_TIMEOUT):
            head = await _next_event(connection, stream)
        if not isinstance(head, h11.Request):
            return False
        async with asyncio.timeout(REQUEST_TIMEOUT):
            body = await self._read_body(connection, stream)
        if body is None:
            await self._refuse(connection, stream, 413)
            return False
        request = _request(head, body, stream)
        response = await self._handler(request)
        await self._send(connection, stream, response, with_body=request.method != "HEAD")
        if self._served is not None:
            await self._served(request, response)
        return connection.our_state is h11.DONE and connection.their_state is h11.DONE

    async def _read_body(self, connection: h11.Connection, stream: Stream) -> bytes | None:
        if connection.they_are_waiting_for_100_continue:
            go_on = h11.InformationalResponse(status_code=100, headers=[], reason="Continue")
            await stream.write(connection.send(go_on) or b"")
        body = bytearray()
        while isinstance(event := await _next_event(connection, stream), h11.Data):
            body += event.data
            if len(body) > MOST_BODY:
                return None
        return bytes(body)

    async def _send(
        self, connection: h11.Connection, stream: Stream, response: Response, *, with_body: bool = True
    ) -> None:
        date = formatdate(self._process.clock.now_ns() // SECOND, usegmt=True)
        headers = self._style.headers(response, date)
        head = h11.Response(status_code=response.status, headers=headers, reason=reason(response.status))
        data = connection.send(head) or b""
        if with_body and response.body:
            data += connection.send(h11.Data(data=response.body)) or b""
        async with asyncio.timeout(REQUEST_TIMEOUT):
            await stream.write(data + (connection.send(h11.EndOfMessage()) or b""))

    async def _refuse(self, connection: h11.Connection, stream: Stream, status: int) -> None:
        if connection.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        page = self._style.error(status)
        closing = Response(page.status, page.body, page.content_type, (*page.headers, ("Connection", "close")))
        await self._send(connection, stream, closing)
        await _linger(stream)


async def _linger(stream: Stream) -> None:
    """Takes what the client still sends: closing at once would reset the connection, and the answer be lost."""
    stream.finish()
    try:
        async with asyncio.timeout(LINGERING):
            while await stream.read():
                pass
    except TimeoutError:
        return


async def _next_event(connection: h11.Connection, stream: Stream) -> object:
    while (event := connection.next_event()) is h11.NEED_DATA:
        connection.receive_data(await stream.read())
    return event


def _request(head: h11.Request, body: bytes, stream: Stream) -> Request:
    socket = (stream.stream if isinstance(stream, TlsStream) else stream).socket
    return Request(
        method=head.method.decode("ascii", "replace"),
        target=head.target.decode("latin-1"),
        version=head.http_version.decode("ascii", "replace"),
        headers=tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers.raw_items()),
        body=body,
        source=socket.remote_endpoint or ("0.0.0.0", 0),
        local=socket.local_endpoint,
    )
