"""The shell of the SSH server: a listening socket, and behind it asyncssh from the first connection on. Live only."""

import asyncio
import socket

from podwire.services.chassis.context import Context
from podwire.services.chassis.health import serve_health
from podwire.services.ssh.settings import SshSettings

_BACKLOG = 128


class Ssh:
    """One cluster's SSH server."""

    def __init__(self, context: Context, settings: SshSettings) -> None:
        self._context, self._settings = context, settings

    async def run(self) -> None:
        """Serves until it is cancelled. Raises OSError for a port that is taken."""
        port = self._settings.port
        serve_health(self._context, lambda: {"port": str(port)})
        with socket.create_server((self._settings.host, port), backlog=_BACKLOG) as listening:
            listening.setblocking(False)
            await _first_connection(listening)
            from podwire.services.ssh.server import serve  # 0.6 s of processor time, spared while nobody logs in

            await serve(self._context, self._settings, listening)


async def _first_connection(listening: socket.socket) -> None:
    """Waits until somebody is there, who stays in the backlog."""
    loop, somebody = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(listening, somebody.set)
    try:
        await somebody.wait()
    finally:
        loop.remove_reader(listening)
