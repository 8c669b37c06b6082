"""The API's port in the emulated network: bytes of its connections go to our own HTTPS port and back, TLS untouched."""

import asyncio
from typing import Final

from podwire.services.chassis.claim import Connection, Container, ContainerError

PORT: Final = 6443
_CHUNK: Final = 65536


class Tunnel:
    """Accepts on the container's port and connects each connection through."""

    def __init__(self, container: Container, host: str, port: int) -> None:
        self._container, self._host, self._port = container, host, port

    async def listen(self) -> None:
        """Starts to accept; a port that is taken is said in the container's log."""
        try:
            await self._container.listen_tcp(PORT, self._accept)
        except ContainerError as error:
            self._container.log(f"listen tcp :{PORT}: {error}")

    def _accept(self, connection: Connection) -> None:
        self._container.context.tasks.start(self._join(connection), name="api connection")

    async def _join(self, connection: Connection) -> None:
        try:
            reader, writer = await asyncio.open_connection(self._host, self._port)
        except OSError:
            connection.close()
            return
        outward = asyncio.get_running_loop().create_task(_outward(reader, connection))
        try:
            await _inward(connection, writer)
            await outward
        except OSError:
            pass
        finally:
            outward.cancel()
            writer.close()
            connection.close()


async def _inward(connection: Connection, writer: asyncio.StreamWriter) -> None:
    while data := await connection.reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def _outward(reader: asyncio.StreamReader, connection: Connection) -> None:
    while data := await reader.read(_CHUNK):
        await connection.send(data)
    await connection.finish()
