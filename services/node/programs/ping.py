"""ping, in busybox's and in iputils' words."""

import asyncio
import errno
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from podwire.proto.packet import icmpv6
from podwire.services.chassis.clock import MILLISECOND, SECOND
from podwire.services.node.kernel.sockets.ping import Echo
from podwire.services.node.network.dns_exchange import ResolutionFailure
from podwire.services.node.network.resolv_conf import is_address
from podwire.services.node.network.sockets import Pinger
from podwire.services.node.pipes import BrokenPipe
from podwire.services.node.process import Process
from podwire.services.node.processes import INTERRUPT
from podwire.services.node.programs.arguments import UsageError, parse_options
from podwire.services.node.programs.usage import refuse

_ECHO_REPLY: Final = (0, 129)
"""Of ICMP and of ICMPv6, whose other types do not have these numbers."""
_TIME_EXCEEDED: Final = 11
_UNREACHABLE: Final = {
    0: "Destination Net Unreachable",
    1: "Destination Host Unreachable",
    2: "Destination Protocol Unreachable",
    3: "Destination Port Unreachable",
    4: "Frag needed and DF set",
    9: "Destination Net Prohibited",
    10: "Destination Host Prohibited",
    13: "Packet filtered",
}
_BUSYBOX_NAMES: Final = {3: "Destination Unreachable", 5: "Redirect (change route)", 11: "Time Exceeded"}


@dataclass(frozen=True, slots=True)
class Call:
    """A command line; times in nanoseconds, 0 packets and 0 deadline for no end."""

    host: str
    count: int
    interval: int
    wait: int
    deadline: int
    size: int
    ttl: int
    quiet: bool
    family: str = ""
    """"4", "6" or "" for either."""


@dataclass(slots=True)
class Tally:
    """What became of the packets: times of sending by sequence number, round trips in nanoseconds."""

    sent: dict[int, int] = field(default_factory=dict)
    answered: dict[int, None] = field(default_factory=dict)
    round_trips: list[int] = field(default_factory=list)
    errors: int = 0
    duplicates: int = 0


@dataclass(frozen=True, slots=True)
class Words:
    """How one implementation says it. `first` is the first sequence number."""

    first: int
    final_wait: int
    """Seconds to wait for the last answers unless -W says otherwise."""
    unknown: Callable[[str, bool], str]
    unknown_code: int
    unreachable: str
    unreachable_code: int
    heading: Callable[[str, str, int], str]
    reply: Callable[[Echo, int, int, bool], str]
    problem: Callable[[Echo], str]
    problems_are_errors: bool
    summary: Callable[[str, Tally, int], str]


def read_call(process: Process, words: Words) -> Call:
    """Reads the command line. Raises UsageError and ValueError."""
    options = parse_options(process.arguments[1:], "46nqAaDvOc:i:W:w:s:t:I:p:")
    if len(options.operands) != 1:
        raise UsageError("missing host operand")
    numbers = {letter: float(options.value(letter)) for letter in "ciWwst" if letter in options}
    if any(not 0 <= number < 10**7 for number in numbers.values()):
        raise UsageError("invalid number")
    if numbers.get("s", 0) > 65507 or numbers.get("t", 0) > 255:
        raise UsageError("invalid number")
    return Call(
        host=options.operands[0],
        count=int(numbers.get("c", 0)),
        interval=max(round(numbers.get("i", 1) * SECOND), MILLISECOND),
        wait=round(numbers.get("W", words.final_wait) * SECOND),
        deadline=round(numbers.get("w", 0) * SECOND),
        size=int(numbers.get("s", 56)),
        ttl=int(numbers.get("t", 0)),
        quiet="q" in options,
        family="6" if "6" in options else "4" if "4" in options else "",
    )


