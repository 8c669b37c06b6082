"""registry.k8s.io/e2e-test-images/agnhost: netexec, serve-hostname, connect, pause (kubernetes test/images/agnhost)."""

import asyncio
import errno
import functools
import json
from collections.abc import Coroutine
from typing import Any, Final

import h11

from podwire.services.node.images.http_server import HttpServer, Request, Response
from podwire.services.node.images.serving import run_all, run_for_ever
from podwire.services.node.images.tcp_server import serve_tcp
from podwire.services.node.network.resolver import ResolutionFailure, Resolver
from podwire.services.node.network.sockets import TcpStream
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import Options, UsageError, parse_options
from podwire.services.node.programs.http_client import BadUrl, Exchange, parse_url
from podwire.services.node.programs.system import duration
from podwire.services.node.runtime.programs import handles_termination

VERSION: Final = "2.53"
_DIAL_TIMEOUT: Final = 5
"""Seconds that /dial gives each try."""
_MOST_TRIES: Final = 100


@handles_termination
async def agnhost(process: Process) -> int:
    """agnhost netexec|serve-hostname|connect|pause|--version"""
    words = process.arguments[1:] or ["pause"]
    commands = {"netexec": _netexec, "serve-hostname": _serve_hostname, "connect": _connect, "pause": pause}
    if words[0] == "--version":
        await process.print(f"agnhost version {VERSION}\n")
        return 0
    command = commands.get(words[0])
    if command is None:
        await process.complain(f'Error: unknown command "{words[0]}" for "app"; built are {", ".join(commands)}')
        return 1
    try:
        return await command(process.with_arguments(words))
    except UsageError as error:
        await process.complain(f"Error: {error}")
        return 1
    except OSError as error:
        await process.complain(f"agnhost: {(error.strerror or str(error)).lower()}")
        return 1


@handles_termination
async def pause(process: Process) -> int:
    """Does nothing until it is ended."""
    await run_for_ever()
    return 0


def _port(options: Options, name: str, default: str) -> int:
    text = options.value(name, default)
    if text == "-1":
        return -1
    if not (text.isascii() and text.isdigit()) or len(text) > 5 or not 0 < int(text) < 65536:
        raise UsageError(f'invalid argument "{text}" for "--{name}" flag')
    return int(text)


# -- netexec


async def _netexec(process: Process) -> int:
    long = {"http-port": "http-port:", "udp-port": "udp-port:", "sctp-port": "sctp-port:", "delay-shutdown": "delay:"}
    options = parse_options(process.arguments[1:], "", long)
    http, udp = _port(options, "http-port", "8080"), _port(options, "udp-port", "8081")
    await process.complain(f"Started HTTP server on port {http}")
    servers: list[Coroutine[Any, Any, None]] = [HttpServer(process, functools.partial(_answer, process)).run(http)]
    if udp > 0:
        await process.complain(f"Started UDP server on port {udp}")
        servers.append(_serve_udp(process, udp))
    await run_all(servers)
    return 1


async def _answer(process: Process, request: Request) -> Response:
    match request.path.rstrip("/"):
        case "":
            return Response(body=f"NOW: {process.clock.now_ns()}".encode())
        case "/hostname" | "/hostName":
            return Response(body=process.hostname.encode())
        case "/clientip":
            return Response(body=f"{request.source[0]}:{request.source[1]}".encode())
        case "/echo":
            code = request.query.get("code", "200")
            known = code.isascii() and code.isdigit() and len(code) == 3 and 200 <= int(code) < 600
            return Response(int(code) if known else 400, request.query.get("msg", "").encode())
        case "/healthz" | "/readyz" | "/health":
            return Response(body=b"")
        case "/header":
            return Response(body=request.header(request.query.get("key", "")).encode())
        case "/dial":
            return await _dial(process, request)
    built = "/, /hostname, /clientip, /echo, /healthz, /header, /dial"
    return Response(404, f"404 page not found: built are {built}\n".encode())


async def _serve_udp(process: Process, port: int) -> None:
    channel = process.network.open_udp(port)
    try:
        while True:
            try:
                datagram = await channel.receive()
                reply = _udp_reply(process, datagram.payload.decode(errors="replace").strip(), datagram.source)
                channel.send(reply.encode(), datagram.source)
            except OSError:
                continue
    finally:
        channel.close()


def _udp_reply(process: Process, command: str, source: tuple[str, int]) -> str:
    word, _, rest = command.partition(" ")
    match word.lower():
        case "hostname":
            return process.hostname
        case "echo":
            return rest
        case "clientip":
            return f"{source[0]}:{source[1]}"
    return "" if not word else f"unknown command {word}"


