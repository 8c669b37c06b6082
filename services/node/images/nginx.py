"""nginx: static files, its own pages, headers, notices and access log (nginx 1.27's defaults, docker-entrypoint.sh)."""

import asyncio
import fnmatch
import functools
import re
from dataclasses import dataclass, replace
from typing import Final

import h11

from podwire.services.node.files import normal
from podwire.services.node.images.http_server import HttpServer, Request, Response, Style, reason
from podwire.services.node.images.nginx_config import (
    PATH,
    BadConfig,
    Config,
    Location,
    Server,
    choose,
    read_config,
)
from podwire.services.node.images.serving import run_all, run_for_ever
from podwire.services.node.network.dns_exchange import ResolutionFailure
from podwire.services.node.network.sockets import TcpStream
from podwire.services.node.process import Process
from podwire.services.node.programs.calendar import format_date
from podwire.services.node.programs.http_client import BadUrl, Exchange, Url, header_of, parse_url
from podwire.services.node.runtime.programs import handles_termination, is_terminable

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


NGINX_CONF: Final = b"""
user  nginx;
worker_processes  auto;

error_log  /var/log/nginx/error.log notice;
pid        /run/nginx.pid;

events {
    worker_connections  1024;
}

http {
    include       /etc/nginx/mime.types;
    default_type  application/octet-stream;
    sendfile        on;
    keepalive_timeout  65;
    include /etc/nginx/conf.d/*.conf;
}
"""
DEFAULT_CONF: Final = b"""server {
    listen       80;
    listen  [::]:80;
    server_name  localhost;

    location / {
        root   /usr/share/nginx/html;
        index  index.html index.htm;
    }

    error_page   500 502 503 504  /50x.html;
    location = /50x.html {
        root   /usr/share/nginx/html;
    }
}
"""
_RELOADED: Final = "/run/nginx.reloaded"
_MOST_BODY: Final = 16 * 1024 * 1024


def config_of(process: Process) -> Config:
    """The configuration in the container's files. Raises BadConfig."""

    def read(path: str) -> list[tuple[str, str]]:
        folder, _, name = path.rpartition("/")
        names = fnmatch.filter(process.files.entries(folder or "/"), name) if "*" in name else [name]
        found = [(f"{folder}/{each}", process.files.read(f"{folder}/{each}")) for each in names]
        return [(each, data.decode(errors="replace")) for each, data in found if data is not None]

    return read_config(read)


@dataclass(slots=True)
class _Site:
    """What a running nginx serves; a reload that fails keeps what was."""

    process: Process
    config: Config
    seen: bytes | None = None

    async def answer(self, request: Request) -> Response:
        """Answers one request."""
        await self._reload()
        server = self.config.server(request.local[1], request.header("Host").partition(":")[0].lower())
        path = normal(request.path) + ("/" if request.path.endswith("/") and normal(request.path) != "/" else "")
        return await self._at(server, request, path, 0)

    async def _reload(self) -> None:
        mark = self.process.files.read(_RELOADED)
        if mark == self.seen:
            return
        self.seen = mark
        try:
            self.config = config_of(self.process)
            await self.process.complain(_notice(self.process, "signal process started"))
        except BadConfig as error:
            await self.process.complain(_notice(self.process, str(error), "emerg"))

    async def _at(self, server: Server, request: Request, path: str, depth: int) -> Response:
        location = choose(server, path)
        response = await self._from(server, location, request, path, depth)
        page = location.error_pages.get(response.status)
        if page is not None and depth == 0 and not location.proxy:
            instead = await self._at(server, replace(request, method="GET"), page, depth + 1)
            if instead.status == 200:
                response = replace(instead, status=response.status)
        added = tuple((name, _filled(value, request, path)) for name, value in location.headers)
        return replace(response, headers=(*response.headers, *added)) if added and depth == 0 else response

    async def _from(self, server: Server, location: Location, request: Request, path: str, depth: int) -> Response:
        returned = location.returned or server.base.returned
        if returned is not None:
            return _returned(returned, location, request, path)
        if location.proxy:
            return await proxied(self.process, self.config, location, request, path)
        if request.method not in ("GET", "HEAD"):
            return error_page(405)
        for word in location.try_files[:-1]:
            wanted = _filled(word, request, path)
            place = _place(location, wanted)
            if self.process.files.read(place.rstrip("/")) is not None and not wanted.endswith("/"):
                return _file(place, self.process.files.read(place) or b"", location.default_type)
            if wanted.endswith("/") and self._index(location, place) is not None:
                return await self._static(location, request, wanted)
        if location.try_files:
            last = _filled(location.try_files[-1], request, path)
            if last.startswith("="):
                return error_page(int(last[1:]) if last[1:].isdigit() and len(last) == 4 else 500)
            if depth > 5:
                return error_page(500)
            return await self._at(server, request, last.partition("?")[0], depth + 1)
        return await self._static(location, request, path)

    def _index(self, location: Location, place: str) -> str | None:
        names = (f"{place.rstrip('/')}/{name}" for name in location.index)
        return next((name for name in names if self.process.files.read(name) is not None), None)

    async def _static(self, location: Location, request: Request, path: str) -> Response:
        place = _place(location, path)
        if path.endswith("/"):
            index = self._index(location, place)
            if index is None and self.process.files.is_folder(place):
                return error_page(403)
            place = index or f"{place.rstrip('/')}/{location.index[0]}"
        elif self.process.files.is_folder(place):
            return error_page(301, (("Location", f"http://{request.header('Host')}{path}/"),))
        data = self.process.files.read(place)
        if data is not None:
            return _file(place, data, location.default_type)
        await self.process.complain(_open_error(self.process, request, place))
        return error_page(404)


