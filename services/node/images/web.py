"""Small HTTP servers: httpd, http-echo, echo-server, whoami."""

import functools
import json
from typing import Final

from podwire.services.node.files import normal
from podwire.services.node.images.http_server import GO, Handler, HttpServer, Request, Response, Style, reason
from podwire.services.node.images.nginx import content_type
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import UsageError, parse_options
from podwire.services.node.programs.calendar import format_date
from podwire.services.node.programs.system import own_addresses
from podwire.services.node.runtime.programs import handles_termination


async def serve(process: Process, handler: Handler, port: int, name: str, style: Style = GO) -> int:
    """Serves one handler until the end; 1 with the server's complaint if the port cannot be had."""
    try:
        await HttpServer(process, handler, style).run(port)
    except OSError as error:
        await process.complain(f"{name}: listen tcp :{port}: bind: {(error.strerror or '').lower()}")
    return 1


# -- httpd (Apache 2.4)

HTTPD_ROOT: Final = "/usr/local/apache2/htdocs"
HTTPD_INDEX: Final = b"<html><body><h1>It works!</h1></body></html>\n"
_APACHE: Final = "Apache/2.4.62 (Unix)"


def _apache_headers(response: Response, date: str) -> list[tuple[str, str]]:
    length = ("Content-Length", str(len(response.body)))
    return [("Date", date), ("Server", _APACHE), *response.headers, length, ("Content-Type", response.content_type)]


def _apache_error(status: int) -> Response:
    explanation = {404: "The requested URL was not found on this server."}.get(status, reason(status) + ".")
    page = (
        '<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">\n<html><head>\n'
        f"<title>{status} {reason(status)}</title>\n</head><body>\n<h1>{reason(status)}</h1>\n<p>{explanation}</p>\n"
        "</body></html>\n"
    )
    return Response(status, page.encode(), "text/html; charset=iso-8859-1")


async def _apache_answer(process: Process, request: Request) -> Response:
    path = normal(request.path)
    place = HTTPD_ROOT + path + ("/index.html" if process.files.is_folder(HTTPD_ROOT + path) else "")
    data = process.files.read(place)
    if request.method not in ("GET", "HEAD"):
        return _apache_error(405)
    if data is None:
        return _apache_error(404)
    return Response(200, data, content_type(place), (("Accept-Ranges", "bytes"),))


async def _apache_log(process: Process, request: Request, response: Response) -> None:
    when = format_date("%d/%b/%Y:%H:%M:%S +0000", process.clock.now_ns())
    line = f'"{request.method} {request.target} HTTP/{request.version}" {response.status} {len(response.body)}'
    await process.print(f"{request.source[0]} - - [{when}] {line}\n")


@handles_termination
async def httpd(process: Process) -> int:
    """httpd-foreground: the files below /usr/local/apache2/htdocs on port 80."""
    when = format_date("%a %b %d %H:%M:%S.%N %Y", process.clock.now_ns())
    await process.complain(f"[{when}] [mpm_event:notice] [pid 1:tid 1] AH00489: {_APACHE} configured")
    answer, log = functools.partial(_apache_answer, process), functools.partial(_apache_log, process)
    try:
        await HttpServer(process, answer, Style(_apache_headers, _apache_error), log).run(80)
    except OSError as error:
        await process.complain(f"({error.errno}){error.strerror}: AH00072: make_sock: could not bind to address :80")
    return 1


# -- hashicorp/http-echo


@handles_termination
async def http_echo(process: Process) -> int:
    """http-echo -text=TEXT [-listen=:PORT] [-status-code=CODE]"""
    values = {"text": process.environment.get("ECHO_TEXT", ""), "listen": ":5678", "status-code": "200"}
    words = process.arguments[1:]
    while words:
        name, equals, value = words.pop(0).lstrip("-").partition("=")
        if name not in values or not (equals or words):
            await process.complain(f"flag provided but not defined: -{name}")
            return 2
        values[name] = value if equals else words.pop(0)
    if not values["text"]:
        await process.complain("Missing -text option!")
        return 127
    port = values["listen"].rpartition(":")[2]
    if not _is_number(port, 65535) or not _is_number(values["status-code"], 599):
        await process.complain(f"invalid value {values['listen']!r} or {values['status-code']!r}")
        return 2
    headers = (("X-App-Name", "http-echo"), ("X-App-Version", "1.0.0"))

    async def answer(request: Request) -> Response:
        if request.path == "/health":
            return Response(body=b'{"status":"ok"}\n', content_type="application/json; charset=utf-8")
        return Response(int(values["status-code"]), f"{values['text']}\n".encode(), headers=headers)

    await process.print(f"[INFO] server is listening on {values['listen']}\n")
    return await serve(process, answer, int(port), "http-echo")


