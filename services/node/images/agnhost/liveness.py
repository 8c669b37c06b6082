"""agnhost liveness (liveness/server.go): healthy for ten seconds."""

import functools
from typing import Final

from podwire.services.chassis.clock import SECOND
from podwire.services.node.images.agnhost.go import error_text, log
from podwire.services.node.images.agnhost.netexec import redirect
from podwire.services.node.images.agnhost.options import read_options
from podwire.services.node.images.http_server import HttpServer, Request, Response
from podwire.services.node.process import Process

_PORT: Final = 8080
_HEALTHY: Final = 10
"""Seconds."""


async def liveness(process: Process) -> int:
    """/healthz is `ok` for ten seconds, then 500; /started and /redirect?loc=URL."""
    read_options(process.arguments[1:], {})
    try:
        await HttpServer(process, functools.partial(_answer, process, process.clock.monotonic_ns())).run(_PORT)
    except OSError as error:
        await log(process, f"listen tcp :{_PORT}: bind: {error_text(error)}")
    return 1


async def _answer(process: Process, started: int, request: Request) -> Response:
    elapsed = process.clock.monotonic_ns() - started
    match request.path:
        case "/started":
            return Response(body=f"{elapsed / SECOND:.9f}s".encode())
        case "/healthz" if elapsed > _HEALTHY * SECOND:
            return Response(500, f"error: {elapsed / SECOND}".encode())
        case "/healthz":
            return Response(body=b"ok")
        case "/redirect":
            return redirect(request.query.get("loc", ""), 302)
    return Response(404, b"404 page not found\n", headers=(("X-Content-Type-Options", "nosniff"),))
