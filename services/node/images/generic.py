"""The server that stands for an image nobody knows: it answers on every declared port, whatever its command is."""

import functools
from collections.abc import Coroutine
from typing import Any, overload

from podwire.services.node.images.http_server import HttpServer, Request, Response
from podwire.services.node.images.image import Image
from podwire.services.node.images.serving import echo_udp, run_all, run_for_ever
from podwire.services.node.process import Process, Program
from podwire.services.node.runtime.exit_codes import NOT_FOUND
from podwire.services.node.runtime.programs import handles_termination

Ports = list[tuple[str, int]]


class AnyCommand(dict[str, Program]):
    """Programs of which every one exists: an unknown command is the stand-in."""

    def __init__(self, programs: dict[str, Program], stand_in: Program) -> None:
        super().__init__(programs)
        self._stand_in = stand_in

    @overload
    def get(self, key: str, default: None = None, /) -> Program: ...
    @overload
    def get[D](self, key: str, default: D, /) -> Program | D: ...
    def get(self, key: str, default: object = None, /) -> object:
        return super().get(key, self._stand_in)


def generic_image(name: str, ports: Ports, tools: dict[str, Program]) -> Image:
    """The image of a name that no table has."""

    @handles_termination
    async def stand_in(process: Process) -> int:
        return await _serve(process, name, ports)

    return Image(
        name=name,
        entrypoint=("/app/server",),
        programs=AnyCommand(tools, stand_in),
        environment={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
        known=False,
    )


async def _serve(process: Process, image: str, ports: Ports) -> int:
    if not process.is_main:
        await process.complain(f'exec: "{process.arguments[0]}": executable file not found in $PATH')
        return NOT_FOUND
    servers: list[Coroutine[Any, Any, None]] = []
    handler = functools.partial(answer, process, image)
    for protocol, port in ports:
        if protocol == "TCP":
            servers.append(HttpServer(process, handler).run(port))
        elif protocol == "UDP":
            servers.append(echo_udp(process, port))
        else:
            await process.complain(f"{image}: no {protocol} here: port {port} is not served")
    await process.print(f"podwire: generic server for {image} on {process.hostname}, ports {_listed(ports)}\n")
    await run_all(servers or [run_for_ever()])
    return 0


def _listed(ports: Ports) -> str:
    return ", ".join(f"{port}/{protocol}" for protocol, port in ports) or "none"


async def answer(process: Process, image: str, request: Request) -> Response:
    """Health on the usual paths, a greeting on all others."""
    if request.path in ("/health", "/healthz", "/livez", "/readyz", "/ready"):
        return Response(body=b'{"status":"ok"}\n', content_type="application/json")
    return Response(body=f"Hello from {image} on {process.hostname}\n".encode())
