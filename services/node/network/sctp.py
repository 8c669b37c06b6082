"""SCTP associations with awaiting in place of readiness callbacks."""

import errno
from collections.abc import Callable

from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.sockets.sctp_association import SctpSocket
from podwire.services.node.kernel.sockets.sctp_inbound import Message
from podwire.services.node.kernel.sockets.sctp_listener import SctpListener
from podwire.services.node.kernel.sockets.sctp_states import OPENING
from podwire.services.node.network.sockets import EVERYWHERE, Endpoint, Network, Readiness
from podwire.services.node.shell import KernelShell


class SctpChannel:
    """An association as a channel of messages."""

    def __init__(self, shell: KernelShell, socket: SctpSocket) -> None:
        self.socket = socket
        self._shell = shell
        self._readiness = Readiness(socket)

    async def established(self) -> None:
        """Returns when the handshake is done. Raises OSError (ECONNREFUSED, ETIMEDOUT, ENOPROTOOPT, …)."""
        while self.socket.state in OPENING and not self.socket.error:
            await self._readiness.change()
        self.socket.raise_error()
        if self.socket.state == "CLOSED":
            raise KernelError(errno.ECONNRESET)

    async def read(self) -> Message | None:
        """The next message, None at the end. Raises OSError."""
        while True:
            with self._shell.turn():
                message = self.socket.receive()
            if message is not None or self.socket.ended:
                return message
            await self._readiness.change()

    async def write(self, message: bytes, stream: int = 0) -> None:
        """Returns when the kernel has taken the message. Raises OSError."""
        while True:
            with self._shell.turn():
                taken = self.socket.send(message, stream)
            if taken:
                return
            await self._readiness.change()

    def close(self) -> None:
        """Shuts the association down."""
        with self._shell.turn():
            self.socket.close()


class SctpServer:
    """A listening socket that hands its associations to a handler."""

    def __init__(self, shell: KernelShell, socket: SctpListener, on_association: Callable[[SctpChannel], None]) -> None:
        self.socket = socket
        self._shell, self._on_association = shell, on_association
        socket.on_ready = self._accept

    def _accept(self) -> None:
        while (association := self.socket.accept()) is not None:
            self._on_association(SctpChannel(self._shell, association))

    def close(self) -> None:
        """Stops listening."""
        with self._shell.turn():
            self.socket.close()


async def connect(network: Network, endpoint: Endpoint) -> SctpChannel:
    """Connects. Raises OSError."""
    shell = network.shell
    with shell.turn() as kernel:
        socket = kernel.namespace(network.namespace).sockets.sctp.open(network.trace)
        channel = SctpChannel(shell, socket)
        socket.connect(endpoint)
    try:
        await channel.established()
    except BaseException:
        channel.close()
        raise
    return channel


def listen(
    network: Network,
    port: int,
    on_association: Callable[[SctpChannel], None],
    address: str = EVERYWHERE,
    backlog: int = 128,
) -> SctpServer:
    """Listens. Raises OSError (EADDRINUSE)."""
    with network.shell.turn() as kernel:
        table = kernel.namespace(network.namespace).sockets.sctp
        return SctpServer(network.shell, table.listen((address, port), backlog), on_association)