class _Session:
    def __init__(self, process: Process, call: Call, words: Words, pinger: Pinger) -> None:
        self._process, self._call, self._words, self._pinger = process, call, words, pinger
        self._begun = self._now()
        self._interrupted = False
        self._waiting: asyncio.Timeout | None = None
        if process.running is not None:
            process.running.handlers[INTERRUPT] = self._interrupt
        self.tally = Tally()

    def _now(self) -> int:
        return self._process.clock.monotonic_ns()

    def _interrupt(self, _: int) -> None:
        """^C ends it with its report."""
        self._interrupted = True
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time())

    async def run(self, name: str, address: str) -> int:
        """Sends, receives and reports; 0 if anything was answered, else 1."""
        call, words = self._call, self._words
        await self._process.print(words.heading(name, address, call.size))
        number = words.first
        try:
            while not self._over() and (not call.count or number < call.count + words.first):
                self._send(address, number)
                number += 1
                is_last = call.count and number == call.count + words.first
                await self._listen(self._now() + (call.wait if is_last else call.interval), is_last=bool(is_last))
        finally:
            self._pinger.close()
        await self._process.print("\n" + words.summary(name, self.tally, (self._now() - self._begun) // MILLISECOND))
        return int(not self.tally.round_trips)

    def _over(self) -> bool:
        return self._interrupted or (bool(self._call.deadline) and self._now() >= self._begun + self._call.deadline)

    def _send(self, address: str, number: int) -> None:
        self.tally.sent[number & 0xFFFF] = self._now()
        self.tally.answered.pop(number & 0xFFFF, None)
        self._pinger.send(address, number, bytes(self._call.size), ttl=self._call.ttl)

    async def _listen(self, until: int, *, is_last: bool) -> None:
        if self._call.deadline:
            until = min(until, self._begun + self._call.deadline)
        while (left := until - self._now()) > 0:
            if is_last and len(self.tally.answered) >= len(self.tally.sent):
                return
            try:
                async with asyncio.timeout(left / SECOND) as self._waiting:
                    echo = await self._pinger.receive()
            except TimeoutError:
                return
            finally:
                self._waiting = None
            await self._arrived(echo)

    async def _arrived(self, echo: Echo) -> None:
        sent = self.tally.sent.get(echo.sequence)
        if sent is None:
            return
        if echo.type not in _ECHO_REPLY:
            self.tally.errors += 1
            self.tally.answered[echo.sequence] = None
            line = self._words.problem(echo)
            await (
                self._process.print(line) if not line.startswith("ping:") else self._process.stderr.write(line.encode())
            )
            return
        round_trip = echo.received - sent
        duplicate = echo.sequence in self.tally.answered
        self.tally.answered[echo.sequence] = None
        if duplicate:
            self.tally.duplicates += 1
        else:
            self.tally.round_trips.append(round_trip)
        if not self._call.quiet:
            await self._process.print(self._words.reply(echo, len(echo.payload) + 8, round_trip, duplicate))


async def _ping(process: Process, words: Words) -> int:
    try:
        call = read_call(process, words)
    except (UsageError, ValueError) as error:
        usage = "ping [-c COUNT] [-i INTERVAL] [-W SEC] [-w SEC] [-s SIZE] [-t TTL] [-q] HOST"
        return await refuse(process, error, usage, code=words.unknown_code)
    try:
        resolver = process.resolver()
        name, addresses = await resolver.resolve(call.host, call.family)
    except ResolutionFailure as failure:
        other = is_address(call.host) and f"ping: {call.host}: Address family for hostname not supported"
        await process.complain(other or words.unknown(call.host, failure.temporary))
        return words.unknown_code
    shown = call.host if words.first == 0 else name
    try:
        return await _Session(process, call, words, process.network.open_ping()).run(shown, addresses[0])
    except BrokenPipe:
        raise
    except OSError as error:
        reason = words.unreachable if error.errno == errno.ENETUNREACH else error.strerror
        await process.complain(f"ping: {reason}")
        return words.unreachable_code


# -- busybox (networking/ping.c)


def _milliseconds(nanoseconds: int) -> str:
    return f"{nanoseconds // MILLISECOND}.{nanoseconds % MILLISECOND // 1000:03}"


def _busybox_summary(host: str, tally: Tally, _: int) -> str:
    sent, received = len(tally.sent), len(tally.round_trips)
    duplicates = f"{tally.duplicates} duplicates, " if tally.duplicates else ""
    loss = (sent - received) * 100 // sent if sent else 0
    text = f"--- {host} ping statistics ---\n{sent} packets transmitted, {received} packets received, "
    text += f"{duplicates}{loss}% packet loss\n"
    if received:
        trips = tally.round_trips
        values = (min(trips), sum(trips) // received, max(trips))
        text += f"round-trip min/avg/max = {'/'.join(map(_milliseconds, values))} ms\n"
    return text


def _busybox_reply(echo: Echo, size: int, round_trip: int, duplicate: bool) -> str:
    tail = f"time={_milliseconds(round_trip)} ms{' (DUP!)' if duplicate else ''}"
    return f"{size} bytes from {echo.source}: seq={echo.sequence} ttl={echo.ttl} {tail}\n"


def _busybox_problem(echo: Echo) -> str:
    return f"ping: warning: got ICMP {echo.type} ({_BUSYBOX_NAMES.get(echo.type, 'unknown ICMP type')})\n"


_BUSYBOX: Final = Words(
    first=0,
    final_wait=10,
    unknown=lambda host, _: f"ping: bad address '{host}'",
    unknown_code=1,
    unreachable="sendto: Network unreachable",
    unreachable_code=1,
    heading=lambda host, address, size: f"PING {host} ({address}): {size} data bytes\n",
    reply=_busybox_reply,
    problem=_busybox_problem,
    problems_are_errors=True,
    summary=_busybox_summary,
)


async def busybox_ping(process: Process) -> int:
    """ping [OPTION]… HOST, as busybox 1.36."""
    return await _ping(process, _BUSYBOX)


# -- iputils (ping/ping_common.c)


def _rounded(nanoseconds: int) -> str:
    """iputils prints fewer digits for longer times."""
    if nanoseconds >= 100 * MILLISECOND:
        return f"{nanoseconds // MILLISECOND}"
    if nanoseconds >= 10 * MILLISECOND:
        return f"{nanoseconds // MILLISECOND}.{nanoseconds % MILLISECOND // 100_000}"
    if nanoseconds >= MILLISECOND:
        return f"{nanoseconds // MILLISECOND}.{nanoseconds % MILLISECOND // 10_000:02}"
    return _milliseconds(nanoseconds)


def _iputils_summary(host: str, tally: Tally, elapsed: int) -> str:
    sent, received = len(tally.sent), len(tally.round_trips)
    duplicates = f"+{tally.duplicates} duplicates, " if tally.duplicates else ""
    errors = f"+{tally.errors} errors, " if tally.errors else ""
    loss = f"{(sent - received) * 100 / sent:.6g}" if sent else "0"
    text = f"--- {host} ping statistics ---\n{sent} packets transmitted, {received} received, "
    text += f"{duplicates}{errors}{loss}% packet loss, time {elapsed}ms\n"
    if not received:
        return text + "\n"
    trips = [each // 1000 for each in tally.round_trips]
    average = sum(trips) // received
    deviation = math.isqrt(max(sum(each * each for each in trips) // received - average * average, 0))
    values = [_milliseconds(each * 1000) for each in (min(trips), average, max(trips), deviation)]
    return text + f"rtt min/avg/max/mdev = {'/'.join(values)} ms\n"


def _iputils_reply(echo: Echo, size: int, round_trip: int, duplicate: bool) -> str:
    tail = f"time={_rounded(round_trip)} ms{' (DUP!)' if duplicate else ''}"
    return f"{size} bytes from {echo.source}: icmp_seq={echo.sequence} ttl={echo.ttl} {tail}\n"


_UNREACHABLE6: Final = {
    0: "No route",
    1: "Administratively prohibited",
    3: "Address unreachable",
    4: "Port unreachable",
}


def _iputils_problem(echo: Echo) -> str:
    if ":" in echo.source:
        return f"From {echo.source} icmp_seq={echo.sequence} {_problem6(echo)}\n"
    text = "Time to live exceeded" if echo.type == _TIME_EXCEEDED else _UNREACHABLE.get(echo.code, "Dest Unreachable")
    return f"From {echo.source} icmp_seq={echo.sequence} {text}\n"


def _problem6(echo: Echo) -> str:
    """ping6_common.c, print_icmp."""
    if echo.type == icmpv6.DESTINATION_UNREACHABLE:
        return f"Destination unreachable: {_UNREACHABLE6.get(echo.code, f'Unknown code {echo.code}')}"
    if echo.type == icmpv6.TIME_EXCEEDED:
        return f"Time exceeded: {'Defragmentation failure' if echo.code else 'Hop limit'}"
    return "Packet too big" if echo.type == icmpv6.PACKET_TOO_BIG else f"ICMP type: {echo.type}"


def _iputils_heading(host: str, address: str, size: int) -> str:
    if ":" in address:
        return f"PING {host}({address}) {size} data bytes\n"
    return f"PING {host} ({address}) {size}({size + 28}) bytes of data.\n"


_IPUTILS: Final = Words(
    first=1,
    final_wait=10,
    unknown=lambda host, temporary: (
        f"ping: {host}: {'Temporary failure in name resolution' if temporary else 'Name or service not known'}"
    ),
    unknown_code=2,
    unreachable="connect: Network is unreachable",
    unreachable_code=2,
    heading=_iputils_heading,
    reply=_iputils_reply,
    problem=_iputils_problem,
    problems_are_errors=False,
    summary=_iputils_summary,
)


async def iputils_ping(process: Process) -> int:
    """ping [OPTION]… HOST, as iputils."""
    return await _ping(process, _IPUTILS)


async def iputils_ping6(process: Process) -> int:
    """ping6, which is ping -6."""
    return await iputils_ping(process.with_arguments(["ping", "-6", *process.arguments[1:]]))
