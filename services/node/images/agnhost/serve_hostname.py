"""agnhost serve-hostname (serve_hostname.go)."""

import functools
from collections.abc import Coroutine
from typing import Any, Final

from podwire.services.node.images.agnhost.go import error_text, join, log
from podwire.services.node.images.agnhost.options import number, read_options
from podwire.services.node.images.http_server import HttpServer, Request, Response
from podwire.services.node.images.serving import run_all, run_for_ever
from podwire.services.node.images.tcp_server import serve_tcp
from podwire.services.node.network.sockets import TcpStream
from podwire.services.node.process import Process

_FLAGS: Final = {"http": "?true", "tcp": "?false", "udp": "?false", "close": "?false", "port": "9376"}


async def serve_hostname(process: Process) -> int:
    """serve-hostname [--http=false] [--tcp] [--udp] [--close] [--port 9376]"""
    options = read_options(process.arguments[1:], _FLAGS)
    http, tcp, udp, close = (options.value(name) == "true" for name in ("http", "tcp", "udp", "close"))
    port = number(options, "port")
    if http and (tcp or udp):
        await log(process, "Can't server TCP/UDP mode and HTTP mode at the same time")
        return 1
    servers: list[Coroutine[Any, Any, None]] = [run_for_ever()]
    if tcp:
        servers.append(serve_tcp(process.network, port, functools.partial(_write_name, process)))
    if udp:
        servers.append(_serve_udp(process, port))
    if http:
        servers.append(HttpServer(process, functools.partial(_answer, process, close)).run(port))
    await log(process, f"Serving on port {port}.")
    try:
        await run_all(servers)
    except OSError as error:
        await log(process, f"listen tcp :{port}: bind: {error_text(error)}")
    return 1


async def _answer(process: Process, close: bool, request: Request) -> Response:
    await log(process, f"HTTP request from {join(request.source)}")
    return Response(body=process.hostname.encode(), headers=(("Connection", "close"),) if close else ())


async def _write_name(process: Process, stream: TcpStream) -> None:
    await log(process, f"TCP request from {join(stream.socket.remote_endpoint or ('', 0))}")
    await stream.write(process.hostname.encode())


async def _serve_udp(process: Process, port: int) -> None:
    channel = process.network.open_udp(port)
    try:
        while True:
            try:
                source = (await channel.receive()).source
                await log(process, f"UDP request from {join(source)}")
                channel.send(process.hostname.encode(), source)
            except OSError:
                continue
    finally:
        channel.close()
