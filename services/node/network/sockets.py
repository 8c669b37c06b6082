"""The kernel's sockets with awaiting in place of readiness callbacks."""

import asyncio
import errno
from collections.abc import Callable
from typing import Final, Protocol

from podwire.proto.packet.addresses import is_link_local
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.sockets.capture import CapturedFrame, PacketSocket
from podwire.services.node.kernel.sockets.ping import Echo, PingSocket
from podwire.services.node.kernel.sockets.table import SocketTable
from podwire.services.node.kernel.sockets.tcp import TcpListener, TcpSocket
from podwire.services.node.kernel.sockets.udp import Datagram, PathReport, UdpSocket
from podwire.services.node.shell import KernelShell

Endpoint = tuple[str, int]
EVERYWHERE: Final = "::"
"""Where servers listen unless they are told: at every address of both families (net.ipv6.bindv6only is 0)."""
_OPENING: Final = ("SYN_SENT", "SYN_RECEIVED")


class Telling(Protocol):
    """A socket of the kernel: it calls `on_ready` when something changed."""

    on_ready: Callable[[], None] | None


class Readiness:
    """Wakes whoever waits when the socket says that something changed.

    A change that happens inside the caller's own turn, before it waits, is remembered: both ends may be on one kernel.
    """

    def __init__(self, socket: Telling) -> None:
        self._waiting: list[asyncio.Future[None]] = []
        self._changed = False
        socket.on_ready = self.wake

    def wake(self) -> None:
        """Has whoever waits look again."""
        self._changed = True
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def change(self) -> None:
        """Returns at the next change, or at once if there was one since the last call: callers look again."""
        if not self._changed:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            await future
        self._changed = False


class TcpStream:
    """A TCP connection as a stream of bytes."""

    def __init__(self, shell: KernelShell, socket: TcpSocket) -> None:
        self.socket = socket
        self._shell = shell
        self._readiness = Readiness(socket)

    async def established(self) -> None:
        """Returns when the handshake is done. Raises OSError (ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH, …)."""
        while self.socket.state in _OPENING and not self.socket.error:
            await self._readiness.change()
        self.socket.raise_error()
        if self.socket.state == "CLOSED":
            raise KernelError(errno.ECONNRESET)

    async def read(self, limit: int = 65536) -> bytes:
        """Some bytes, b"" at the end. Raises OSError."""
        while True:
            with self._shell.turn():
                data = self.socket.receive(limit)
            if data is not None:
                return data
            await self._readiness.change()

    async def read_exactly(self, length: int) -> bytes:
        """So many bytes. Raises OSError, ConnectionResetError if the stream ends before."""
        data = b""
        while len(data) < length:
            more = await self.read(length - len(data))
            if not more:
                raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
            data += more
        return data

    async def write(self, data: bytes) -> None:
        """Returns when the kernel has taken all bytes. Raises OSError."""
        rest = data
        while rest:
            with self._shell.turn():
                rest = rest[self.socket.send(rest) :]
            if rest:
                await self._readiness.change()

    def original_destination(self) -> Endpoint:
        """SO_ORIGINAL_DST: where the peer meant to go, if a rule redirected it here. Raises OSError (ENOENT)."""
        return self.socket.namespace.sockets.original_destination(self.socket)

    def keep_alive(self) -> None:
        """SO_KEEPALIVE: notice a peer that is gone even if there is nothing to say."""
        with self._shell.turn():
            self.socket.keep_alive()

    def finish(self) -> None:
        """Half-closes: no more will be written."""
        with self._shell.turn():
            self.socket.shutdown()

    def close(self) -> None:
        """Closes both ways."""
        with self._shell.turn():
            self.socket.close()

    def abort(self) -> None:
        """Resets the connection."""
        with self._shell.turn():
            self.socket.abort()


class Listener:
    """A listening socket that hands its connections to a handler."""

    def __init__(self, shell: KernelShell, socket: TcpListener, on_connection: Callable[[TcpStream], None]) -> None:
        self.socket = socket
        self._shell, self._on_connection = shell, on_connection
        socket.on_ready = self._accept

    def _accept(self) -> None:
        while (connection := self.socket.accept()) is not None:
            self._on_connection(TcpStream(self._shell, connection))

    def close(self) -> None:
        """Stops listening."""
        with self._shell.turn():
            self.socket.close()


class UdpChannel:
    """A UDP socket."""

    def __init__(self, shell: KernelShell, socket: UdpSocket) -> None:
        self.socket = socket
        self._shell = shell
        self._readiness = Readiness(socket)

    def send(self, data: bytes, to: Endpoint) -> None:
        """Sends one datagram. Raises OSError."""
        with self._shell.turn():
            self.socket.send_to(data, to)

    async def receive(self) -> Datagram:
        """The next datagram. Raises OSError for what an ICMP error reported."""
        while True:
            with self._shell.turn():
                datagram = self.socket.receive()
            if datagram is not None:
                return datagram
            await self._readiness.change()

    def close(self) -> None:
        """Gives the port back."""
        with self._shell.turn():
            self.socket.close()


