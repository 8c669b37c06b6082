"""HTTPS on loopback: a thin front over the handler that the bus calls too.

The requester is the client certificate's subject: CN is the user, each O a group; or a bearer token's service account.
"""

import asyncio
import hashlib
import ssl
from typing import Any, Final

from aiohttp import web

from podwire.proto.messages.api import ApiRequest, ApiResponse
from podwire.services.apiserver.connections.front import Connections
from podwire.services.apiserver.core import impersonation
from podwire.services.apiserver.core.authorization import Requester
from podwire.services.apiserver.core.decisions import OpenWatch
from podwire.services.apiserver.core.errors import ApiError, internal, too_large
from podwire.services.apiserver.core.handler import BODY_LIMIT
from podwire.services.apiserver.http_answer import respond
from podwire.services.apiserver.http_watch import HttpWatch
from podwire.services.apiserver.replica import Replica
from podwire.services.apiserver.settings import ApiServerSettings
from podwire.services.apiserver.writer import Writer, refusal
from podwire.services.chassis.context import Context

_SHUTDOWN: Final = 0.5
_MOST_KNOWN: Final = 1024
_CREDENTIAL: Final = "authentication.kubernetes.io/credential-id"


def tls_context(settings: ApiServerSettings) -> ssl.SSLContext:
    """TLS with optional client certificates of our CA."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=settings.api_ca_file)
    context.load_cert_chain(settings.api_cert_file, settings.api_key_file)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    return context


def requester(certificate: dict[str, Any] | None, encoded: bytes = b"") -> Requester | None:
    """The user behind a verified client certificate, which is named by its digest (apiserver
    `authentication/request/x509/x509.go`)."""
    if not certificate:
        return None
    pairs = [pair for part in certificate.get("subject", ()) for pair in part]
    names = [value for name, value in pairs if name == "commonName"]
    groups = [value for name, value in pairs if name == "organizationName"]
    if not names:
        return None
    identity = f"X509SHA256={hashlib.sha256(encoded).hexdigest()}"
    return Requester(names[0], (*groups, "system:authenticated"), extra=((_CREDENTIAL, (identity,)),))


class HttpFront:
    """The HTTPS server."""

    def __init__(self, context: Context, settings: ApiServerSettings, replica: Replica, writer: Writer) -> None:
        self._context, self._settings, self._replica, self._writer = context, settings, replica, writer
        self.listening = asyncio.Event()
        self._connections = Connections(context)
        self._users: dict[bytes, Requester | None] = {}

    async def run(self) -> None:
        """Serves until cancelled. Raises OSError when the port is taken."""
        application = web.Application(client_max_size=BODY_LIMIT)
        application.router.add_route("*", "/{path:.*}", self._serve)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=_SHUTDOWN, handle_signals=False)
        await runner.setup()
        settings = self._settings
        site = web.TCPSite(runner, settings.api_host, settings.api_port, ssl_context=tls_context(settings))
        try:
            await site.start()
            self.listening.set()
            await asyncio.get_running_loop().create_future()
        finally:
            await runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._answer(request)
        except ApiError as error:
            return respond(refusal(error), request)
        except web.HTTPException:
            raise
        except ConnectionError:
            raise
        except Exception:
            self._context.log.exception("a request failed", method=request.method, path=request.path)
            return respond(refusal(internal("the request could not be handled; the server's log says why")), request)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        message = await _read(request)
        who = self._certified(request) or self._bearer(request)
        outcome = await self._writer.handle(message, who, impersonation.read(request.headers.items()))
        if isinstance(outcome, ApiResponse):
            return respond(outcome, request)
        if isinstance(outcome, OpenWatch):
            return await HttpWatch(outcome, self._replica, self._context.clock).serve(request)
        return await self._connections.serve(request, outcome)

    def _certified(self, request: web.Request) -> Requester | None:
        """The user behind the connection's client certificate, which is read once."""
        tls = request.transport.get_extra_info("ssl_object") if request.transport is not None else None
        if tls is None or not (encoded := tls.getpeercert(binary_form=True)):
            return None
        if encoded not in self._users:
            if len(self._users) >= _MOST_KNOWN:
                self._users.clear()
            self._users[encoded] = requester(tls.getpeercert(), encoded)
        return self._users[encoded]

    def _bearer(self, request: web.Request) -> Requester | None:
        """The service account behind a bearer token, None without one. Raises ApiError 401."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return self._writer.authenticate(token.strip()) if scheme.lower() == "bearer" else None


async def _read(request: web.Request) -> ApiRequest:
    try:
        body = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise too_large() from None
    return ApiRequest(
        method=request.method,
        path=request.raw_path.partition("?")[0],
        query=[(name, value) for name, value in request.query.items()],
        content_type=request.headers.get("Content-Type", ""),
        accept=request.headers.get("Accept", "*/*"),
        body=body,
        agent=request.headers.get("User-Agent", ""),
    )
