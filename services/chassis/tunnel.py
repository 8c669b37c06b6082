"""A port in the emulated network whose connections lead to a real port and back, bytes untouched. Live only."""

import asyncio
from typing import Final

from podwire.services.chassis.claim import Connection, Container, ContainerError

_CHUNK: Final = 65536


class Tunnel:
    """Accepts on a container's port and connects each connection through to `host`:`port`."""

    def __init__(self, container: Container, host: str, port: int) -> None:
        self._container, self._host, self._port = container, host, port

    async def listen(self, port: int) -> bool:
        """Starts to accept; a port that is taken is said in the container's log, and the answer is False."""
        try:
            await self._container.listen_tcp(port, self._accept)
        except ContainerError as error:
            self._container.log(f"listen tcp :{port}: {error}")
            return False
        return True

    def _accept(self, connection: Connection) -> None:
        self._container.context.tasks.start(self._join(connection), name="tunnelled connection")

    async def _join(self, connection: Connection) -> None:
        try:
            reader, writer = await asyncio.open_connection(self._host, self._port)
        except OSError as error:
            self._container.log(f"dial tcp {self._host}:{self._port}: {error.strerror or error}")
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
