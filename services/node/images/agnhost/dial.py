"""netexec's /dial: one pod asks others (netexec.go, dialHandler)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import h11

from podwire.services.node.images.agnhost.go import dial_error, error_text, join, lookup_error, quoted, resolve, to_json
from podwire.services.node.images.http_server import Request, Response
from podwire.services.node.network import sctp
from podwire.services.node.network.dns_exchange import ResolutionFailure
from podwire.services.node.network.sockets import Endpoint, TcpStream
from podwire.services.node.process import Process
from podwire.services.node.programs.http_client import Exchange

_TIMEOUT: Final = 5
"""Seconds that one try has."""
_MOST_TRIES: Final = 10_000
_MOST_BODY: Final = 1024 * 1024


class DialFailure(Exception):
    """A try that failed, with Go's text."""


def refusal(text: str) -> Response:
    """http.Error with status 400."""
    return Response(400, f"{text}\n".encode(), headers=(("X-Content-Type-Options", "nosniff"),))


async def answer(process: Process, request: Request) -> Response:
    """The responses and errors of all tries; 400 for a request that cannot be tried."""
    query = request.query
    try:
        tries = int(query.get("tries") or "1")
    except ValueError:
        text = quoted(query["tries"])
        return refusal(f"tries parameter is invalid. strconv.Atoi: parsing {text}: invalid syntax")
    if not query.get("request"):
        return refusal("request parameter not specified. <nil>")
    dialer = _DIALERS.get((query.get("protocol") or "http").lower())
    if dialer is None:
        return refusal(f"unsupported protocol. {query.get('protocol')}")
    if tries > _MOST_TRIES:
        return refusal(f"tries parameter is invalid. {tries} is more than the {_MOST_TRIES} that podwire tries")
    try:
        endpoint = await _endpoint(process, query.get("host", ""), query.get("port", ""))
    except (ValueError, ResolutionFailure) as error:
        text = lookup_error(process, error) if isinstance(error, ResolutionFailure) else str(error)
        return refusal(f"host and/or port param are invalid. {text}")
    return await _tried(process, dialer, query["request"], endpoint, tries)


async def _endpoint(process: Process, host: str, port: str) -> Endpoint:
    if not (port.isascii() and port.isdigit()) or len(port) > 5 or int(port) > 65535:
        raise ValueError(f"address {port}: invalid port")
    return await resolve(process, host), int(port)


Dialer = Callable[[Process, str, Endpoint], Awaitable[str]]


async def _tried(process: Process, dialer: Dialer, what: str, endpoint: Endpoint, tries: int) -> Response:
    responses: list[str] = []
    errors: list[str] = []
    last = ""
    for _ in range(tries):
        try:
            last = await dialer(process, what, endpoint)
            responses.append(last)
        except DialFailure as failure:
            last = ""
            errors.append(str(failure))
    document: dict[str, list[str]] = {"responses": responses} if last else {}
    document |= {"errors": errors} if errors else {}
    return Response(body=to_json(document))


# -- HTTP


async def dial_http(process: Process, what: str, endpoint: Endpoint) -> str:
    """The body of `http://ENDPOINT/WHAT`. Raises DialFailure."""
    url = f"http://{join(endpoint)}/{what}"
    try:
        async with asyncio.timeout(_TIMEOUT):
            return await _get(process, what, endpoint)
    except TimeoutError:
        text = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        raise DialFailure(f'Get "{url}": {text}') from None
    except h11.ProtocolError:
        raise DialFailure(f'Get "{url}": net/http: HTTP/1.x transport connection broken: malformed HTTP') from None
    except OSError as error:
        raise DialFailure(f'Get "{url}": {error.strerror or error}') from None


async def _get(process: Process, what: str, endpoint: Endpoint) -> str:
    try:
        stream = await process.network.connect(endpoint)
    except OSError as error:
        raise OSError(error.errno, dial_error("tcp", endpoint, error)) from None
    try:
        return await _exchanged(stream, what, endpoint)
    finally:
        stream.close()


async def _exchanged(stream: TcpStream, what: str, endpoint: Endpoint) -> str:
    exchange = Exchange(stream)
    target = "/" + what.replace(" ", "%20")
    await exchange.send("GET", target, [("Host", join(endpoint)), ("User-Agent", "Go-http-client/1.1")], b"")
    if await exchange.head() is None:
        raise OSError(0, "EOF")
    body = b""
    while (data := await exchange.chunk()) and len(body) < _MOST_BODY:
        body += data
    return body.decode(errors="replace")


# -- UDP


async def dial_udp(process: Process, what: str, endpoint: Endpoint) -> str:
    """The answer to one datagram. Raises DialFailure."""
    channel = process.network.open_udp()
    try:
        with process.network.shell.turn():
            channel.socket.connect(endpoint)
        ways = f"{join(channel.socket.local_endpoint)}->{join(endpoint)}"
        channel.send(what.encode(), endpoint)
        async with asyncio.timeout(_TIMEOUT):
            payload = (await channel.receive()).payload
    except TimeoutError:
        raise DialFailure(f"reading from udp connection failed. err:'read udp {ways}: i/o timeout'") from None
    except OSError as error:
        text = f"read udp {join(channel.socket.local_endpoint)}->{join(endpoint)}: read: {error_text(error)}"
        raise DialFailure(f"reading from udp connection failed. err:'{text}'") from None
    finally:
        channel.close()
    if not payload:
        raise DialFailure("reading from udp connection failed. err:'<nil>'")
    return payload.decode(errors="replace")


async def _dial_sctp(process: Process, what: str, endpoint: Endpoint) -> str:
    """The answer to one message. Raises DialFailure."""
    try:
        channel = await sctp.connect(process.network, endpoint)
    except OSError as error:
        raise DialFailure(f"sctp dial failed. err:{error_text(error)}") from None
    try:
        await channel.write(what.encode())
        async with asyncio.timeout(_TIMEOUT):
            message = await channel.read()
    except TimeoutError:
        raise DialFailure("reading from sctp connection failed. err:'resource temporarily unavailable'") from None
    except OSError as error:
        raise DialFailure(f"reading from sctp connection failed. err:'{error_text(error)}'") from None
    finally:
        channel.close()
    if message is None:
        raise DialFailure("reading from sctp connection failed. err:'EOF'")
    return message.payload[:1024].decode(errors="replace")


_DIALERS: Final[dict[str, Dialer]] = {"http": dial_http, "udp": dial_udp, "sctp": _dial_sctp}
