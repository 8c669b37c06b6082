"""nc, in busybox's (nc 1.10) and in OpenBSD's words."""

import asyncio
import errno
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from podwire.proto.kube.families import host_port
from podwire.services.node.network.dns_exchange import ResolutionFailure
from podwire.services.node.network.sockets import EVERYWHERE, TcpStream, UdpChannel
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import Options, UsageError, parse_options
from podwire.services.node.programs.usage import refuse

_USAGE: Final = "nc [-u] [-l] [-k] [-n] [-v] [-z] [-w SEC] [-p PORT] [HOST] [PORT]"
_SERVICES: Final = {22: "ssh", 53: "domain", 80: "http", 443: "https", 6379: "redis", 8080: "http-alt"}
_UDP_PROBE: Final = 1
"""Seconds that a UDP scan waits for an ICMP error."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to: the host as it was given, its address, the port."""

    host: str
    address: str
    port: int
    protocol: str


@dataclass(frozen=True, slots=True)
class Words:
    """How one implementation says it; "" where it is silent without -v."""

    opened: Callable[[Target], str]
    failed: Callable[[Target, str, bool], str]
    unknown: Callable[[str], str]
    listening: Callable[[str, int], str]
    everywhere: str
    """Where it listens unless -4 or -6 says otherwise."""


def _openbsd_opened(target: Target) -> str:
    service = _SERVICES.get(target.port, "*")
    shown = target.host if target.host == target.address else f"{target.host} ({target.address})"
    return f"Connection to {shown} {target.port} port [{target.protocol}/{service}] succeeded!"


def _openbsd_failed(target: Target, reason: str, verbose: bool) -> str:
    shown = target.host if target.host == target.address else f"{target.host} ({target.address})"
    text = f"nc: connect to {shown} port {target.port} ({target.protocol}) "
    if not verbose:
        return ""
    return text + ("timed out: Operation now in progress" if reason == "timed out" else f"failed: {reason}")


def _busybox_failed(target: Target, reason: str) -> str:
    why = reason.replace("timed out", "Connection timed out")
    return f"nc: {target.host} ({host_port(target.address, target.port)}): {why}"


_BUSYBOX: Final = Words(
    opened=lambda target: f"{target.host} ({host_port(target.address, target.port)}) open",
    failed=lambda target, reason, verbose: _busybox_failed(target, reason) if verbose else "",
    unknown=lambda host: f"nc: bad address '{host}'",
    listening=lambda address, port: f"listening on {host_port(address, port)} ...",
    everywhere=EVERYWHERE,
)
_OPENBSD: Final = Words(
    opened=_openbsd_opened,
    failed=_openbsd_failed,
    unknown=lambda host: f'nc: getaddrinfo for host "{host}" port: Name or service not known',
    listening=lambda address, port: f"Listening on {address} {port}",
    everywhere="0.0.0.0",
)


async def busybox_nc(process: Process) -> int:
    """nc as busybox has it."""
    return await _netcat(process, _BUSYBOX)


async def openbsd_nc(process: Process) -> int:
    """nc as Debian and Alpine's netcat-openbsd have it."""
    return await _netcat(process, _OPENBSD)


async def _netcat(process: Process, words: Words) -> int:
    try:
        options = parse_options(process.arguments[1:], "ulknvzNw:p:i:q:46")
        wait = float(options.value("w", "0"))
        if not 0 <= wait < 10**7:
            raise UsageError("invalid number")
        if "l" in options:
            return await _listen(process, words, options, _listening_port(options))
        target_words = _target_words(options)
    except (UsageError, ValueError) as error:
        return await refuse(process, error, _USAGE)
    return await _scan(process, words, options, wait, *target_words)


def _listening_port(options: Options) -> int:
    text = options.value("p") or (options.operands[-1] if options.operands else "")
    return _port(text)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 0 < int(text[:6]) < 65536:
        raise UsageError(f"bad port '{text}'")
    return int(text)


def _target_words(options: Options) -> tuple[str, list[int]]:
    """The host and its ports, of which `-z` takes a range."""
    if len(options.operands) < 2:
        raise UsageError("missing host or port")
    ports: list[int] = []
    for text in options.operands[1:]:
        first, dash, last = text.partition("-")
        ports += range(_port(first), _port(last) + 1) if dash else [_port(first)]
    return options.operands[0], ports


async def _scan(process: Process, words: Words, options: Options, wait: float, host: str, ports: list[int]) -> int:
    try:
        resolver = process.resolver()
        address = (await resolver.addresses(host, options.family))[0]
    except ResolutionFailure:
        await process.complain(words.unknown(host))
        return 1
    code = 1
    for port in ports:
        target = Target(host, address, port, "udp" if "u" in options else "tcp")
        code = await _talk(process, words, options, wait, target)
    return code


