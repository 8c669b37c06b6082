"""getent hosts, and traceroute by echo requests."""

import asyncio
from typing import Final

from podwire.services.chassis.clock import MILLISECOND
from podwire.services.node.network.resolver import ResolutionFailure, Resolver, is_address
from podwire.services.node.network.sockets import Pinger
from podwire.services.node.pipes import BrokenPipe
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import UsageError, parse_options
from podwire.services.node.programs.usage import refuse

_NOT_FOUND: Final = 2
_ECHO_REPLY: Final = 0
_MARKS: Final = {0: " !N", 1: " !H", 2: " !P", 4: " !F", 9: " !X", 10: " !X", 13: " !X"}


async def getent(process: Process) -> int:
    """getent hosts|ahosts|ahostsv4 NAME…"""
    words = process.arguments[1:]
    if len(words) < 2 or words[0] not in ("hosts", "ahosts", "ahostsv4"):
        known = words and words[0] in ("passwd", "group", "services", "networks", "protocols")
        text = f"getent: {words[0]} is not built: hosts, ahosts, ahostsv4 are" if known else "Unknown database"
        await process.complain(text)
        return 1
    resolver, code = Resolver(process.network, process.files, process.random), 0
    for name in words[1:]:
        try:
            if is_address(name) and words[0] == "hosts":
                canonical, addresses = (await resolver.names(name))[0], [name]
            else:
                canonical, addresses = await resolver.resolve(name)
        except ResolutionFailure:
            code = _NOT_FOUND
            continue
        await process.print(_lines(words[0], canonical, addresses))
    return code


def _lines(database: str, canonical: str, addresses: list[str]) -> str:
    if database == "hosts":
        return "".join(f"{address:<15} {canonical}\n" for address in addresses)
    lines = []
    for number, address in enumerate(addresses):
        name = f" {canonical}" if number == 0 else ""
        lines += [f"{address:<15} STREAM{name}\n", f"{address:<15} DGRAM\n", f"{address:<15} RAW\n"]
    return "".join(lines)


async def traceroute(process: Process) -> int:
    """traceroute [-n] [-m HOPS] [-q PROBES] [-w SEC] HOST: always with echo requests, as -I asks for."""
    try:
        options = parse_options(process.arguments[1:], "nIm:q:w:46")
        hops, probes = int(options.value("m", "30")), int(options.value("q", "3"))
        wait = float(options.value("w", "5"))
        if len(options.operands) != 1 or not (0 < hops < 256 and 0 < probes <= 10 and 0 < wait <= 3600):
            raise UsageError("bad arguments")
    except (UsageError, ValueError) as error:
        return await refuse(process, error, "traceroute [-nI] [-m MAXTTL] [-q PROBES] [-w SEC] HOST")
    host = options.operands[0]
    try:
        address = (await Resolver(process.network, process.files, process.random).addresses(host))[0]
    except ResolutionFailure:
        await process.complain(f"traceroute: bad address '{host}'")
        return 1
    await process.print(f"traceroute to {host} ({address}), {hops} hops max, 46 byte packets\n")
    pinger = process.network.open_ping()
    try:
        for ttl in range(1, hops + 1):
            if await _hop(process, pinger, address, ttl, (probes, wait, "n" in options)):
                break
    except BrokenPipe:
        raise
    except OSError as error:
        await process.complain(f"traceroute: sendto: {error.strerror}")
        return 1
    finally:
        pinger.close()
    return 0


async def _hop(process: Process, pinger: Pinger, address: str, ttl: int, how: tuple[int, float, bool]) -> bool:
    """One line; whether the way ends here."""
    probes, wait, numeric = how
    await process.print(f"{ttl:2d}")
    last, ended = "", False
    for probe in range(probes):
        sequence = ttl * 16 + probe
        begun = process.clock.monotonic_ns()
        pinger.send(address, sequence, bytes(18), ttl=ttl)
        try:
            async with asyncio.timeout(wait):
                while (echo := await pinger.receive()).sequence != sequence:
                    pass
        except TimeoutError:
            await process.print("  *")
            continue
        elapsed = process.clock.monotonic_ns() - begun
        if echo.source != last:
            last = echo.source
            await process.print(f"  {last}" if numeric else f"  {last} ({last})")
        mark = _MARKS.get(echo.code, "") if echo.type == 3 else ""
        await process.print(f"  {elapsed // MILLISECOND}.{elapsed % MILLISECOND // 1000:03} ms{mark}")
        ended = ended or echo.type in (_ECHO_REPLY, 3)
    await process.print("\n")
    return ended
