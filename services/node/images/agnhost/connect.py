"""agnhost connect (connect.go): silent and 0, or what is the matter in one fixed word and 1."""

import asyncio
import errno
from typing import Final

from podwire.services.chassis.clock import SECOND
from podwire.services.node.images.agnhost.go import (
    BadAddress,
    BadDuration,
    dial_error,
    error_text,
    join,
    lookup_error,
    parse_duration,
    resolve,
    split_host_port,
)
from podwire.services.node.images.agnhost.options import read_options
from podwire.services.node.network import sctp
from podwire.services.node.network.dns_exchange import ResolutionFailure
from podwire.services.node.network.sockets import Endpoint
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import Options, UsageError

_FLAGS: Final = {"timeout": "0", "protocol": "tcp", "udp-data": "hostname", "sctp-data": "hostname"}


class Verdict(Exception):
    """What is printed when the connection failed."""


async def connect(process: Process) -> int:
    """connect HOST:PORT [--timeout 5s] [--protocol tcp|udp|sctp] [--udp-data TEXT] [--sctp-data TEXT]"""
    options = read_options(process.arguments[1:], _FLAGS, operands=1)
    try:
        timeout = parse_duration(options.value("timeout")) / SECOND
    except BadDuration as error:
        raise UsageError(f'invalid argument "{options.value("timeout")}" for "--timeout" flag: {error}') from None
    try:
        await _by_protocol(process, options, timeout or None)
    except Verdict as verdict:
        await process.complain(str(verdict))
        return 1
    return 0


async def _by_protocol(process: Process, options: Options, timeout: float | None) -> None:
    protocol = options.value("protocol") or "tcp"
    if protocol not in ("tcp", "udp", "sctp"):
        raise Verdict(f"Unsupported protocol\n{protocol}")
    endpoint = await _resolved(process, options.operands[0], protocol)
    if protocol == "sctp":
        await _connect_sctp(process, endpoint, timeout or 0.0, options.value("sctp-data"))
    elif protocol == "udp":
        await _connect_udp(process, endpoint, timeout, options.value("udp-data"))
    else:
        await _connect_tcp(process, endpoint, timeout)


async def _resolved(process: Process, text: str, protocol: str) -> Endpoint:
    try:
        host, port = split_host_port(text)
    except BadAddress as error:
        word = "UNKNOWN" if protocol == "tcp" and "invalid port" not in str(error) else "DNS"
        raise Verdict(f"{word}: {error}") from None
    try:
        return await resolve(process, host), port
    except ResolutionFailure as failure:
        raise Verdict(f"DNS: {lookup_error(process, failure)}") from None


async def _connect_tcp(process: Process, endpoint: Endpoint, timeout: float | None) -> None:
    try:
        async with asyncio.timeout(timeout):
            stream = await process.network.connect(endpoint)
    except TimeoutError:
        raise Verdict("TIMEOUT") from None
    except OSError as error:
        words = {errno.ECONNREFUSED: "REFUSED", errno.ETIMEDOUT: "TIMEOUT"}
        raise Verdict(words.get(error.errno or 0) or f"OTHER: {dial_error('tcp', endpoint, error)}") from None
    stream.close()


async def _connect_sctp(process: Process, endpoint: Endpoint, timeout: float, data: str) -> None:
    """Says something and waits for an answer. Without --timeout it is over at once, as time.After(0) makes it there."""
    if not timeout:
        raise Verdict("TIMEOUT")
    try:
        async with asyncio.timeout(timeout):
            channel = await sctp.connect(process.network, endpoint)
            try:
                await channel.write(f"{data}\n".encode())
                if await channel.read() is None:
                    raise Verdict("OTHER: EOF")
            finally:
                channel.close()
    except TimeoutError:
        raise Verdict("TIMEOUT") from None
    except OSError as error:
        raise Verdict(f"OTHER: {error_text(error)}") from None


async def _connect_udp(process: Process, endpoint: Endpoint, timeout: float | None, data: str) -> None:
    channel = process.network.open_udp()
    try:
        with process.network.shell.turn():
            channel.socket.connect(endpoint)
        channel.send(f"{data}\n".encode(), endpoint)
        async with asyncio.timeout(timeout):
            answer = await channel.receive()
    except TimeoutError:
        ways = f"{join(channel.socket.local_endpoint)}->{join(endpoint)}"
        raise Verdict(f"TIMEOUT: read udp {ways}: i/o timeout") from None
    except OSError as error:
        ways = f"{join(channel.socket.local_endpoint)}->{join(endpoint)}"
        word = "REFUSED" if error.errno == errno.ECONNREFUSED else "UNKNOWN"
        raise Verdict(f"{word}: read udp {ways}: read: {error_text(error)}") from None
    finally:
        channel.close()
    if not answer.payload:
        text = "No data received from the server. Cannot guarantee the server received the request."
        raise Verdict(f"OTHER: {text}")