async def _talk(process: Process, words: Words, options: Options, wait: float, target: Target) -> int:
    try:
        if target.protocol == "udp":
            return await _talk_udp(process, words, options, wait, target)
        async with asyncio.timeout(wait or None):
            stream = await process.network.connect((target.address, target.port))
    except TimeoutError:
        return await _failed(process, words, options, target, "timed out")
    except OSError as error:
        reason = "timed out" if error.errno == errno.ETIMEDOUT else error.strerror or "failed"
        return await _failed(process, words, options, target, reason)
    if "v" in options:
        await process.complain(words.opened(target))
    return await _exchange(process, stream, wait, idle="z" in options)


async def _failed(process: Process, words: Words, options: Options, target: Target, reason: str) -> int:
    text = words.failed(target, reason, "v" in options)
    if text:
        await process.complain(text)
    return 1


async def _exchange(process: Process, stream: TcpStream, wait: float, *, idle: bool) -> int:
    """Moves both ways until the other side ends; -w bounds silence."""
    sender: asyncio.Task[None] | None = None
    try:
        if idle:
            return 0
        sender = asyncio.get_running_loop().create_task(_send_input(process, stream), name="nc input")
        while True:
            async with asyncio.timeout(wait or None):
                data = await stream.read()
            if not data:
                return 0
            await process.stdout.write(data)
    except TimeoutError:
        return 0
    except OSError as error:
        await process.complain(f"nc: {error.strerror}")
        return 1
    finally:
        if sender is not None:
            sender.cancel()
        stream.close()


async def _send_input(process: Process, stream: TcpStream) -> None:
    try:
        while data := await process.stdin.read():
            await stream.write(data)
        stream.finish()
    except OSError:
        return


async def _talk_udp(process: Process, words: Words, options: Options, wait: float, target: Target) -> int:
    channel = process.network.open_udp()
    endpoint = (target.address, target.port)
    try:
        with process.network.shell.turn():
            channel.socket.connect(endpoint)
        if "z" in options:
            channel.send(b"X", endpoint)
            try:
                async with asyncio.timeout(_UDP_PROBE):
                    await channel.receive()
            except TimeoutError:
                pass
            if "v" in options:
                await process.complain(words.opened(target))
            return 0
        return await _exchange_udp(process, channel, endpoint, wait)
    finally:
        channel.close()


async def _exchange_udp(process: Process, channel: UdpChannel, endpoint: tuple[str, int], wait: float) -> int:
    sender = asyncio.get_running_loop().create_task(_send_datagrams(process, channel, endpoint), name="nc input")
    try:
        while True:
            async with asyncio.timeout(wait or None):
                datagram = await channel.receive()
            await process.stdout.write(datagram.payload)
    except TimeoutError:
        return 0
    finally:
        sender.cancel()


async def _send_datagrams(process: Process, channel: UdpChannel, endpoint: tuple[str, int]) -> None:
    try:
        while data := await process.stdin.read(1024):
            channel.send(data, endpoint)
    except OSError:
        return


# -- listening


async def _listen(process: Process, words: Words, options: Options, port: int) -> int:
    address = {"4": "0.0.0.0", "6": EVERYWHERE}.get(options.family, words.everywhere)
    if "u" in options:
        return await _listen_udp(process, port, address)
    streams: asyncio.Queue[TcpStream] = asyncio.Queue()
    try:
        listener = process.network.listen(port, streams.put_nowait, address)
    except OSError as error:
        await process.complain(f"nc: bind: {error.strerror}" if words is _BUSYBOX else f"nc: {error.strerror}")
        return 1
    if "v" in options:
        await process.complain(words.listening(address, port))
    try:
        while True:
            code = await _exchange(process, await streams.get(), 0, idle=False)
            if "k" not in options:
                return code
    finally:
        listener.close()
        while not streams.empty():
            streams.get_nowait().abort()


async def _listen_udp(process: Process, port: int, address: str) -> int:
    channel = process.network.open_udp(port, address)
    sender: asyncio.Task[None] | None = None
    try:
        while True:
            datagram = await channel.receive()
            await process.stdout.write(datagram.payload)
            if sender is None:
                work = _send_datagrams(process, channel, datagram.source)
                sender = asyncio.get_running_loop().create_task(work, name="nc input")
    finally:
        if sender is not None:
            sender.cancel()
        channel.close()
