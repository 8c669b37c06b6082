"""Requests that become connections to a pod: which protocol over which wire."""

import asyncio
from itertools import count
from typing import Final

import msgspec
from aiohttp import web

from podwire.proto.messages.kubelet import (
    AttachRequest,
    Data,
    ExecRequest,
    Exit,
    LogRequest,
    PathRequest,
    PortForwardRequest,
    StreamError,
)
from podwire.services.apiserver.connections import negotiation, port_forward, proxy, spdy_command, websocket_command
from podwire.services.apiserver.connections.channels import LARGEST_MESSAGE, RawChannel, TunnelChannel
from podwire.services.apiserver.connections.spdy import SpdyLink
from podwire.services.apiserver.connections.websocket_forward import VERSIONS as FORWARD_VERSIONS
from podwire.services.apiserver.connections.websocket_forward import WebSocketForward
from podwire.services.apiserver.core.decisions import OpenStream
from podwire.services.apiserver.core.errors import bad_request
from podwire.services.apiserver.core.remote_command import SPDY_VERSIONS, WEBSOCKET_VERSIONS
from podwire.services.apiserver.sessions import Refused, Session, ask_path
from podwire.services.chassis.context import Context

_LOOK_EVERY: Final = 1.0


class Connections:
    """Serves them on the connections of an HTTP server."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def serve(self, request: web.Request, opened: OpenStream) -> web.StreamResponse:
        """Until the client or the pod ends. Raises ApiError before anything is answered, ConnectionError after."""
        try:
            if isinstance(opened.request, LogRequest):
                return await self._log(request, opened, opened.request)
            if isinstance(opened.request, PathRequest):
                told = await ask_path(self._context.bus, opened.node, opened.request)
                return web.Response(status=told.code, body=told.body, headers={"Content-Type": told.content_type})
            if opened.prefix:
                session = Session(self._context.bus, opened.node, opened.request)
                return await proxy.serve(request, session, opened.prefix, secure=opened.secure)
            if isinstance(opened.request, PortForwardRequest):
                return await self._forward(request, opened, opened.request)
            return await self._command(request, opened.node, opened.request)
        except Refused as error:
            if isinstance(opened.request, LogRequest):
                raise
            # A kubelet refuses an upgrade in plain text, which clients show after "unable to upgrade connection: ".
            return web.Response(status=error.code, text=error.message)

    async def _command(self, request: web.Request, node: str, asked: ExecRequest | AttachRequest) -> web.StreamResponse:
        over_spdy = negotiation.upgrade_of(request) == negotiation.SPDY
        version = (
            negotiation.spdy_version(request, SPDY_VERSIONS)
            if over_spdy
            else negotiation.websocket_version(request, WEBSOCKET_VERSIONS)
        )
        session = Session(self._context.bus, node, asked)
        try:
            await session.open()
            if not over_spdy:
                return await websocket_command.serve(request, session, asked, version)
            await spdy_command.serve(request, session, asked, version)
        finally:
            session.close()
        raise ConnectionResetError("the connection was taken over and has ended")

    async def _forward(self, request: web.Request, opened: OpenStream, asked: PortForwardRequest) -> web.StreamResponse:
        numbers = count()

        def connect(port: int) -> Session:
            one = msgspec.structs.replace(asked, session=f"{asked.session}-{next(numbers)}", port=port)
            return Session(self._context.bus, opened.node, one)

        if negotiation.upgrade_of(request) == negotiation.SPDY:
            version = negotiation.spdy_version(request, (port_forward.PROTOCOL,))
            link = SpdyLink(RawChannel(request, negotiation.spdy_upgrade(version)))
            await port_forward.SpdyForward(link, connect).serve()
            raise ConnectionResetError("the connection was taken over and has ended")
        served = (port_forward.TUNNEL, *FORWARD_VERSIONS)
        version = negotiation.websocket_version(request, served)
        if version != port_forward.TUNNEL and not opened.ports:
            raise bad_request('query parameter "ports" is required')
        socket = web.WebSocketResponse(protocols=served, max_msg_size=LARGEST_MESSAGE, compress=False)
        await socket.prepare(request)
        if version == port_forward.TUNNEL:
            await port_forward.SpdyForward(SpdyLink(TunnelChannel(socket)), connect).serve()
        else:
            await WebSocketForward(socket, version, opened.ports).serve(connect)
        return socket

    async def _log(self, request: web.Request, opened: OpenStream, asked: LogRequest) -> web.StreamResponse:
        session = Session(self._context.bus, opened.node, asked)
        loop = asyncio.get_running_loop()
        alive, watch = loop.create_task(session.keep_alive()), loop.create_task(_watch_client(request, session))
        try:
            await session.open()
            response = web.StreamResponse(headers={"Content-Type": "text/plain"})
            response.enable_chunked_encoding()
            await response.prepare(request)
            while not isinstance(frame := await session.receive(), Exit | StreamError):
                if isinstance(frame, Data):
                    await response.write(frame.data)
            if isinstance(frame, StreamError):
                self._context.log.info("a log stream broke", reason=frame.message)
        finally:
            alive.cancel()
            watch.cancel()
            session.close()
        return response


async def _watch_client(request: web.Request, session: Session) -> None:
    """Ends a session whose client has gone while there was nothing to write."""
    while request.transport is not None:
        await asyncio.sleep(_LOOK_EVERY)
    session.abandon("the client is gone")