def _place(location: Location, path: str) -> str:
    if location.alias:
        return normal(location.alias + path.removeprefix(location.path))
    return normal(location.root.rstrip("/") + path)


def _returned(returned: tuple[int, str], location: Location, request: Request, path: str) -> Response:
    status, text = returned[0], _filled(returned[1], request, path)
    if status in (301, 302, 303, 307, 308):
        url = text if "://" in text else f"http://{request.header('Host')}{text}"
        return error_page(status, (("Location", url),))
    if not text:
        return error_page(status) if status >= 400 else Response(status, b"", location.default_type)
    kind = next((value for name, value in location.headers if name.lower() == "content-type"), location.default_type)
    return Response(status, text.encode(), kind)


def _filled(text: str, request: Request, path: str) -> str:
    """A text with its variables."""
    host = request.header("Host").partition(":")[0]
    forwarded = request.header("X-Forwarded-For")
    values = {
        "host": host,
        "uri": path,
        "request_uri": request.target,
        "remote_addr": request.source[0],
        "scheme": "http",
        "server_name": host,
        "request_method": request.method,
        "http_host": request.header("Host"),
        "args": request.target.partition("?")[2],
        "server_port": str(request.local[1]),
        "is_args": "?" if "?" in request.target else "",
        "remote_port": str(request.source[1]),
        "proxy_add_x_forwarded_for": f"{forwarded}, {request.source[0]}" if forwarded else request.source[0],
        "server_addr": request.local[0],
    }

    def value(match: re.Match[str]) -> str:
        name = match.group(1) or match.group(2)
        return values.get(name) or (request.header(name[5:].replace("_", "-")) if name.startswith("http_") else "")

    return re.sub(r"\$(?:(\w+)|\{(\w+)\})", value, text)


async def proxied(process: Process, config: Config, location: Location, request: Request, path: str) -> Response:
    """The upstream's answer; 502 if there is none, 504 if it is late."""
    try:
        url = parse_url(_filled(location.proxy, request, path))
        hosts = config.upstreams.get(url.host, [f"{url.host}:{url.port}"])
        target = parse_url(f"http://{hosts[process.random.getrandbits(16) % len(hosts)]}")
        address = (await process.resolver().addresses(target.host))[0]
        async with asyncio.timeout(60):
            stream = await process.network.connect((address, target.port))
            try:
                return await _forwarded(stream, location, request, path, url)
            finally:
                stream.close()
    except TimeoutError:
        return error_page(504)
    except (OSError, ResolutionFailure, BadUrl, h11.ProtocolError, ZeroDivisionError) as error:
        reason_text = getattr(error, "strerror", None) or str(error)
        await process.complain(
            _notice(process, f"*1 connect() failed ({reason_text}) while connecting to upstream", "error")
        )
        return error_page(502)


