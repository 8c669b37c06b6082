"""Doors into the cluster: ports of this machine's loopback whose connections go on from the host outside. Live only.

Bytes are untouched both ways, half-closes too; a datagram's sender gets its answers for a minute.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from podwire.services.chassis.tasks import OrderedTaskGroup
from podwire.services.node.network.sockets import Endpoint, Network, TcpStream, UdpChannel

LOOPBACK: Final = "127.0.0.1"
_CHUNK: Final = 65536
_CONNECT_WITHIN: Final = 10.0
_FORGET_AFTER: Final = 60.0
_MOST_SENDERS: Final = 1024

Target = Callable[[], Endpoint | None]
"""Where the next connection goes; None if there is nothing."""


async def splice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, stream: TcpStream) -> None:
    """Joins a real connection to an emulated one until both are done; closes both."""
    outward = asyncio.get_running_loop().create_task(_outward(stream, writer))
    try:
        while data := await reader.read(_CHUNK):
            await stream.write(data)
        stream.finish()
        await outward
    except OSError:
        pass
    finally:
        outward.cancel()
        stream.close()
        writer.close()


async def _outward(stream: TcpStream, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await stream.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        writer.transport.abort()


class TcpDoor:
    """One listening port."""

    def __init__(self, network: Network, target: Target) -> None:
        self._network, self._target = network, target
        self._server: asyncio.Server | None = None

    async def open(self, port: int) -> int:
        """Listens on a port of the loopback, on any free one if it is taken; the port. Raises OSError."""
        try:
            self._server = await asyncio.start_server(self._join, LOOPBACK, port)
        except OSError:
            if port == 0:
                raise
            return await self.open(0)
        return int(self._server.sockets[0].getsockname()[1])

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = self._target()
        try:
            if target is None:
                raise ConnectionRefusedError
            async with asyncio.timeout(_CONNECT_WITHIN):
                stream = await self._network.connect(target)
        except (OSError, TimeoutError):
            writer.transport.abort()  # what its client sees of a refused connection is a reset
            return
        await splice(reader, writer, stream)

    def close(self) -> None:
        """Takes no more connections."""
        if self._server is not None:
            self._server.close()


class UdpDoor(asyncio.DatagramProtocol):
    """One port for datagrams."""

    def __init__(self, network: Network, tasks: OrderedTaskGroup, target: Target) -> None:
        self._network, self._tasks, self._target = network, tasks, target
        self._channels: dict[Endpoint, UdpChannel] = {}
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self, port: int) -> int:
        """Binds a port of the loopback, any free one if it is taken; the port. Raises OSError."""
        loop = asyncio.get_running_loop()
        try:
            self._transport, _ = await loop.create_datagram_endpoint(lambda: self, (LOOPBACK, port))
        except OSError:
            if port == 0:
                raise
            return await self.open(0)
        return int(self._transport.get_extra_info("sockname")[1])

    def datagram_received(self, data: bytes, addr: Endpoint) -> None:
        """A datagram of a client."""
        target = self._target()
        if target is None:
            return
        channel = self._channels.get(addr)
        if channel is None:
            if len(self._channels) >= _MOST_SENDERS:
                return
            channel = self._channels[addr] = self._network.open_udp()
            self._tasks.start(self._bring_back(addr, channel), name="datagrams from inside")
        try:
            channel.send(data, target)
        except OSError:
            pass

    async def _bring_back(self, addr: Endpoint, channel: UdpChannel) -> None:
        try:
            while self._transport is not None:
                async with asyncio.timeout(_FORGET_AFTER):
                    datagram = await channel.receive()
                self._transport.sendto(datagram.payload, addr)
        except (OSError, TimeoutError):
            pass
        finally:
            self._channels.pop(addr, None)
            channel.close()

    def close(self) -> None:
        """Takes no more datagrams."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None
