"""The python image: no Python runs in a container of podwire, but `python -m http.server` serves files as it does."""

import functools
from html import escape
from typing import Final
from urllib.parse import quote

from podwire.proto.kube.families import host_port
from podwire.services.node.files import normal
from podwire.services.node.images.http_server import HttpServer, Request, Response, Style, reason
from podwire.services.node.images.nginx import content_type
from podwire.services.node.network.sockets import EVERYWHERE
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import UsageError, parse_options
from podwire.services.node.programs.calendar import format_date

VERSION: Final = "3.13.1"
_SERVER: Final = f"SimpleHTTP/0.6 Python/{VERSION}"
_EXPLAINED: Final = {404: "Nothing matches the given URI", 501: "Server does not support this operation"}
_MESSAGES: Final = {404: "File not found", 501: "Unsupported method"}


async def python(process: Process) -> int:
    """python -V | python -m http.server [-b ADDRESS] [-d FOLDER] [PORT]"""
    words = process.arguments[1:]
    if words in (["-V"], ["--version"]):
        await process.print(f"Python {VERSION}\n")
        return 0
    if not words and not process.is_terminal:
        return 0
    while words[:1] in (["-u"], ["-B"], ["-O"]):
        words = words[1:]
    if words[:2] != ["-m", "http.server"]:
        name = process.arguments[0]
        text = "podwire runs no Python in containers; -m http.server and -V are built. Your own ASGI application"
        await process.complain(f"{name}: {text} runs as an image of its own: podwire up --app NAME=module:attribute")
        return 2
    try:
        options = parse_options(words[2:], "b:d:p:", {"bind": "b:", "directory": "d:", "protocol": "p:"})
        port = _port(options.operands)
    except UsageError as error:
        await process.complain(f"server.py: error: {error}")
        return 2
    folder = normal(options.value("d") or ".", process.folder)
    return await _serve(process, options.value("b") or EVERYWHERE, port, folder)


def _port(operands: list[str]) -> int:
    """Raises UsageError."""
    text = operands[0] if operands else "8000"
    if len(operands) > 1:
        raise UsageError(f"unrecognized arguments: {' '.join(operands[1:])}")
    if not (text.isascii() and text.isdigit()) or len(text) > 5 or not 0 < int(text) < 65536:
        raise UsageError(f"argument port: invalid int value: '{text}'")
    return int(text)


async def _serve(process: Process, address: str, port: int, folder: str) -> int:
    handler, log = functools.partial(_answer, process, folder), functools.partial(_log, process)
    await process.print(f"Serving HTTP on {address} port {port} (http://{host_port(address, port)}/) ...\n")
    try:
        await HttpServer(process, handler, Style(_headers, _error), log).run(port, address)
    except OSError as error:
        await process.complain(f"OSError: [Errno {error.errno}] {error.strerror}")
    return 1


def _headers(response: Response, date: str) -> list[tuple[str, str]]:
    kind = [("Content-type", response.content_type)] if response.content_type else []
    length = ("Content-Length", str(len(response.body)))
    return [("Server", _SERVER), ("Date", date), *response.headers, *kind, length, ("Connection", "close")]


def _error(status: int) -> Response:
    message = _MESSAGES.get(status, reason(status))
    lines = ["<!DOCTYPE HTML>", '<html lang="en">', "    <head>", '        <meta charset="utf-8">']
    lines += ["        <title>Error response</title>", "    </head>", "    <body>", "        <h1>Error response</h1>"]
    lines += [f"        <p>Error code: {status}</p>", f"        <p>Message: {message}.</p>"]
    explained = _EXPLAINED.get(status, reason(status))
    lines += [f"        <p>Error code explanation: {status} - {explained}.</p>", "    </body>", "</html>", ""]
    return Response(status, "\n".join(lines).encode(), "text/html;charset=utf-8")


async def _answer(process: Process, folder: str, request: Request) -> Response:
    """SimpleHTTPRequestHandler (Lib/http/server.py)."""
    if request.method not in ("GET", "HEAD"):
        return _error(501)
    place = folder.rstrip("/") + normal(request.path)
    if process.files.is_folder(place):
        path, _, query = request.target.partition("?")
        if not path.endswith("/"):
            target = f"{path}/" + (f"?{query}" if query else "")
            return Response(301, content_type="", headers=(("Location", target),))
        index = process.files.read(f"{place.rstrip('/')}/index.html")
        if index is not None:
            return Response(body=index, content_type="text/html")
        return _listing(process, place, request.path)
    data = process.files.read(place) if not request.path.endswith("/") else None
    return _error(404) if data is None else Response(body=data, content_type=content_type(place))


def _listing(process: Process, place: str, path: str) -> Response:
    title = f"Directory listing for {escape(path, quote=False)}"
    lines = ["<!DOCTYPE HTML>", '<html lang="en">', "<head>", '<meta charset="utf-8">', f"<title>{title}</title>"]
    lines += ["</head>", "<body>", f"<h1>{title}</h1>", "<hr>", "<ul>"]
    for name in sorted(process.files.entries(place), key=str.lower):
        shown = f"{name}/" if process.files.is_folder(f"{place.rstrip('/')}/{name}") else name
        lines.append(f'<li><a href="{quote(shown)}">{escape(shown, quote=False)}</a></li>')
    lines += ["</ul>", "<hr>", "</body>", "</html>", ""]
    return Response(body="\n".join(lines).encode(), content_type="text/html; charset=utf-8")


async def _log(process: Process, request: Request, response: Response) -> None:
    when = format_date("%d/%b/%Y %H:%M:%S", process.clock.now_ns())
    head = f"{request.source[0]} - - [{when}]"
    if response.status >= 400:
        await process.complain(f"{head} code {response.status}, message {_MESSAGES.get(response.status, '')}")
    line = f'"{request.method} {request.target} HTTP/{request.version}"'
    await process.complain(f"{head} {line} {response.status} -")
