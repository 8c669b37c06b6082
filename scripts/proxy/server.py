"""The proxy's shell: real clients on one side, a host outside of the cluster on the other."""

import asyncio
import errno
from collections.abc import Callable
from typing import Final

from podwire.proto.packet.errors import PacketError
from podwire.scripts.proxy import socks
from podwire.services.chassis.chance import RandomBits
from podwire.services.node.files import Files
from podwire.services.node.network.dns_exchange import ResolutionFailure
from podwire.services.node.network.resolver import Resolver
from podwire.services.node.network.sockets import Network, TcpStream
from podwire.services.node.outside.doors import splice

_HANDSHAKE_WITHIN: Final = 15.0
_CONNECT_WITHIN: Final = 20.0
_CODES: Final = {
    errno.ECONNREFUSED: socks.CONNECTION_REFUSED,
    errno.EHOSTUNREACH: socks.HOST_UNREACHABLE,
    errno.ENETUNREACH: socks.NETWORK_UNREACHABLE,
}


class Refused(Exception):
    """A destination that cannot be reached: the reply's code, and why."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Proxy:
    """Connects each client where it wants to go; `tell` hears a line about each."""

    def __init__(
        self, network: Network, name_server: str, domain: str, random: RandomBits, tell: Callable[[str], None]
    ) -> None:
        search = f"default.svc.{domain} svc.{domain} {domain}"
        files = Files({"/etc/resolv.conf": f"nameserver {name_server}\nsearch {search}\noptions ndots:5\n".encode()})
        self._network, self._tell = network, tell
        self._resolver = Resolver(network, files, random)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client from its greeting to its end."""
        server = socks.SocksServer()
        try:
            async with asyncio.timeout(_HANDSHAKE_WITHIN):
                request = await _handshake(server, reader, writer)
        except (OSError, TimeoutError, socks.SocksError) as error:
            self._end(writer, error)
            return
        try:
            stream = await self.connect(request)
        except Refused as refusal:
            self._tell(f"{request.host}:{request.port}  {refusal}")
            writer.write(socks.reply(refusal.code))
            writer.close()
            return
        self._tell(f"{request.host}:{request.port}  connected")
        writer.write(socks.reply(0))
        if server.rest:
            await stream.write(server.rest)
        await splice(reader, writer, stream)

    def _end(self, writer: asyncio.StreamWriter, error: Exception) -> None:
        if isinstance(error, socks.SocksError):
            self._tell(f"a client was sent away: {error}")
            writer.write(error.answer)
        writer.close()

    async def connect(self, request: socks.Request) -> TcpStream:
        """The connection that a client asked for. Raises Refused."""
        try:
            async with asyncio.timeout(_CONNECT_WITHIN):
                address = await self._address(request)
                return await self._network.connect((address, request.port))
        except TimeoutError:
            raise Refused(socks.TTL_EXPIRED, "timed out") from None
        except PacketError as error:
            raise Refused(socks.ADDRESS_NOT_SUPPORTED, error.reason) from None
        except OSError as error:
            code = _CODES.get(error.errno or 0, socks.GENERAL_FAILURE)
            raise Refused(code, error.strerror or str(error)) from None

    async def _address(self, request: socks.Request) -> str:
        if not request.is_name:
            return request.host
        try:
            return (await self._resolver.addresses(request.host))[0]
        except ResolutionFailure as failure:
            raise Refused(socks.HOST_UNREACHABLE, str(failure)) from None


async def _handshake(
    server: socks.SocksServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> socks.Request:
    while server.request is None:
        data = await reader.read(4096)
        if not data:
            raise ConnectionResetError
        writer.write(server.receive(data))
    return server.request
