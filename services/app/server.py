"""An ASGI server over the sockets of a claimed container: one task a connection, requests one after the other."""

import traceback
from collections.abc import Callable
from typing import Any, Final

import h11

from podwire.services.app.core.exchange import Address, Answer, NotAllowed, scope_of
from podwire.services.app.loading import Application
from podwire.services.chassis.claim import Connection

_CHUNK: Final = 65536
_LARGEST_HEAD: Final = 64 * 1024


class HttpServer:
    """Serves connections with one application; `complain` gets what went wrong, line by line."""

    def __init__(self, application: Application, state: dict[str, Any], complain: Callable[[str], None]) -> None:
        self._application, self._state, self._complain = application, state, complain

    async def serve(self, connection: Connection, server: Address) -> None:
        """Answers the requests of a connection until either side has had enough."""
        protocol = h11.Connection(h11.SERVER, _LARGEST_HEAD)
        try:
            while await self._exchange(protocol, connection, server):
                protocol.start_next_cycle()
        except OSError:
            pass
        finally:
            connection.close()

    async def _exchange(self, protocol: h11.Connection, connection: Connection, server: Address) -> bool:
        """One request and its answer; whether another may follow."""
        try:
            event = await _next_event(protocol, connection)
        except h11.RemoteProtocolError:
            await connection.send(Answer(protocol, b"").failure(400))
            return False
        if not isinstance(event, h11.Request):
            return False
        answer = Answer(protocol, event.method)
        scope = scope_of(event, connection.peer, server, self._state)
        try:
            await self._application(scope, _Receiver(protocol, connection, answer), _Sender(connection, answer))
        except OSError:
            raise
        except Exception:
            for line in traceback.format_exc().splitlines():
                self._complain(line)
        if not answer.started:
            await connection.send(answer.failure(500))
        return answer.complete and await _drained(protocol, connection)


async def _next_event(protocol: h11.Connection, connection: Connection) -> Any:
    while (event := protocol.next_event()) is h11.NEED_DATA:
        if protocol.they_are_waiting_for_100_continue:
            told = protocol.send(h11.InformationalResponse(status_code=100, headers=[]))
            await connection.send(told or b"")
        protocol.receive_data(await connection.reader.read(_CHUNK))
    return event


async def _drained(protocol: h11.Connection, connection: Connection) -> bool:
    """Reads what the application left of the body; whether the connection can go on."""
    try:
        while protocol.their_state is h11.SEND_BODY and protocol.our_state is h11.DONE:
            await _next_event(protocol, connection)
    except h11.RemoteProtocolError:
        return False
    return protocol.our_state is h11.DONE and protocol.their_state is h11.DONE


class _Receiver:
    """ASGI's `receive`."""

    def __init__(self, protocol: h11.Connection, connection: Connection, answer: Answer) -> None:
        self._protocol, self._connection, self._answer = protocol, connection, answer
        self._ended = False

    async def __call__(self) -> dict[str, Any]:
        if self._ended:
            return await self._disconnect()
        try:
            event = await _next_event(self._protocol, self._connection)
        except (h11.RemoteProtocolError, OSError):
            return {"type": "http.disconnect"}
        if isinstance(event, h11.Data):
            return {"type": "http.request", "body": bytes(event.data), "more_body": True}
        self._ended = True
        if isinstance(event, h11.EndOfMessage):
            return {"type": "http.request", "body": b"", "more_body": False}
        return {"type": "http.disconnect"}

    async def _disconnect(self) -> dict[str, Any]:
        """Returns once the answer is complete or the peer is gone; what it sends meanwhile is its next request."""
        while not self._answer.complete:
            try:
                data = await self._connection.reader.read(_CHUNK)
            except OSError:
                break
            self._protocol.receive_data(data)
            if not data:
                break
        return {"type": "http.disconnect"}


class _Sender:
    """ASGI's `send`."""

    def __init__(self, connection: Connection, answer: Answer) -> None:
        self._connection, self._answer = connection, answer

    async def __call__(self, message: dict[str, Any]) -> None:
        try:
            data = self._answer.take(message)
        except NotAllowed as error:
            raise RuntimeError(str(error)) from None
        if data:
            await self._connection.send(data)
