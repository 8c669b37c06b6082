"""traceroute as distributions have it (2.1), and busybox's: by UDP datagrams, or with -I by echo requests."""

import asyncio
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from podwire.proto.packet import icmp, icmpv6
from podwire.services.chassis.clock import MILLISECOND
from podwire.services.node.network.dns_exchange import ResolutionFailure
from podwire.services.node.network.sockets import PathProber, Pinger
from podwire.services.node.pipes import BrokenPipe
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import UsageError, parse_options
from podwire.services.node.programs.usage import refuse

_FIRST_PORT: Final = 33434
_UDP_HEADERS: Final = 28
_MARKS: Final = {0: " !N", 1: " !H", 2: " !P", 4: " !F", 9: " !X", 10: " !X", 13: " !X"}
_MARKS6: Final = {0: " !N", 1: " !X", 2: " !S", 3: " !H"}
_LONG: Final = {"icmp": "I", "max-hops": "m:", "queries": "q:", "wait": "w:", "first": "f:", "port": "p:"}


class Answer(NamedTuple):
    """Who answered a probe, what is put behind the time, and whether the way ends there."""

    source: str
    mark: str
    is_end: bool


class Prober(Protocol):
    """Sends numbered probes."""

    def send(self, number: int, ttl: int) -> None:
        """Raises OSError."""

    async def answer(self, number: int) -> Answer:
        """The answer to a probe; others are passed over. Raises OSError."""
        ...

    def close(self) -> None:
        """Gives its socket back."""


class EchoProber:
    """Echo requests."""

    def __init__(self, pinger: Pinger, address: str, size: int) -> None:
        self._pinger, self._address, self._size = pinger, address, size

    def send(self, number: int, ttl: int) -> None:
        self._pinger.send(self._address, number, bytes(max(self._size - _UDP_HEADERS, 0)), ttl=ttl)

    async def answer(self, number: int) -> Answer:
        while (echo := await self._pinger.receive()).sequence != number:
            pass
        if echo.type in (icmp.ECHO_REPLY, icmpv6.ECHO_REPLY):
            return Answer(echo.source, "", True)
        return _reported(echo.source, echo.type, echo.code)

    def close(self) -> None:
        self._pinger.close()


class DatagramProber:
    """Datagrams to ports where nobody should listen, one for each probe."""

    def __init__(self, prober: PathProber, address: str, size: int, first_port: int) -> None:
        self._prober, self._address, self._size, self._port = prober, address, size, first_port

    def send(self, number: int, ttl: int) -> None:
        payload = bytes(max(self._size - _UDP_HEADERS, 0))
        self._prober.send(payload, (self._address, self._port + number), ttl)

    async def answer(self, number: int) -> Answer:
        while True:
            report = await self._prober.report()
            if report is None:
                return Answer(self._address, "", True)
            if report.port == self._port + number:
                return _reported(report.source, report.type, report.code)

    def close(self) -> None:
        self._prober.close()


def _reported(source: str, kind: int, code: int) -> Answer:
    if ":" in source:
        if kind != icmpv6.DESTINATION_UNREACHABLE:
            return Answer(source, "", False)
        return Answer(source, "" if code == icmpv6.PORT_UNREACHABLE else _MARKS6.get(code, f" !<{code}>"), True)
    if kind != icmp.DESTINATION_UNREACHABLE:
        return Answer(source, "", False)
    return Answer(source, "" if code == icmp.PORT_UNREACHABLE else _MARKS.get(code, f" !<{code}>"), True)


@dataclass(frozen=True, slots=True)
class _Call:
    """A command line."""

    host: str
    first: int
    hops: int
    probes: int
    wait: float
    numeric: bool
    by_echo: bool
    size: int
    port: int
    family: str


def _read(arguments: list[str], size: int) -> _Call:
    """Raises UsageError and ValueError."""
    options = parse_options(arguments, "nIm:q:w:f:p:46lr", _LONG)
    if not 1 <= len(options.operands) <= 2:
        raise UsageError('Specify "host" missing argument.' if not options.operands else "bad arguments")
    call = _Call(
        host=options.operands[0],
        first=int(options.value("f", "1")),
        hops=int(options.value("m", "30")),
        probes=int(options.value("q", "3")),
        wait=float(options.value("w", "5")),
        numeric="n" in options,
        by_echo="I" in options,
        family=options.family,
        size=int(options.operands[1]) if len(options.operands) > 1 else size,
        port=int(options.value("p", str(_FIRST_PORT))),
    )
    if not 0 < call.first <= call.hops < 256:
        raise UsageError("max hops cannot be more than 255, and the first hop not beyond it")
    if not 0 < call.probes <= 10:
        raise UsageError("no more than 10 probes per hop")
    if not (0 < call.wait <= 3600 and 0 <= call.size <= 65000 and 0 < call.port < 65536 - 2560):
        raise UsageError("bad wait, packet length or port")
    return call


async def traceroute(process: Process) -> int:
    """traceroute [-nI] [-f FIRST] [-m HOPS] [-q PROBES] [-w SEC] [-p PORT] HOST [LENGTH]"""
    return await _run(process, 60)


async def busybox_traceroute(process: Process) -> int:
    """traceroute [-nI] [-f FIRST] [-m HOPS] [-q PROBES] [-w SEC] [-p PORT] HOST [LENGTH], as busybox"""
    return await _run(process, 46)


async def _run(process: Process, size: int) -> int:
    try:
        call = _read(process.arguments[1:], size)
    except (UsageError, ValueError) as error:
        usage = "traceroute [-nI] [-f FIRST] [-m MAXTTL] [-q PROBES] [-w SEC] [-p PORT] HOST [LENGTH]"
        return await refuse(process, error, usage)
    try:
        resolver = process.resolver()
        address = (await resolver.addresses(call.host, call.family))[0]
    except ResolutionFailure:
        await process.complain(f"traceroute: bad address '{call.host}'")
        return 1
    heading = f"traceroute to {call.host} ({address}), {call.hops} hops max, {call.size} byte packets\n"
    await process.print(heading)
    prober = _prober(process, call, address)
    try:
        for ttl in range(call.first, call.hops + 1):
            if await _hop(process, prober, ttl, call):
                break
    except BrokenPipe:
        raise
    except OSError as error:
        await process.complain(f"traceroute: sendto: {error.strerror}")
        return 1
    finally:
        prober.close()
    return 0


def _prober(process: Process, call: _Call, address: str) -> Prober:
    if call.by_echo:
        return EchoProber(process.network.open_ping(), address, call.size)
    return DatagramProber(process.network.open_path_prober(), address, call.size, call.port)


async def _hop(process: Process, prober: Prober, ttl: int, call: _Call) -> bool:
    """One line; whether the way ends here."""
    await process.print(f"{ttl:2d} ")
    last, ended = "", False
    for probe in range(call.probes):
        number = (ttl - 1) * call.probes + probe
        begun = process.clock.monotonic_ns()
        prober.send(number, ttl)
        try:
            async with asyncio.timeout(call.wait):
                answer = await prober.answer(number)
        except TimeoutError:
            await process.print(" *")
            continue
        elapsed = process.clock.monotonic_ns() - begun
        if answer.source != last:
            last = answer.source
            await process.print(f" {last}" if call.numeric else f" {last} ({last})")
        await process.print(f"  {elapsed // MILLISECOND}.{elapsed % MILLISECOND // 1000:03} ms{answer.mark}")
        ended = ended or answer.is_end
    await process.print("\n")
    return ended
