"""Bytes of an upgraded connection, both ways, with back-pressure: raw, or carried by WebSocket messages."""

import asyncio
from collections.abc import Mapping
from typing import Final, Protocol

from aiohttp import WSMsgType, web

_READ: Final = 64 * 1024
LARGEST_MESSAGE: Final = 8 * 1024 * 1024


class ByteChannel(Protocol):
    """A connection's bytes."""

    async def read(self) -> bytes:
        """Some bytes, b"" at the end."""
        ...

    async def write(self, data: bytes) -> None:
        """Returns when there is room for more. Raises ConnectionError."""
        ...

    async def close(self) -> None:
        """Ends it."""
        ...


class _Upgraded(asyncio.StreamReaderProtocol):
    """Streams on a connection that an HTTP server accepted, which is told when it is lost."""

    def __init__(self, reader: asyncio.StreamReader, former: asyncio.BaseProtocol) -> None:
        super().__init__(reader)
        self._former = former

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._former.connection_lost(exc)


class RawChannel:
    """The bytes of an HTTP connection after `101 Switching Protocols` (RFC 9110, section 7.8)."""

    def __init__(self, request: web.Request, headers: Mapping[str, str]) -> None:
        """Answers the request and takes its connection over. Raises ConnectionError when it is lost already."""
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the connection is lost")
        self._reader = asyncio.StreamReader(limit=_READ)
        protocol = _Upgraded(self._reader, request.protocol)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        self._writer = asyncio.StreamWriter(transport, protocol, self._reader, asyncio.get_running_loop())
        lines = ["HTTP/1.1 101 Switching Protocols", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        self._writer.write("\r\n".join(lines).encode())

    async def read(self) -> bytes:
        return await self._reader.read(_READ)

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def close(self) -> None:
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError:
            pass


class TunnelChannel:
    """Bytes as the payload of binary WebSocket messages, whose bounds mean nothing (KEP-4006, port-forward)."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket

    async def read(self) -> bytes:
        while (message := await self._socket.receive()).type in (WSMsgType.BINARY, WSMsgType.TEXT):
            if message.type == WSMsgType.BINARY and message.data:
                return bytes(message.data)
        return b""

    async def write(self, data: bytes) -> None:
        await self._socket.send_bytes(data)

    async def close(self) -> None:
        await self._socket.close()