def _is_number(text: str, largest: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) <= largest


# -- echo servers (ealen/echo-server, and others of the name)


@handles_termination
async def echo_server(process: Process) -> int:
    """Answers with what it was asked, as JSON, on $PORT (80); /health answers {"status":"ok"}."""
    port = process.environment.get("PORT", "80")
    if not _is_number(port, 65535):
        await process.complain(f"echo-server: PORT={port} is no port")
        return 1

    async def answer(request: Request) -> Response:
        if request.path in ("/health", "/healthz"):
            return Response(body=b'{"status":"ok"}\n', content_type="application/json")
        return Response(body=_echo_document(process, request), content_type="application/json; charset=utf-8")

    await process.print(f"Listening on port {port}.\n")
    return await serve(process, answer, int(port), "echo-server")


def _echo_document(process: Process, request: Request) -> bytes:
    document = {
        "host": {"hostname": request.header("Host").partition(":")[0], "ip": request.source[0], "ips": []},
        "http": {"method": request.method, "baseUrl": "", "originalUrl": request.target, "protocol": "http"},
        "request": {
            "params": {"0": request.path},
            "query": request.query,
            "cookies": {},
            "body": request.body.decode(errors="replace"),
            "headers": {name.lower(): value for name, value in request.headers},
        },
        "environment": {"HOSTNAME": process.hostname, "PORT": str(request.local[1])},
    }
    return json.dumps(document, separators=(",", ":")).encode()


# -- traefik/whoami


@handles_termination
async def whoami(process: Process) -> int:
    """whoami [-port PORT] [-name NAME]"""
    words = [word.replace("--", "-", 1) if word.startswith("--") else word for word in process.arguments[1:]]
    try:
        options = parse_options(
            [f"-{word}" if word.startswith("-") else word for word in words],
            "",
            {"port": "port:", "name": "name:", "verbose": "v"},
        )
        port = options.value("port", process.environment.get("WHOAMI_PORT_NUMBER", "80"))
        if not _is_number(port, 65535):
            raise UsageError(f"invalid port {port}")
    except UsageError as error:
        await process.complain(f"whoami: {error}")
        return 2
    name = options.value("name", process.environment.get("WHOAMI_NAME", ""))
    await process.complain(f"{format_date('%Y/%m/%d %H:%M:%S', process.clock.now_ns())} Starting up on port {port}")

    async def answer(request: Request) -> Response:
        if request.path == "/health":
            return Response(200, b"")
        if request.path == "/api":
            return Response(body=_whoami_json(process, request, name), content_type="application/json")
        return Response(body=_whoami_text(process, request, name))

    return await serve(process, answer, int(port), "whoami")


def _sorted_headers(request: Request) -> list[tuple[str, str]]:
    return sorted((key.title(), value) for key, value in request.headers if key.lower() != "host")


def _whoami_text(process: Process, request: Request, name: str) -> bytes:
    lines = [f"Name: {name}"] if name else []
    lines += [f"Hostname: {process.hostname}", "IP: 127.0.0.1"]
    lines += [f"IP: {address}" for address in own_addresses(process)]
    lines += [f"RemoteAddr: {request.source[0]}:{request.source[1]}"]
    lines += [f"{request.method} {request.target} HTTP/{request.version}", f"Host: {request.header('Host')}"]
    lines += [f"{key}: {value}" for key, value in _sorted_headers(request)]
    return "\n".join([*lines, "", ""]).encode()


def _whoami_json(process: Process, request: Request, name: str) -> bytes:
    document: dict[str, object] = {
        "hostname": process.hostname,
        "ip": ["127.0.0.1", *own_addresses(process)],
        "headers": {key: [value] for key, value in _sorted_headers(request)},
        "url": request.target,
        "host": request.header("Host"),
        "method": request.method,
        "remoteAddr": f"{request.source[0]}:{request.source[1]}",
    }
    return json.dumps(document | ({"name": name} if name else {}), separators=(",", ":")).encode() + b"\n"
