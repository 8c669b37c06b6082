"""nginx: static files, its own pages, headers, notices and access log (nginx 1.27's defaults, docker-entrypoint.sh)."""

import functools
from typing import Final

from podwire.services.node.files import normal
from podwire.services.node.images.http_server import HttpServer, Request, Response, Style, reason
from podwire.services.node.process import Process
from podwire.services.node.programs.calendar import format_date
from podwire.services.node.runtime.programs import handles_termination

VERSION: Final = "nginx/1.27.5"
ROOT: Final = "/usr/share/nginx/html"
_ETAG_TIME: Final = 0x67FF9C07
_TYPES: Final = {
    "html": "text/html",
    "htm": "text/html",
    "css": "text/css",
    "js": "application/javascript",
    "json": "application/json",
    "txt": "text/plain",
    "xml": "text/xml",
    "svg": "image/svg+xml",
    "png": "image/png",
    "jpg": "image/jpeg",
    "gif": "image/gif",
    "ico": "image/x-icon",
}

WELCOME: Final = b"""<!DOCTYPE html>
<html>
<head>
<title>Welcome to nginx!</title>
<style>
html { color-scheme: light dark; }
body { width: 35em; margin: 0 auto;
font-family: Tahoma, Verdana, Arial, sans-serif; }
</style>
</head>
<body>
<h1>Welcome to nginx!</h1>
<p>If you see this page, the nginx web server is successfully installed and
working. Further configuration is required.</p>

<p>For online documentation and support please refer to
<a href="http://nginx.org/">nginx.org</a>.<br/>
Commercial support is available at
<a href="http://nginx.com/">nginx.com</a>.</p>

<p><em>Thank you for using nginx.</em></p>
</body>
</html>
"""
ERROR_50X: Final = b"""<!DOCTYPE html>
<html>
<head>
<title>Error</title>
</head>
<body>
<h1>An error occurred.</h1>
<p>Sorry, the page you are looking for is currently unavailable.<br/>
Please try again later.</p>
</body>
</html>
"""


def _headers(response: Response, date: str) -> list[tuple[str, str]]:
    last_modified = [each for each in response.headers if each[0] in ("Last-Modified", "Location")]
    rest = [each for each in response.headers if each not in last_modified]
    connection = [] if any(name == "Connection" for name, _ in rest) else [("Connection", "keep-alive")]
    return [
        ("Server", VERSION),
        ("Date", date),
        ("Content-Type", response.content_type),
        ("Content-Length", str(len(response.body))),
        *last_modified,
        *connection,
        *rest,
    ]


def error_page(status: int, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """nginx's built-in page of a status."""
    title = f"{status} {'Not Allowed' if status == 405 else reason(status)}"
    page = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
        f"<hr><center>{VERSION}</center>\r\n</body>\r\n</html>\r\n"
    )
    return Response(status, page.encode(), "text/html", headers)


STYLE: Final = Style(_headers, error_page)


async def _answer(process: Process, request: Request) -> Response:
    if request.method not in ("GET", "HEAD"):
        return error_page(405)
    path = normal(request.path)
    place = ROOT + path.rstrip("/")
    if request.path.endswith("/"):
        place += "/index.html"
    elif process.files.is_folder(place):
        return error_page(301, (("Location", f"http://{request.header('Host')}{path}/"),))
    data = process.files.read(place)
    if data is not None:
        return _file(place, data)
    if request.path.endswith("/") and process.files.is_folder(ROOT + path):
        return error_page(403)
    await process.complain(_open_error(process, request, place))
    return error_page(404)


def content_type(place: str) -> str:
    """The type of a file by its name's ending."""
    return _TYPES.get(place.rpartition(".")[2], "application/octet-stream")


def _file(place: str, data: bytes) -> Response:
    kind = content_type(place)
    etag = f'"{_ETAG_TIME:x}-{len(data):x}"'
    modified = ("Last-Modified", "Wed, 16 Apr 2025 12:01:11 GMT")
    return Response(200, data, kind, (modified, ("ETag", etag), ("Accept-Ranges", "bytes")))


def _notice(process: Process, text: str, level: str = "notice") -> str:
    return format_date("%Y/%m/%d %H:%M:%S", process.clock.now_ns()) + f" [{level}] 1#1: {text}"


def _open_error(process: Process, request: Request, place: str) -> str:
    return _notice(
        process,
        f'*1 open() "{place}" failed (2: No such file or directory), client: {request.source[0]}, '
        f'server: localhost, request: "{request.method} {request.target} HTTP/{request.version}", '
        f'host: "{request.header("Host")}"',
        "error",
    )


async def _log(process: Process, request: Request, response: Response) -> None:
    size = 0 if request.method == "HEAD" else len(response.body)
    when = format_date("%d/%b/%Y:%H:%M:%S +0000", process.clock.now_ns())
    await process.print(
        f'{request.source[0]} - - [{when}] "{request.method} {request.target} HTTP/{request.version}" '
        f'{response.status} {size} "{request.header("Referer") or "-"}" "{request.header("User-Agent") or "-"}" '
        f'"{request.header("X-Forwarded-For") or "-"}"\n'
    )


@handles_termination
async def nginx(process: Process) -> int:
    """nginx -g "daemon off;": serves the files below /usr/share/nginx/html on port 80."""
    if "-v" in process.arguments:
        await process.complain(f"nginx version: {VERSION}")
        return 0
    server = HttpServer(process, functools.partial(_answer, process), STYLE, functools.partial(_log, process))
    for text in ('using the "epoll" event method', VERSION, "OS: Linux", "start worker processes"):
        await process.complain(_notice(process, text))
    try:
        await server.run(80)
    except OSError as error:
        reason_text = f"bind() to 0.0.0.0:80 failed ({error.errno}: {error.strerror})"
        await process.complain("nginx: [emerg] " + reason_text)
    return 1


@handles_termination
async def docker_entrypoint(process: Process) -> int:
    """/docker-entrypoint.sh COMMAND…: says what it does, then runs the command."""
    for line in (
        "/docker-entrypoint.d/ is not empty, will attempt to perform configuration",
        "Looking for shell scripts in /docker-entrypoint.d/",
        "Configuration complete; ready for start up",
    ):
        await process.print(f"/docker-entrypoint.sh: {line}\n")
    command = process.arguments[1:]
    program = process.programs.get(command[0].rpartition("/")[2]) if command else None
    if program is None:
        name = command[0] if command else ""
        await process.complain(f"/docker-entrypoint.sh: exec: line 47: {name}: not found")
        return 127
    return await program(process.with_arguments(command))
