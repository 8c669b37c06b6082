"""agnhost netexec (netexec.go): HTTP endpoints and UDP commands."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import parse_qsl

from podwire.services.chassis.clock import SECOND
from podwire.services.node.images.agnhost import commands_sctp, commands_udp, dial, upload
from podwire.services.node.images.agnhost.ending import Ending
from podwire.services.node.images.agnhost.go import BadDuration, error_text, join, log, parse_duration, quoted, to_json
from podwire.services.node.images.agnhost.options import number, read_options
from podwire.services.node.images.agnhost.tls import CannotServeTls, tls_settings
from podwire.services.node.images.http_server import HttpServer, Request, Response, reason
from podwire.services.node.network.resolv_conf import is_address
from podwire.services.node.network.sockets import EVERYWHERE
from podwire.services.node.pipes import NoInput, Sink
from podwire.services.node.process import Process
from podwire.services.node.programs.calendar import format_date
from podwire.services.node.programs.sh import sh
from podwire.services.node.runtime.programs import run

_FLAGS: Final = {
    "http-port": "8080",
    "udp-port": "8081",
    "sctp-port": "-1",
    "udp-listen-addresses": "",
    "http-override": "",
    "tls-cert-file": "",
    "tls-private-key-file": "",
}
_MOST_OUTPUT: Final = 4 * 1024 * 1024


@dataclass(slots=True)
class Server:
    """One netexec. `ready` is what /healthz says: the UDP or SCTP server is there."""

    process: Process
    ending: Ending
    ready: bool
    override: str = ""


async def netexec(process: Process) -> int:
    """netexec [--http-port 8080] [--udp-port 8081] [--sctp-port -1] [--udp-listen-addresses A,B] [--http-override P]"""
    options = read_options(process.arguments[1:], _FLAGS)
    http, udp = number(options, "http-port"), number(options, "udp-port", least=-1)
    sctp = number(options, "sctp-port", least=-1)
    addresses = [each for each in options.value("udp-listen-addresses").split(",") if each] or [EVERYWHERE]
    for address in addresses:
        if not is_address(address):
            await log(process, f"parseAddress: invalid address {address}")
            return 1
    server = Server(process, Ending(), udp != -1 or sctp != -1, options.value("http-override"))
    try:
        tls = tls_settings(process, options.value("tls-cert-file"), options.value("tls-private-key-file"))
    except CannotServeTls as error:
        await log(process, f"HTTP server failed: {error}")
        return 1
    handler = functools.partial(_answer, server)
    work: list[Coroutine[Any, Any, None]] = [HttpServer(process, handler, tls=tls).run(http)]
    if udp != -1:
        work += [commands_udp.serve(process, udp, address) for address in addresses]
    if sctp != -1:
        work.append(commands_sctp.serve(process, sctp, server.ending))
    await log(process, f"Started HTTP server on port {http}")
    try:
        return await server.ending.serve(work)
    except OSError as error:
        await log(process, f"listen tcp :{http}: bind: {error_text(error)}")
        return 1


async def _answer(server: Server, request: Request) -> Response:
    if server.override:
        target = "/" + server.override.lstrip("/")
        request = replace(request, method="GET", target=target, headers=(), body=b"")
    handler = _ROUTES.get(request.path, _root)
    return await handler(server, request)


def form_value(request: Request, name: str) -> str:
    """Request.FormValue: a form in the body goes before the query."""
    if request.header("Content-Type").partition(";")[0] == "application/x-www-form-urlencoded":
        for key, value in parse_qsl(request.body.decode(errors="replace"), keep_blank_values=True):
            if key == name:
                return value
    return request.query.get(name, "")


def _text(text: str, status: int = 200) -> Response:
    return Response(status, text.encode(errors="replace"))


async def _root(server: Server, request: Request) -> Response:
    await log(server.process, "GET /")
    clock = server.process.clock
    elapsed = clock.monotonic_ns()
    since = f"m=+{elapsed // SECOND}.{elapsed % SECOND:09}"
    return _text("NOW: " + format_date("%Y-%m-%d %H:%M:%S.%N +0000 UTC ", clock.now_ns()) + since)


async def _client_ip(server: Server, request: Request) -> Response:
    await log(server.process, "GET /clientip")
    return _text(join(request.source))


async def _dial(server: Server, request: Request) -> Response:
    query = {key: request.query.get(key, "") for key in ("host", "protocol", "port", "request", "tries")}
    await log(server.process, "GET /dial?" + "&".join(f"{key}={value}" for key, value in query.items()))
    return await dial.answer(server.process, request)


async def _echo(server: Server, request: Request) -> Response:
    message, code = form_value(request, "msg"), form_value(request, "code")
    await log(server.process, f"GET /echo?msg={message}&code={code}")
    if not code:
        return _text(message)
    status = _integer(code)
    if status is None:
        return _text(f"argument 'code' must be an integer or empty, got {quoted(code)}\n")
    return _text(message, status) if 200 <= status <= 599 else _text(f"status {status} is none to answer with\n", 500)


def _integer(text: str) -> int | None:
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) < 10 else None


async def _exit(server: Server, request: Request) -> Response:
    wait, timeout, code = (form_value(request, name) for name in ("wait", "timeout", "code"))
    await log(server.process, f"GET /exit?code={code}&timeout={timeout}&wait={wait}")
    lengths = {}
    for name, text in (("timeout", timeout), ("wait", wait)):
        try:
            lengths[name] = parse_duration(text) if text else 0
        except BadDuration:
            return _text(f"argument '{name}' must be a valid golang duration or empty, got {quoted(text)}\n")
    number_of = _integer(code) if code else 0
    if number_of is None:
        return _text(f"argument 'code' must be an integer [0-127] or empty, got {quoted(code)}\n")
    await asyncio.sleep(lengths["wait"] / SECOND)
    if not lengths["timeout"]:
        await server.ending.leave(number_of)
    asyncio.get_running_loop().call_later(0.001, server.ending.ask, number_of)
    return _text("")


async def _health(server: Server, request: Request) -> Response:
    await log(server.process, "GET /healthz")
    return _text("", 200 if server.ready else 412)


async def _hostname(server: Server, request: Request) -> Response:
    await log(server.process, f"GET {request.path}")
    return _text(server.process.hostname)


async def _redirect(server: Server, request: Request) -> Response:
    location, code = form_value(request, "location"), form_value(request, "code")
    await log(server.process, f"{request.method} /redirect?msg={location}&code={code}")
    status = _integer(code) if code else 302
    if status is None:
        return _text(f"argument 'code' must be an integer or empty, got {quoted(code)}\n")
    return redirect(location, status)


def redirect(location: str, status: int) -> Response:
    """http.Redirect."""
    clean = "".join(letter if " " < letter < "\x7f" else f"%{ord(letter) & 0xFF:02X}" for letter in location)
    if not clean.startswith("/") and "://" not in clean:
        clean = "/" + clean
    if not 200 <= status <= 599:
        return _text(f"status {status} is none to answer with\n", 500)
    page = f'<a href="{clean}">{reason(status)}</a>.\n\n'
    return Response(status, page.encode(), "text/html; charset=utf-8", (("Location", clean),))


async def _shell(server: Server, request: Request) -> Response:
    command = form_value(request, "shellCommand") or form_value(request, "cmd")
    await log(server.process, f"GET /shell?cmd={command}")
    output = bytearray()
    sink = Sink(lambda data: output.extend(data[: max(_MOST_OUTPUT - len(output), 0)]))
    inner = replace(
        server.process, arguments=["sh", "-c", command], stdin=NoInput(), stdout=sink, stderr=sink, terminal=None
    )
    code = await run(inner, sh)
    document = {"output": output.decode(errors="replace")} if output else {}
    if code:
        document["error"] = f"exit status {code}"
    await log(server.process, "Output: map[" + " ".join(f"{key}:{document[key]}" for key in sorted(document)) + "]")
    return Response(body=to_json(document))


async def _shutdown(server: Server, request: Request) -> Response:
    await log(server.process, "GET /shutdown")
    await server.ending.leave(0)
    return _text("")


async def _upload(server: Server, request: Request) -> Response:
    await log(server.process, "GET /upload")
    return await upload.answer(server.process, request)


Route = Callable[[Server, Request], Awaitable[Response]]
_ROUTES: Final[dict[str, Route]] = {
    "/clientip": _client_ip,
    "/dial": _dial,
    "/echo": _echo,
    "/exit": _exit,
    "/healthz": _health,
    "/hostname": _hostname,
    "/hostName": _hostname,
    "/redirect": _redirect,
    "/shell": _shell,
    "/shutdown": _shutdown,
    "/upload": _upload,
}