async def _forwarded(stream: TcpStream, location: Location, request: Request, path: str, url: Url) -> Response:
    has_path = "/" in location.proxy.removeprefix("http://")
    target = url.target.rstrip("/") + "/" + path.removeprefix(location.path).lstrip("/") if has_path else request.target
    query = request.target.partition("?")[2]
    target += f"?{query}" if has_path and query else ""
    own = {name.lower(): _filled(value, request, path) for name, value in location.proxy_headers}
    kept = [each for each in request.headers if each[0].lower() not in ("host", "connection", *own, *_HOP_BY_HOP)]
    set_here = [(name, own[name.lower()]) for name, _ in location.proxy_headers if own[name.lower()]]
    headers = [("Host", own.get("host", url.authority)), ("Connection", "close"), *kept]
    headers += [each for each in set_here if each[0].lower() not in ("host", "connection", "upgrade")]
    headers += [("Content-Length", str(len(request.body)))] if request.body else []
    exchange = Exchange(stream)
    await exchange.send(request.method, target, headers, request.body)
    head = await exchange.head()
    if head is None:
        raise OSError(104, "upstream prematurely closed connection")
    body = b""
    while (data := await exchange.chunk()) and len(body) < _MOST_BODY:
        body += data
    passed = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers.raw_items()]
    left_out = ("content-type", "content-length", "date", "server", "connection", *_HOP_BY_HOP)
    rest = tuple(each for each in passed if each[0].lower() not in left_out)
    return Response(head.status_code, body, header_of(head, "content-type"), rest)


_HOP_BY_HOP: Final = ("transfer-encoding", "keep-alive", "te", "trailer", "upgrade", "content-length", "expect")


def content_type(place: str) -> str:
    """The type of a file by its name's ending."""
    return _TYPES.get(place.rpartition(".")[2], "application/octet-stream")


def _file(place: str, data: bytes, default_type: str) -> Response:
    kind = _TYPES.get(place.rpartition(".")[2], default_type)
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
    """nginx [-g DIRECTIVES]: serves as /etc/nginx/nginx.conf says; -v, -t, -T, -s reload."""
    words = process.arguments[1:]
    if "-v" in words or "-V" in words:
        await process.complain(f"nginx version: {VERSION}")
        return 0
    if "-s" in words:
        return await _signal(process, words[words.index("-s") + 1 :])
    try:
        config = config_of(process)
    except BadConfig as error:
        await process.complain(_notice(process, str(error), "emerg"))
        await process.complain(f"nginx: [emerg] {error}")
        if "-t" in words or "-T" in words:
            await process.complain(f"nginx: configuration file {PATH} test failed")
        return 1
    if "-t" in words or "-T" in words:
        await process.complain(f"nginx: the configuration file {PATH} syntax is ok")
        await process.complain(f"nginx: configuration file {PATH} test is successful")
        if "-T" in words:
            await process.print(
                "".join(f"# configuration file {name}:\n{text}\n" for name, text in config.files.items())
            )
        return 0
    return await _serve(process, config)


async def _signal(process: Process, words: list[str]) -> int:
    """-s reload: the running nginx reads its files anew before the next request; its ports stay."""
    if words[:1] != ["reload"]:
        await process.complain(f'nginx: [emerg] "-s {" ".join(words)}" is not built in podwire: reload is')
        return 1
    try:
        config_of(process)
    except BadConfig as error:
        await process.complain(f"nginx: [emerg] {error}")
        return 1
    process.files.write(_RELOADED, str(process.clock.monotonic_ns()).encode())
    await process.complain(_notice(process, "signal process started"))
    return 0


async def _serve(process: Process, config: Config) -> int:
    site = _Site(process, config, process.files.read(_RELOADED))
    for text in ('using the "epoll" event method', VERSION, "OS: Linux", "start worker processes"):
        await process.complain(_notice(process, text))
    server = HttpServer(process, site.answer, STYLE, functools.partial(_log, process))
    ports = config.ports
    try:
        await run_all([server.run(port) for port in ports] or [run_for_ever()])
    except OSError as error:
        shown = ports[0] if len(ports) == 1 else "|".join(map(str, ports))
        reason_text = f"bind() to 0.0.0.0:{shown} failed ({error.errno}: {error.strerror})"
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
    if process.running is not None:
        process.running.become(command, graceful=is_terminable(program))
    return await program(process.with_arguments(command))