# -- /dial: one pod asks others


async def _dial(process: Process, request: Request) -> Response:
    query = request.query
    host, port, tries = query.get("host", ""), query.get("port", "80"), query.get("tries", "1")
    protocol, what = query.get("protocol", "http"), query.get("request", "hostname")
    if (
        not host
        or not (port + tries).isdigit()
        or not 0 < int(tries[:5]) <= _MOST_TRIES
        or protocol not in ("http", "udp")
    ):
        return Response(400, b"host, port, tries or protocol is missing or invalid")
    responses, errors = [], []
    for _ in range(int(tries)):
        try:
            async with asyncio.timeout(_DIAL_TIMEOUT):
                responses.append(await _ask(process, protocol, (host, int(port[:5])), what))
        except TimeoutError:
            errors.append(f"dial {host}:{port}: i/o timeout")
        except (OSError, ResolutionFailure, h11.ProtocolError) as error:
            errors.append(f"dial {host}:{port}: {getattr(error, 'strerror', None) or error}")
    document: dict[str, list[str]] = {"responses": responses} if responses else {}
    document |= {"errors": errors} if errors else {}
    return Response(body=json.dumps(document, separators=(",", ":")).encode(), content_type="application/json")


async def _ask(process: Process, protocol: str, target: tuple[str, int], what: str) -> str:
    host, port = target
    address = (await Resolver(process.network, process.files, process.random).addresses(host))[0]
    if protocol == "udp":
        channel = process.network.open_udp()
        try:
            channel.send(what.encode(), (address, port))
            return (await channel.receive()).payload.decode(errors="replace")
        finally:
            channel.close()
    stream = await process.network.connect((address, port))
    try:
        return await _get(stream, f"{host}:{port}", what)
    finally:
        stream.close()


async def _get(stream: TcpStream, authority: str, what: str) -> str:
    exchange = Exchange(stream)
    target = "/" + what.lstrip("/")
    await exchange.send("GET", target, [("Host", authority), ("User-Agent", "agnhost"), ("Connection", "close")], b"")
    if await exchange.head() is None:
        return ""
    body = b""
    while data := await exchange.chunk():
        body = (body + data)[: 64 * 1024]
    return body.decode(errors="replace")


# -- serve-hostname


async def _serve_hostname(process: Process) -> int:
    long = {"http": "http:", "tcp": "tcp", "udp": "udp", "port": "port:"}
    options = parse_options(process.arguments[1:], "", long)
    port = _port(options, "port", "9376")

    async def answer(request: Request) -> Response:
        return Response(body=process.hostname.encode())

    async def answer_tcp(stream: TcpStream) -> None:
        await stream.write(process.hostname.encode())

    servers: list[Coroutine[Any, Any, None]] = []
    if "tcp" in options:
        servers.append(serve_tcp(process.network, port, answer_tcp))
    elif options.value("http", "true") != "false":
        servers.append(HttpServer(process, answer).run(port))
    if "udp" in options:
        servers.append(_serve_udp_name(process, port))
    await run_all(servers or [run_for_ever()])
    return 1


async def _serve_udp_name(process: Process, port: int) -> None:
    channel = process.network.open_udp(port)
    try:
        while True:
            try:
                channel.send(process.hostname.encode(), (await channel.receive()).source)
            except OSError:
                continue
    finally:
        channel.close()


# -- connect


async def _connect(process: Process) -> int:
    """connect HOST:PORT [--timeout 5s] [--protocol tcp]: silent and 0, or what is the matter and 1."""
    options = parse_options(process.arguments[1:], "", {"timeout": "timeout:", "protocol": "protocol:"})
    if len(options.operands) != 1 or options.value("protocol", "tcp") != "tcp":
        raise UsageError("accepts 1 arg(s), HOST:PORT; of protocols only tcp is built")
    try:
        url = parse_url(options.operands[0])
        address = (await Resolver(process.network, process.files, process.random).addresses(url.host))[0]
        async with asyncio.timeout(duration(options.value("timeout", "0")) or None):
            stream = await process.network.connect((address, url.port))
    except (BadUrl, ResolutionFailure) as error:
        await process.complain("DNS: " + str(error))
        return 1
    except TimeoutError:
        await process.complain("TIMEOUT")
        return 1
    except OSError as error:
        names = {errno.ECONNREFUSED: "REFUSED", errno.ETIMEDOUT: "TIMEOUT"}
        await process.complain(names.get(error.errno or 0, f"OTHER: {error.strerror}"))
        return 1
    stream.close()
    return 0
