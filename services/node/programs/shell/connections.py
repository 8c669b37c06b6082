"""bash's files that are connections: /dev/tcp/HOST/PORT and /dev/udp/HOST/PORT (bash, lib/sh/netopen.c)."""

import errno

from podwire.services.node.files import FileError
from podwire.services.node.network.dns_exchange import ResolutionFailure
from podwire.services.node.network.sockets import TcpStream, UdpChannel
from podwire.services.node.process import Process


class Connection:
    """A connection as a descriptor, to read and to write."""

    def __init__(self, stream: TcpStream) -> None:
        self._stream = stream

    async def read(self, limit: int = 65536) -> bytes:
        return await self._stream.read(limit)

    async def write(self, data: bytes) -> None:
        await self._stream.write(data)

    def close(self) -> None:
        """What is written stays on its way: a program that closes its copy does not end the others'."""

    def release(self) -> None:
        """The last copy is closed."""
        self._stream.close()


class Datagrams:
    """A socket that sends each write as a datagram."""

    def __init__(self, channel: UdpChannel, to: tuple[str, int]) -> None:
        self._channel, self._to = channel, to

    async def read(self, limit: int = 65536) -> bytes:
        return (await self._channel.receive()).payload[:limit]

    async def write(self, data: bytes) -> None:
        self._channel.send(data, self._to)

    def close(self) -> None:
        """As a connection's."""

    def release(self) -> None:
        """The last copy is closed."""
        self._channel.close()


def is_connection(shell: str, target: str) -> bool:
    """Whether a shell takes a path for a connection: only bash does."""
    return shell.rpartition("/")[2] == "bash" and target.startswith(("/dev/tcp/", "/dev/udp/"))


async def open_connection(process: Process, target: str) -> Connection | Datagrams:
    """Raises FileError, after bash's own complaint."""
    kind, _, place = target.removeprefix("/dev/").partition("/")
    host, _, port = place.partition("/")
    if not (port.isascii() and port.isdigit()) or len(port) > 5 or not 0 < int(port) < 65536:
        await process.complain(f"bash: {port}: invalid service")
        raise FileError(errno.EINVAL, "Invalid argument")
    try:
        address = (await process.resolver().addresses(host))[0]
    except ResolutionFailure as failure:
        why = "Temporary failure in name resolution" if failure.temporary else "Name or service not known"
        await process.complain(f"bash: {host}: {why}")
        raise FileError(errno.EINVAL, "Invalid argument") from None
    endpoint = (address, int(port))
    if kind == "udp":
        return Datagrams(process.network.open_udp(), endpoint)
    try:
        return Connection(await process.network.connect(endpoint))
    except OSError as error:
        await process.complain(f"bash: connect: {error.strerror}")
        raise FileError(error.errno or errno.EIO, error.strerror or str(error)) from None
