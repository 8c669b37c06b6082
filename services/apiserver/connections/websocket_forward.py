"""port-forward over WebSocket channels, as the Python client speaks it.

Channels 2i (data) and 2i+1 (error) are the i-th port of the query; the first message on each is the port's number, 16
bits, little endian.

Source: kubelet `pkg/cri/streaming/portforward/websocket.go`.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from aiohttp import web

from podwire.services.apiserver.connections.forwarded import ForwardedConnection
from podwire.services.apiserver.connections.websocket_command import WebSocketCommand
from podwire.services.apiserver.core.remote_command import V4
from podwire.services.apiserver.sessions import Session

VERSIONS = (V4, "v4.base64.channel.k8s.io")


class WebSocketForward:
    """One connection for each port. `connect` makes the session for a port."""

    def __init__(self, socket: web.WebSocketResponse, version: str, ports: Sequence[int]) -> None:
        self._wire = WebSocketCommand(socket, version)
        self._socket, self._ports = socket, ports

    async def serve(self, connect: Callable[[int], Session]) -> None:
        """Until the client ends, or every connection has."""
        loop = asyncio.get_running_loop()
        connections = [self._connection(index, partial(connect, port)) for index, port in enumerate(self._ports)]
        try:
            for index, port in enumerate(self._ports):
                for channel in (2 * index, 2 * index + 1):
                    await self._wire.send(channel, port.to_bytes(2, "little"))
            reader = loop.create_task(self._read(connections))
            try:
                await asyncio.gather(*(self._run(index, entry) for index, entry in enumerate(connections)))
            finally:
                reader.cancel()
        except ConnectionError:
            pass
        finally:
            await self._socket.close()

    def _connection(self, index: int, connect: Callable[[], Session]) -> ForwardedConnection:
        return ForwardedConnection(connect, lambda data: self._wire.send(2 * index, data))

    async def _read(self, connections: list[ForwardedConnection]) -> None:
        try:
            async for message in self._socket:
                channel, data = self._wire.read(message.data)
                if channel % 2 == 0 and 0 <= channel // 2 < len(connections) and data:
                    await connections[channel // 2].take(data)
        finally:
            for connection in connections:
                connection.abandon()

    async def _run(self, index: int, connection: ForwardedConnection) -> None:
        if complaint := await connection.run():
            await self._wire.send(2 * index + 1, complaint.encode())
