"""port-forward over SPDY streams, raw or tunnelled in WebSocket: a data and an error stream for each connection.

Source: kubelet `pkg/cri/streaming/portforward/httpstream.go`; for the tunnel apiserver `pkg/util/proxy/streamtunnel.go`
and KEP-4006. Streams of one connection share the header requestID; the error stream carries why it failed.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from podwire.services.apiserver.connections.forwarded import ForwardedConnection
from podwire.services.apiserver.connections.remote_command import PING_EVERY
from podwire.services.apiserver.connections.spdy import SpdyLink
from podwire.services.apiserver.core.spdy.connection import DataReceived, Event, StreamEnded, StreamOpened, StreamReset
from podwire.services.apiserver.core.spdy.frames import PROTOCOL_ERROR
from podwire.services.apiserver.sessions import Session

PROTOCOL: Final = "portforward.k8s.io"
TUNNEL: Final = f"SPDY/3.1+{PROTOCOL}"
_PAIR_WITHIN: Final = 30.0
_HIGHEST_PORT: Final = 65535


@dataclass(slots=True)
class _Pair:
    port: int
    streams: dict[str, int] = field(default_factory=dict)
    connection: ForwardedConnection | None = None


class SpdyForward:
    """One client's connections. `connect` makes the session for a port."""

    def __init__(self, link: SpdyLink, connect: Callable[[int], Session]) -> None:
        self._link, self._connect = link, connect
        self._pairs: dict[str, _Pair] = {}
        self._by_data: dict[int, _Pair] = {}
        self._tasks: dict[asyncio.Task[None], None] = {}

    async def serve(self) -> None:
        """Until the client ends."""
        self._start(self._watch_client())
        try:
            await self._link.run(self._on_event)
        except ConnectionError:
            pass
        finally:
            for task in self._tasks:
                task.cancel()
            await self._link.close()

    async def _watch_client(self) -> None:
        """Notices the client's end also while a pod does not take its bytes."""
        try:
            while True:
                await asyncio.sleep(PING_EVERY)
                await self._link.ping()
        except ConnectionError:
            for pair in self._by_data.values():
                if pair.connection is not None:
                    pair.connection.abandon()

    async def _on_event(self, event: Event) -> None:
        match event:
            case StreamOpened():
                await self._on_open(event)
            case DataReceived(stream, data):
                await self._take(stream, data)
            case StreamEnded(stream):
                await self._take(stream, b"")
            case StreamReset(stream):
                pair = self._by_data.get(stream)
                if pair is not None and pair.connection is not None:
                    pair.connection.abandon()

    async def _take(self, stream: int, data: bytes) -> None:
        pair = self._by_data.get(stream)
        if pair is not None and pair.connection is not None:
            await pair.connection.take(data)

    async def _on_open(self, event: StreamOpened) -> None:
        kind, port = event.headers.get("streamtype", ""), _port(event.headers.get("port", ""))
        name = event.headers.get("requestid") or _request_of_old_client(kind, event.stream)
        pair = self._pairs.get(name) or _Pair(port)
        if kind not in ("data", "error") or not port or pair.port != port or kind in pair.streams:
            await self._link.reset(event.stream, PROTOCOL_ERROR)
            return
        self._pairs[name] = pair
        pair.streams[kind] = event.stream
        if len(pair.streams) == 1:
            self._start(self._give_up_later(name, pair))
        else:
            self._begin(name, pair)
        await self._link.accept(event.stream)

    def _begin(self, name: str, pair: _Pair) -> None:
        data = pair.streams["data"]
        connect = partial(self._connect, pair.port)
        pair.connection = ForwardedConnection(connect, partial(self._link.send, data), partial(self._link.finish, data))
        self._by_data[data] = pair
        self._start(self._forward(name, pair, pair.connection))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[task] = None
        task.add_done_callback(lambda done: self._tasks.pop(done, None))

    async def _forward(self, name: str, pair: _Pair, connection: ForwardedConnection) -> None:
        try:
            complaint = await connection.run()
            if complaint:
                await self._link.send(pair.streams["error"], complaint.encode())
            await self._link.finish(pair.streams["data"])
            await self._link.finish(pair.streams["error"])
        except ConnectionError:
            pass
        finally:
            del self._pairs[name], self._by_data[pair.streams["data"]]

    async def _give_up_later(self, name: str, pair: _Pair) -> None:
        await asyncio.sleep(_PAIR_WITHIN)
        if pair.connection is None and self._pairs.get(name) is pair:
            del self._pairs[name]
            for stream in pair.streams.values():
                await self._link.reset(stream)


def _port(text: str) -> int:
    """A port number, 0 for what is none."""
    port = int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else 0
    return port if port <= _HIGHEST_PORT else 0


def _request_of_old_client(kind: str, stream: int) -> str:
    """Clients before 1.3 send no requestID: a data stream follows its error stream."""
    return str(stream - 2 if kind == "data" else stream)
