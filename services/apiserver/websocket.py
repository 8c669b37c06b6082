"""`exec` and `attach` over WebSocket: Kubernetes' remote command protocol v4 and v5.

Each message begins with its channel: 0 stdin, 1 stdout, 2 stderr, 3 the final Status, 4 terminal size, 255 (v5) the
closing of a channel. Source: apimachinery `pkg/util/remotecommand/constants.go`, client-go
`tools/remotecommand/websocket.go`, KEP-4006.
"""

import asyncio
from typing import Final

import msgspec
from aiohttp import WSMsgType, web

from podwire.proto.messages.kubelet import AttachRequest, Data, ExecRequest, Exit, StreamError
from podwire.services.apiserver.core.json_types import Json, to_json
from podwire.services.apiserver.sessions import Session

PROTOCOLS: Final = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_STATUS: Final = b"\3"
_RESIZE: Final = 4
_CLOSE: Final = 255
_LARGEST: Final = 8 * 1024 * 1024


class _Size(msgspec.Struct):
    """A terminal's size as clients send it."""

    Width: int = 0
    Height: int = 0


def exit_status(code: int, message: str) -> Json:
    """The Status on channel 3."""
    status: Json = {"metadata": {}}
    if code == 0 and not message:
        return status | {"status": "Success"}
    if code < 0 or (message and code == 0):
        return status | {"status": "Failure", "message": message, "reason": "InternalError", "code": 500}
    text = message or f"command terminated with non-zero exit code: exit status {code}"
    return status | {
        "status": "Failure",
        "message": text,
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


async def serve(request: web.Request, session: Session, asked: ExecRequest | AttachRequest) -> web.WebSocketResponse:
    """Joins a client's WebSocket to an open session until either ends."""
    socket = web.WebSocketResponse(protocols=PROTOCOLS, max_msg_size=_LARGEST, compress=False)
    await socket.prepare(request)
    first = 1 if asked.stdout else 2 if asked.stderr else 3
    await socket.send_bytes(bytes([first]))
    loop = asyncio.get_running_loop()
    upstream = loop.create_task(_read_client(socket, session))
    alive = loop.create_task(session.keep_alive())
    try:
        await _write_client(socket, session)
    except (ConnectionError, RuntimeError):
        pass
    finally:
        upstream.cancel()
        alive.cancel()
        await socket.close()
    return socket


async def _write_client(socket: web.WebSocketResponse, session: Session) -> None:
    while True:
        frame = await session.receive()
        if isinstance(frame, Data):
            await socket.send_bytes(bytes([frame.channel]) + frame.data)
        elif isinstance(frame, Exit):
            await socket.send_bytes(_STATUS + to_json(exit_status(frame.code, frame.message)))
            return
        elif isinstance(frame, StreamError):
            await socket.send_bytes(_STATUS + to_json(exit_status(-1, frame.message)))
            return


async def _read_client(socket: web.WebSocketResponse, session: Session) -> None:
    async for message in socket:
        if message.type == WSMsgType.BINARY and message.data:
            _forward(bytes(message.data), session)
    session.close_input()


def _forward(message: bytes, session: Session) -> None:
    channel, data = message[0], message[1:]
    if channel == 0:
        session.send_input(data)
    elif channel == _CLOSE and data[:1] == b"\0":
        session.close_input()
    elif channel == _RESIZE:
        try:
            size = msgspec.json.decode(data, type=_Size)
        except msgspec.MsgspecError:
            return
        session.resize(size.Width, size.Height)
