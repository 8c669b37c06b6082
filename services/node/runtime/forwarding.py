"""Port-forward: one connection from a session to a port on the loopback of a sandbox's network namespace.

Texts follow containerd `internal/cri/server/sandbox_portforward_linux.go` and the CRI streaming server that it embeds
(kubelet `pkg/cri/streaming/portforward/httpstream.go`). A half-close passes in both directions; the session is over
when both sides have ended. (containerd gives the second side half a second.)
"""

import asyncio
import errno
import os
from typing import TYPE_CHECKING, Final

from podwire.proto.messages import runtime as messages
from podwire.services.node.network.sockets import Network, TcpStream
from podwire.services.node.pipes import BrokenPipe
from podwire.services.node.runtime.failures import CallFailed
from podwire.services.node.runtime.records import SandboxRecord
from podwire.services.node.runtime.sandboxes import Sandboxes
from podwire.services.node.runtime.sessions import Session

if TYPE_CHECKING:
    from podwire.services.node.machine import Machine

_LOOPBACK: Final = "127.0.0.1"
_HIGHEST_PORT: Final = 65535
_REASONS: Final = {errno.ETIMEDOUT: "i/o timeout"}


class Forwarding:
    """Starts port-forward sessions."""

    def __init__(self, machine: "Machine", sandboxes: Sandboxes) -> None:
        self._machine, self._sandboxes = machine, sandboxes

    def start(self, call: messages.StartPortForward) -> None:
        """Connects in the background; a refusal is the session's end. Raises CallFailed."""
        if not 0 < call.port <= _HIGHEST_PORT:
            raise CallFailed("InvalidArgument", f"invalid port {call.port}")
        sandbox = self._sandboxes.ready(call.sandbox)
        session = Session(self._machine.bus, self._machine.name, call.session, stdin=True)
        session.serve(self._machine.tasks, self._run(sandbox, call.port, session))

    async def _run(self, sandbox: SandboxRecord, port: int, session: Session) -> None:
        try:
            connection = await Network(self._machine.shell, sandbox.namespace).connect((_LOOPBACK, port))
        except OSError as error:
            session.finish(1, _refusal(sandbox, port, error))
            return
        inward = self._machine.tasks.start(_send(session, connection), name="port-forward input")
        try:
            await _receive(session, connection)
            session.end_output()
            await inward
        except BrokenPipe:
            return
        except OSError as error:
            session.finish(1, _broken(sandbox, port, error))
            return
        finally:
            inward.cancel()
            connection.close()
        session.finish(0)


async def _receive(session: Session, connection: TcpStream) -> None:
    while data := await connection.read():
        await session.stdout.write(data)


async def _send(session: Session, connection: TcpStream) -> None:
    try:
        while data := await session.stdin.read():
            await connection.write(data)
        connection.finish()
    except asyncio.CancelledError:
        raise
    except OSError:
        session.stdin.abandon()


def _complaint(sandbox: SandboxRecord, port: int, what: str) -> str:
    path = f'"/var/run/netns/{sandbox.namespace}"' if sandbox.namespace else '"host"'
    begin = f"error forwarding port {port} to pod {sandbox.id}, uid : "
    return f"{begin}failed to execute portforward in network namespace {path}: {what}"


def _reason(error: OSError) -> str:
    number = error.errno or 0
    return _REASONS.get(number, os.strerror(number).lower())


def _refusal(sandbox: SandboxRecord, port: int, error: OSError) -> str:
    what = (
        f'failed to connect to localhost:{port} inside namespace "{sandbox.id}", '
        f"IPv4: dial tcp4 {_LOOPBACK}:{port}: connect: {_reason(error)} "
        "IPv6 dial tcp6: address localhost: no suitable address found "
    )
    return _complaint(sandbox, port, what)


def _broken(sandbox: SandboxRecord, port: int, error: OSError) -> str:
    return _complaint(sandbox, port, f"read tcp4 {_LOOPBACK}:{port}: read: {_reason(error)}")
