"""Who may log in, and what a connection may ask for: sessions, and nothing else (RFC 4252, RFC 4254).

The user's name is the machine's: one server is all machines' door.
"""

import asyncio
import socket
from typing import Final

import asyncssh

from podwire.services.chassis.context import Context
from podwire.services.ssh.session import MachineSession
from podwire.services.ssh.settings import SshSettings

_LOGIN_TIMEOUT: Final = 30
_ALIVE_EVERY: Final = 15
_SESSIONS_LIMIT: Final = 64
"""Of one connection at a time; sshd's MaxSessions is 10."""


class Connection(asyncssh.SSHServer):
    """One client. Only keys are asked for; forwarding is refused by SSHServer's defaults."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._node = ""
        self._sessions: list[MachineSession] = []

    def begin_auth(self, username: str) -> bool:
        """Everybody must prove who they are."""
        self._node = username
        return True

    def session_requested(self) -> "MachineSession | bool":
        """A session on the machine that the user's name says."""
        self._sessions = [session for session in self._sessions if not session.is_over]
        if len(self._sessions) >= _SESSIONS_LIMIT:
            return False
        session = MachineSession(self._context, self._node)
        self._sessions.append(session)
        return session


async def serve(context: Context, settings: SshSettings, listening: socket.socket) -> None:
    """Accepts connections until it is cancelled."""
    await asyncssh.listen(
        sock=listening,
        server_factory=lambda: Connection(context),
        server_host_keys=[settings.host_key_file],
        authorized_client_keys=settings.authorized_keys_file,
        gss_host=None,
        password_auth=False,
        kbdint_auth=False,
        host_based_auth=False,
        agent_forwarding=False,
        x11_forwarding=False,
        allow_scp=False,
        line_editor=False,
        encoding=None,
        compression_algs=None,
        login_timeout=_LOGIN_TIMEOUT,
        keepalive_interval=_ALIVE_EVERY,
        server_version="podwire",
    )
    context.log.info("listening", port=settings.port)
    await asyncio.get_running_loop().create_future()
