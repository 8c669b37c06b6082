"""A small HTTP server for claimed containers: one text answer a path (health, readiness, metrics)."""

import asyncio
from collections.abc import Callable
from typing import Final

import h11

from podwire.services.chassis.claim import Connection, Container

TextHandler = Callable[[str], tuple[int, str]]
Headers = tuple[tuple[str, str], ...]
Handler = Callable[[str], tuple[int, str, Headers]]
PLAIN: Final = (("Content-Type", "text/plain; charset=utf-8"),)
_IDLE: Final = 10.0
_MOST: Final = 65536


async def serve_text(container: Container, port: int, handler: TextHandler) -> int:
    """Listens on a port of the container; `handler` maps a path to a status code and a text. The socket's number."""
    return await serve(container, port, lambda path: (*handler(path), PLAIN))


async def serve(container: Container, port: int, handler: Handler) -> int:
    """The same with headers, Content-Type among them."""

    def on_connection(connection: Connection) -> None:
        container.context.tasks.start(_serve(connection, handler), name=f"http :{port}")

    return await container.listen_tcp(port, on_connection)


async def _serve(connection: Connection, handler: Handler) -> None:
    protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=_MOST)
    try:
        while protocol.our_state is not h11.MUST_CLOSE:
            request = await _next_request(connection, protocol)
            if request is None:
                return
            code, text, headers = handler(request.target.decode("ascii", "replace").partition("?")[0])
            await connection.send(_response(protocol, code, text, headers))
            if protocol.our_state is h11.DONE and protocol.their_state is h11.DONE:
                protocol.start_next_cycle()
    except (h11.RemoteProtocolError, OSError, TimeoutError):
        pass
    finally:
        connection.close()


async def _next_request(connection: Connection, protocol: h11.Connection) -> h11.Request | None:
    request: h11.Request | None = None
    while True:
        event = protocol.next_event()
        if event is h11.NEED_DATA:
            async with asyncio.timeout(_IDLE):
                protocol.receive_data(await connection.reader.read(_MOST))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.EndOfMessage):
            return request
        elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
            return None


def _response(protocol: h11.Connection, code: int, text: str, headers: Headers) -> bytes:
    body = text.encode()
    length = ("Content-Length", str(len(body)))
    parts = [
        protocol.send(h11.Response(status_code=code, headers=[*headers, length])),
        protocol.send(h11.Data(data=body)),
        protocol.send(h11.EndOfMessage()),
    ]
    return b"".join(part for part in parts if part)
