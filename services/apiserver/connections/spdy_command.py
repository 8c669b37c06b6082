"""exec and attach over SPDY/3.1: a stream for each of error, stdin, stdout, stderr and resize.

Source: kubelet `pkg/cri/streaming/remotecommand/httpstream.go`, client-go `tools/remotecommand/{v1,v2,v3,v4}.go`.
"""

import asyncio
from typing import Final

from aiohttp import web

from podwire.proto.messages.kubelet import STDERR, STDOUT, AttachRequest, ExecRequest
from podwire.services.apiserver.connections.channels import RawChannel
from podwire.services.apiserver.connections.negotiation import spdy_upgrade
from podwire.services.apiserver.connections.remote_command import join
from podwire.services.apiserver.connections.spdy import SpdyLink
from podwire.services.apiserver.connections.terminal_size import SizeReader
from podwire.services.apiserver.core.remote_command import expected_streams, status_bytes
from podwire.services.apiserver.core.spdy.connection import DataReceived, Event, StreamEnded, StreamOpened, StreamReset
from podwire.services.apiserver.core.spdy.frames import PROTOCOL_ERROR
from podwire.services.apiserver.sessions import Session

_NAMES: Final = {STDOUT: "stdout", STDERR: "stderr"}


async def serve(request: web.Request, session: Session, asked: ExecRequest | AttachRequest, version: str) -> None:
    """Takes the connection over until either side ends."""
    link = SpdyLink(RawChannel(request, spdy_upgrade(version)))
    await join(SpdyCommand(link, asked, version), session)


class SpdyCommand:
    """One client's streams."""

    def __init__(self, link: SpdyLink, asked: ExecRequest | AttachRequest, version: str) -> None:
        self._link, self._version = link, version
        self._expected = expected_streams(
            version, stdin=asked.stdin, stdout=asked.stdout, stderr=asked.stderr, tty=asked.tty
        )
        self._streams: dict[str, int] = {}
        self._sizes = SizeReader()
        self._ready = asyncio.Event()

    async def ready(self) -> None:
        await self._ready.wait()

    async def pump(self, session: Session) -> None:
        async def handle(event: Event) -> None:
            await self._on_event(event, session)

        try:
            await self._link.run(handle)
        finally:
            self._ready.set()

    async def _on_event(self, event: Event, session: Session) -> None:
        match event:
            case StreamOpened():
                await self._on_open(event)
            case DataReceived(stream, data):
                if stream == self._streams.get("stdin"):
                    await session.send_input(data)
                elif stream == self._streams.get("resize"):
                    for width, height in self._sizes.feed(data):
                        session.resize(width, height)
            case StreamEnded(stream) | StreamReset(stream):
                if stream == self._streams.get("stdin"):
                    session.close_input()

    async def _on_open(self, event: StreamOpened) -> None:
        name = event.headers.get("streamtype", "")
        if name not in self._expected or name in self._streams:
            await self._link.reset(event.stream, PROTOCOL_ERROR)
            return
        self._streams[name] = event.stream
        await self._link.accept(event.stream)
        if len(self._streams) == len(self._expected):
            self._ready.set()

    async def send(self, channel: int, data: bytes) -> None:
        if (stream := self._streams.get(_NAMES.get(channel, ""))) is not None:
            await self._link.send(stream, data)

    async def finish(self, code: int, message: str) -> None:
        if (stream := self._streams.get("error")) is not None:
            await self._link.send(stream, status_bytes(self._version, code, message))
        for stream in self._streams.values():
            await self._link.finish(stream)
        await self._link.go_away()

    async def ping(self) -> None:
        await self._link.ping()

    async def close(self) -> None:
        await self._link.close()
