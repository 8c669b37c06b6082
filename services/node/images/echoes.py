"""Demonstration servers that tell what they were asked: mendhak/http-https-echo, nginxdemos/hello."""

import functools
import json
from html import escape
from typing import Final

from podwire.services.chassis.chance import hexadecimal
from podwire.services.node.images.certificates import self_signed
from podwire.services.node.images.http_server import HttpServer, Request, Response, Style
from podwire.services.node.images.nginx import STYLE
from podwire.services.node.images.serving import run_all
from podwire.services.node.network.tls import TlsFailure, server_context
from podwire.services.node.process import Process, Program
from podwire.services.node.programs.calendar import format_date
from podwire.services.node.runtime.programs import handles_termination

_LARGEST_PORT: Final = 65535


def _express_headers(response: Response, date: str) -> list[tuple[str, str]]:
    length = ("Content-Length", str(len(response.body)))
    return [("X-Powered-By", "Express"), ("Content-Type", response.content_type), length, ("Date", date)]


def _express_error(status: int) -> Response:
    return Response(status, b"", "text/html; charset=utf-8")


@handles_termination
async def http_https_echo(process: Process) -> int:
    """What it was asked as JSON, by HTTP on $HTTP_PORT (8080), by HTTPS on $HTTPS_PORT (8443) with a certificate of
    its own; of its other variables only those two are read."""
    ports = []
    for name, default in (("HTTP_PORT", "8080"), ("HTTPS_PORT", "8443")):
        text = process.environment.get(name, default)
        if not (text.isascii() and text.isdigit()) or len(text) > 5 or not 0 < int(text) <= _LARGEST_PORT:
            await process.complain(f"RangeError [ERR_SOCKET_BAD_PORT]: {name}={text} is no port")
            return 1
        ports.append(int(text))
    style = Style(_express_headers, _express_error)
    servers = [HttpServer(process, functools.partial(_echo, process, "http"), style).run(ports[0])]
    try:
        tls = server_context(*self_signed("http-https-echo", ["127.0.0.1"], process.clock))
        servers.append(HttpServer(process, functools.partial(_echo, process, "https"), style, tls=tls).run(ports[1]))
        await process.print(f"Listening on ports {ports[0]} for http, and {ports[1]} for https.\n")
    except TlsFailure as failure:
        await process.print(f"Listening on port {ports[0]} for http; not for https: {failure}\n")
    try:
        await run_all(servers)
    except OSError as error:
        await process.complain(f"Error: listen {error.strerror}")
    return 1


async def _echo(process: Process, protocol: str, request: Request) -> Response:
    host = request.header("Host").partition(":")[0]
    document = {
        "path": request.path,
        "headers": {name.lower(): value for name, value in request.headers},
        "method": request.method,
        "body": request.body.decode(errors="replace"),
        "fresh": False,
        "hostname": host,
        "ip": f"::ffff:{request.source[0]}",
        "ips": [],
        "protocol": protocol,
        "query": request.query,
        "subdomains": host.split(".")[:-2][::-1],
        "xhr": request.header("X-Requested-With").lower() == "xmlhttprequest",
        "os": {"hostname": process.hostname},
        "connection": {},
    }
    body = json.dumps(document, indent=2, ensure_ascii=False)
    await process.print(body + "\n")
    return Response(body=body.encode(errors="replace"), content_type="application/json; charset=utf-8")


def nginx_hello(*, plain: bool) -> Program:
    """Who answered what, on port 80: five lines of text, or a page of HTML with the same facts."""

    @handles_termination
    async def serve(process: Process) -> int:
        try:
            await HttpServer(process, functools.partial(_hello, process, plain), STYLE).run(80)
        except OSError as error:
            await process.complain(f"nginx: [emerg] bind() to 0.0.0.0:80 failed ({error.errno}: {error.strerror})")
        return 1

    return serve


async def _hello(process: Process, as_text: bool, request: Request) -> Response:
    facts = {
        "Server address": f"{request.local[0]}:{request.local[1]}",
        "Server name": process.hostname,
        "Date": format_date("%d/%b/%Y:%H:%M:%S +0000", process.clock.now_ns()),
        "URI": request.target,
    }
    if as_text:
        facts["Request ID"] = hexadecimal(process.random, 32)
        lines = "".join(f"{name}: {value}\n" for name, value in facts.items())
        return Response(body=lines.encode(), content_type="text/plain")
    rows = "".join(f"<p><span>{name}:</span> <span>{escape(value)}</span></p>\n" for name, value in facts.items())
    page = f"<!DOCTYPE html>\n<html>\n<head>\n<title>Hello World</title>\n</head>\n<body>\n{rows}</body>\n</html>\n"
    return Response(body=page.encode(), content_type="text/html")
