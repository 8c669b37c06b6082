"""Real ports of this machine's loopback."""

import socket

from podwire.scripts.errors import UserError


def free_port(port: int = 0) -> int:
    """A port that nobody listens on: the one asked for, or (0) any. Raises UserError."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise UserError(f"--api-port {port}: {error.strerror}; choose another (0: any free one)") from None
        except OverflowError:
            raise UserError(f"--api-port {port}: a port from 0 to 65535 is needed") from None
        return int(probe.getsockname()[1])
