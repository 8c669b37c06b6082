"""exec and attach over WebSocket: messages that begin with their channel.

0 is stdin, 1 stdout, 2 stderr, 3 the final Status, 4 terminal size, 255 (v5) the closing of a channel.

Source: apimachinery `pkg/util/remotecommand/constants.go`, `pkg/util/httpstream/wsstream`, client-go
`tools/remotecommand/websocket.go`, kubelet `pkg/cri/streaming/remotecommand/websocket.go`, KEP-4006.
"""

import asyncio
import base64
import binascii
from typing import Final

from aiohttp import web

from podwire.proto.messages.kubelet import AttachRequest, ExecRequest
from podwire.services.apiserver.connections.channels import LARGEST_MESSAGE
from podwire.services.apiserver.connections.remote_command import join
from podwire.services.apiserver.connections.terminal_size import read_size
from podwire.services.apiserver.core.remote_command import V5, WEBSOCKET_VERSIONS, is_base64, status_bytes
from podwire.services.apiserver.sessions import Session

_STDIN: Final = 0
_STATUS: Final = 3
_RESIZE: Final = 4
_CLOSE: Final = 255
_MOMENT: Final = 0.05
"""Seconds."""


async def serve(
    request: web.Request, session: Session, asked: ExecRequest | AttachRequest, version: str
) -> web.WebSocketResponse:
    """Joins a client's WebSocket to an open session until either ends."""
    socket = web.WebSocketResponse(protocols=WEBSOCKET_VERSIONS, max_msg_size=LARGEST_MESSAGE, compress=False)
    await socket.prepare(request)
    await join(WebSocketCommand(socket, version, 1 if asked.stdout else 2 if asked.stderr else _STATUS), session)
    return socket


class WebSocketCommand:
    """One client's messages; `lowest` is its lowest output channel."""

    def __init__(self, socket: web.WebSocketResponse, version: str, lowest: int = 1) -> None:
        self._socket, self._version, self._lowest = socket, version, lowest

    async def ready(self) -> None:
        """An empty message on the lowest output channel says that the connection stands.

        client-go reads before it knows its streams and drops what comes too early ("Unknown stream id"), the exit code
        too; a real kubelet takes longer to start a program.
        """
        await asyncio.sleep(_MOMENT)
        await self.send(self._lowest, b"")

    async def pump(self, session: Session) -> None:
        async for message in self._socket:
            channel, data = self.read(message.data)
            if channel == _STDIN:
                await session.send_input(data)
            elif channel == _CLOSE and data[:1] == b"\0" and self._version == V5:
                session.close_input()
            elif channel == _RESIZE and (size := read_size(data)) is not None:
                session.resize(*size)

    def read(self, message: str | bytes) -> tuple[int, bytes]:
        """The channel (-1 for what is no message of the protocol) and the bytes. Whether a message is text or binary
        says nothing: the Python client sends standard input as text."""
        data = message.encode() if isinstance(message, str) else bytes(message)
        if not data:
            return -1, b""
        if not is_base64(self._version):
            return data[0], data[1:]
        try:
            return data[0] - ord("0"), base64.b64decode(data[1:], validate=True)
        except binascii.Error:
            return -1, b""

    async def send(self, channel: int, data: bytes) -> None:
        if is_base64(self._version):
            await self._socket.send_str(f"{channel}{base64.b64encode(data).decode()}")
        else:
            await self._socket.send_bytes(bytes([channel]) + data)

    async def finish(self, code: int, message: str) -> None:
        if status := status_bytes(self._version, code, message):
            await self.send(_STATUS, status)

    async def ping(self) -> None:
        await self._socket.ping()

    async def close(self) -> None:
        await self._socket.close()
