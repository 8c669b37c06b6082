"""TCP sockets: what connects and what listens."""

from podwire.services.node.kernel.sockets.tcp_connection import TcpSocket
from podwire.services.node.kernel.sockets.tcp_listener import TcpListener

__all__ = ["TcpListener", "TcpSocket"]
