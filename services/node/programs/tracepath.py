"""tracepath (iputils tracepath.c): the hops to a host and the largest packet that every link on the way takes."""

import asyncio
from dataclasses import dataclass
from typing import Final

from podwire.proto.packet import icmp, icmpv6
from podwire.proto.packet.addresses import parse_address
from podwire.services.chassis.clock import MILLISECOND
from podwire.services.node.kernel.sockets.udp import PathReport
from podwire.services.node.network.dns_exchange import ResolutionFailure
from podwire.services.node.network.sockets import PathProber
from podwire.services.node.pipes import BrokenPipe
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import UsageError, parse_options
from podwire.services.node.programs.usage import refuse

_PORT: Final = 44444
_COLUMN: Final = 52
_TRIES: Final = 3
_WAIT: Final = 1.0
_UNREACHABLE: Final = {icmp.NET_UNREACHABLE: "!N", icmp.PROTOCOL_UNREACHABLE: "!P"}


@dataclass(slots=True)
class _Path:
    """What is known so far."""

    process: Process
    prober: PathProber
    address: str
    mtu: int
    numeric: bool
    port: int
    hops: int = 0
    back: int = 0

    @property
    def overhead(self) -> int:
        """IP and UDP headers."""
        return 48 if ":" in self.address else 28


async def tracepath(process: Process) -> int:
    """tracepath [-n] [-m HOPS] [-l LENGTH] [-p PORT] HOST"""
    try:
        options = parse_options(process.arguments[1:], "nb46m:l:p:")
        most, port = int(options.value("m", "30")), int(options.value("p", str(_PORT)))
        length = int(options.value("l", "65535"))
        if len(options.operands) != 1:
            raise UsageError("one host is needed")
        if not (0 < most < 256 and 0 < port < 65000 and 100 <= length <= 65535):
            raise UsageError("bad hops, port or length")
    except (UsageError, ValueError) as error:
        return await refuse(process, error, "tracepath [-n] [-m HOPS] [-l LENGTH] [-p PORT] HOST")
    try:
        resolver = process.resolver()
        found = await resolver.addresses(options.operands[0], options.family)
    except ResolutionFailure:
        await process.complain(f"tracepath: {options.operands[0]}: Name or service not known")
        return 1
    prober = process.network.open_path_prober()
    path = _Path(process, prober, found[0], length, "n" in options, port)
    try:
        return await _follow(path, most)
    except BrokenPipe:
        raise
    except OSError as error:
        await process.complain(f"tracepath: {error.strerror}")
        return 1
    finally:
        prober.close()


async def _follow(path: _Path, most: int) -> int:
    process = path.process
    first = path.prober.mtu_to(parse_address(path.address))
    if first < path.mtu:
        path.mtu = first
        await process.print(f" 1?: {'[LOCALHOST]':<{_COLUMN}}pmtu {first}\n")
    for ttl in range(1, most + 1):
        if await _hop(path, ttl):
            break
    else:
        await process.print(f"     Too many hops: pmtu {path.mtu}\n")
    known = f"hops {path.hops} back {path.back} " if path.hops else ""
    await process.print(f"     Resume: pmtu {path.mtu} {known}\n")
    return 0


async def _hop(path: _Path, ttl: int) -> bool:
    """The lines of one distance; whether the way ends there. A smaller MTU is told and tried again."""
    failed = 0
    while failed < _TRIES:
        path.port += 1
        begun = path.process.clock.monotonic_ns()
        path.prober.send(bytes(path.mtu - path.overhead), (path.address, path.port), ttl)
        report = await _report(path)
        if report is None:
            failed += 1
            continue
        elapsed = path.process.clock.monotonic_ns() - begun
        end = _judge(path, report, ttl)
        await path.process.print(f"{ttl:2d}:  {_host(path, report):<{_COLUMN}}{_time(elapsed)}ms {end}\n")
        if report.mtu and report.mtu < path.mtu:
            path.mtu = report.mtu
            continue
        return bool(end) and not end.startswith("asymm")
    await path.process.print(f"{ttl:2d}:  no reply\n")
    return False


async def _report(path: _Path) -> PathReport | None:
    """The report about the last probe, None if there is none in time."""
    try:
        async with asyncio.timeout(_WAIT):
            while (report := await path.prober.report()) is None or report.port != path.port:
                pass
            return report
    except TimeoutError:
        return None


def _host(path: _Path, report: PathReport) -> str:
    return report.source if path.numeric else f"{report.source} ({report.source})"


def _time(elapsed: int) -> str:
    return f"{elapsed // MILLISECOND:3d}.{elapsed % MILLISECOND // 1000:03}"


def _judge(path: _Path, report: PathReport, ttl: int) -> str:
    """What stands behind the time: a smaller MTU, that the host was reached, or why it cannot be."""
    back = next(start - report.ttl for start in (65, 129, 256) if report.ttl < start)
    if report.mtu:
        return f"pmtu {report.mtu}"
    is_new = ":" in report.source
    unreachable = icmpv6.DESTINATION_UNREACHABLE if is_new else icmp.DESTINATION_UNREACHABLE
    if report.type != unreachable:
        return f"asymm {back:2d} " if back != ttl else ""
    if report.code == (icmpv6.PORT_UNREACHABLE if is_new else icmp.PORT_UNREACHABLE):
        path.hops, path.back = ttl, back
        return "reached"
    return "!N" if is_new and report.code == 0 else "!H" if is_new else _UNREACHABLE.get(report.code, "!H")
