"""agnhost porter (porter.go): serves the values of SERVE_PORT_n and SERVE_{TCP,UDP,SCTP}_PORT_n on those ports."""

import functools
from collections.abc import Coroutine
from typing import Any, Final

from podwire.services.node.images.agnhost.go import error_text, log, to_json
from podwire.services.node.images.agnhost.options import read_options
from podwire.services.node.images.agnhost.tls import CannotServeTls, tls_settings
from podwire.services.node.images.http_server import HttpServer, Request, Response
from podwire.services.node.images.sctp_server import serve_sctp
from podwire.services.node.images.serving import run_all, run_for_ever
from podwire.services.node.network.sctp import SctpChannel
from podwire.services.node.process import Process

_PREFIXES: Final = {
    "SERVE_PORT_": "tcp",
    "SERVE_TCP_PORT_": "tcp",
    "SERVE_UDP_PORT_": "udp",
    "SERVE_SCTP_PORT_": "sctp",
    "SERVE_TLS_PORT_": "tls",
}


class _Failed(Exception):
    """log.Fatal was called."""


async def porter(process: Process) -> int:
    """porter [--json-response]"""
    options = read_options(process.arguments[1:], {"json-response": "?false"})
    as_json = options.value("json-response") == "true"
    servers: list[Coroutine[Any, Any, None]] = [run_for_ever()]
    for name, value in process.environment.items():
        protocol, port = _served(name)
        if not protocol:
            continue
        if not (port.isascii() and port.isdigit()) or len(port) > 5 or not 0 < int(port) < 65536:
            await log(process, f'server on port "{port}" failed: listen tcp: address {port}: invalid port')
        elif protocol == "tcp":
            servers.append(_serve_http(process, int(port), value, as_json=as_json))
        elif protocol == "tls":
            servers.append(_serve_tls(process, int(port), value, as_json=as_json))
        elif protocol == "udp":
            servers.append(_serve_udp(process, int(port), value))
        elif protocol == "sctp":
            servers.append(_serve_sctp(process, int(port), value))
        else:
            await log(process, f"{protocol.upper()} is not built in podwire: port {port} is not served")
    try:
        await run_all(servers)
    except _Failed:
        return 1
    return 0


def _served(name: str) -> tuple[str, str]:
    for prefix, protocol in _PREFIXES.items():
        if name.startswith(prefix):
            return protocol, name.removeprefix(prefix)
    return "", ""


async def _answer(value: str, as_json: bool, request: Request) -> Response:
    if as_json:
        return Response(body=to_json({"Method": request.method, "Body": value}), content_type="application/json")
    return Response(body=value.encode())


async def _serve_http(process: Process, port: int, value: str, *, as_json: bool) -> None:
    try:
        await HttpServer(process, functools.partial(_answer, value, as_json)).run(port)
    except OSError as error:
        await log(process, f'server on port "{port}" failed: listen tcp 0.0.0.0:{port}: bind: {error_text(error)}')


async def _serve_tls(process: Process, port: int, value: str, *, as_json: bool) -> None:
    """CERT_FILE and KEY_FILE name the certificate; without them it is the image's, for localhost."""
    environment = process.environment
    files = environment.get("CERT_FILE") or "localhost.crt", environment.get("KEY_FILE") or "localhost.key"
    try:
        tls = tls_settings(process, *files)
        await HttpServer(process, functools.partial(_answer, value, as_json), tls=tls).run(port)
    except CannotServeTls as error:
        reason = str(error)
    except OSError as error:
        reason = f"listen tcp 0.0.0.0:{port}: bind: {error_text(error)}"
    text = f'tls server on port "{port}" with certFile="{files[0]}", keyFile="{files[1]}" failed: {reason}'
    await log(process, text)


async def _serve_udp(process: Process, port: int, value: str) -> None:
    channel = process.network.open_udp(port)
    await log(process, f"Started UDP server on port {port}")
    try:
        while True:
            try:
                channel.send(value.encode(), (await channel.receive()).source)
            except OSError:
                continue
    finally:
        channel.close()


async def _serve_sctp(process: Process, port: int, value: str) -> None:
    async def attend(channel: SctpChannel) -> None:
        await log(process, "Sending response")
        try:
            await channel.write(value.encode())
        except OSError as error:
            return await log(process, f"Failed to send response {error_text(error)}")
        return await log(process, "Response sent")

    await log(process, "Started SCTP server")
    try:
        await serve_sctp(process.network, port, attend)
    except OSError as error:
        await log(process, f"Failed to listen SCTP. error:{error_text(error)}")
        raise _Failed from None