class PathProber:
    """A UDP socket for finding paths: datagrams that no router may cut, and what routers say about them."""

    def __init__(self, shell: KernelShell, socket: UdpSocket) -> None:
        self._shell, self._socket = shell, socket
        self._readiness = Readiness(socket)
        socket.queue_errors()

    def send(self, payload: bytes, to: Endpoint, ttl: int) -> None:
        """Sends one datagram. Raises OSError."""
        with self._shell.turn():
            self._socket.probe(payload, to, ttl)

    def mtu_to(self, address: int) -> int:
        """What the first link towards an address takes, or less if a router said so."""
        return self._socket.namespace.sockets.mtu_to(address)

    async def report(self) -> PathReport | None:
        """The next report; None if the other end answered with a datagram. Raises OSError."""
        while True:
            with self._shell.turn():
                report, datagram = self._socket.report(), self._socket.receive()
            if report is not None or datagram is not None:
                return report
            await self._readiness.change()

    def close(self) -> None:
        """Gives the port back."""
        with self._shell.turn():
            self._socket.close()


class Pinger:
    """An ICMP echo socket."""

    def __init__(self, shell: KernelShell, socket: PingSocket) -> None:
        self._shell, self._socket = shell, socket
        self._readiness = Readiness(socket)

    def send(self, address: str, sequence: int, payload: bytes, ttl: int = 0) -> None:
        """Sends one echo request. Raises OSError."""
        with self._shell.turn():
            self._socket.send_echo(address, sequence, payload, ttl=ttl)

    async def receive(self) -> Echo:
        """The next answer. Raises OSError."""
        while True:
            with self._shell.turn():
                echo = self._socket.receive()
            if echo is not None:
                return echo
            await self._readiness.change()

    def close(self) -> None:
        """Gives the identifier back."""
        with self._shell.turn():
            self._socket.close()


class Capture:
    """A packet socket."""

    def __init__(self, shell: KernelShell, socket: PacketSocket) -> None:
        self.socket = socket
        self._shell = shell
        self._readiness = Readiness(socket)

    def receive(self) -> CapturedFrame | None:
        """The oldest frame that waits, None if there is none."""
        return self.socket.receive()

    async def change(self) -> None:
        """Returns when there may be more."""
        await self._readiness.change()

    def wake(self) -> None:
        """Ends somebody's waiting for a change."""
        self._readiness.wake()

    def close(self) -> None:
        """Stops listening."""
        with self._shell.turn():
            self.socket.close()


class Network:
    """One network namespace as programs of a user see it. `trace` marks everything that is sent through it."""

    def __init__(self, shell: KernelShell, namespace: str, trace: str = "", *, user: int = 0, group: int = 0) -> None:
        self.shell = shell
        self.namespace = namespace
        self.trace = trace
        self.user, self.group = user, group

    def families(self) -> tuple[str, ...]:
        """Of which families, "4" and "6", there are addresses beside loopback and link-local ones (AI_ADDRCONFIG)."""
        devices = self.shell.kernel.namespace(self.namespace).devices.values()
        own = [device for device in devices if device.kind != "loopback"]
        has4 = any(device.addresses for device in own)
        has6 = any(not is_link_local(each.address) for device in own for each in device.addresses6)
        return (*(("4",) if has4 else ()), *(("6",) if has6 else ()))

    def _table(self) -> SocketTable:
        return self.shell.kernel.namespace(self.namespace).sockets

    async def connect(self, endpoint: Endpoint) -> TcpStream:
        """Connects. Raises OSError; a caller that gives up must close what it cancelled."""
        with self.shell.turn():
            socket: TcpSocket = self._table().open_tcp(self.trace, user=self.user, group=self.group)
            stream = TcpStream(self.shell, socket)
            socket.connect(endpoint)
        try:
            await stream.established()
        except BaseException:
            stream.close()
            raise
        return stream

    def listen(
        self,
        port: int,
        on_connection: Callable[[TcpStream], None],
        address: str = EVERYWHERE,
        backlog: int = 128,
        *,
        transparent: bool = False,
    ) -> Listener:
        """Listens, with IP_TRANSPARENT for what TPROXY diverts. Raises OSError (EADDRINUSE)."""
        with self.shell.turn():
            socket = self._table().listen_tcp(
                (address, port), backlog, user=self.user, group=self.group, transparent=transparent
            )
            return Listener(self.shell, socket, on_connection)

    def open_udp(self, port: int | None = None, address: str = EVERYWHERE) -> UdpChannel:
        """A UDP socket, bound if a port is given. Raises OSError."""
        with self.shell.turn():
            socket: UdpSocket = self._table().open_udp(self.trace, user=self.user, group=self.group)
            if port is not None:
                socket.bind((address, port))
            return UdpChannel(self.shell, socket)

    def open_capture(self, device: str = "") -> Capture:
        """A packet socket on a device, or on all of them. Raises OSError (ENODEV)."""
        with self.shell.turn():
            return Capture(self.shell, self._table().open_capture(device))

    def open_path_prober(self) -> PathProber:
        """A UDP socket for traceroute and tracepath."""
        with self.shell.turn():
            return PathProber(self.shell, self._table().open_udp(self.trace, user=self.user, group=self.group))

    def open_ping(self) -> Pinger:
        """An ICMP echo socket."""
        with self.shell.turn():
            return Pinger(self.shell, self._table().open_ping(self.trace, user=self.user, group=self.group))
