"""tcpdump 4.99 on the packet sockets of the program's network namespace. Addresses and ports are always numbers."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from podwire.services.node.files import FileError
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.sockets.capture import CapturedFrame
from podwire.services.node.network.sockets import Capture
from podwire.services.node.process import Process
from podwire.services.node.processes import INTERRUPT, TERMINATE
from podwire.services.node.programs.arguments import Options, UsageError, parse_options
from podwire.services.node.programs.calendar import format_date
from podwire.services.node.programs.filesystem import read_file, write_file
from podwire.services.node.programs.tcpdump import files
from podwire.services.node.programs.tcpdump.filter import FilterError, Predicate, compile_filter
from podwire.services.node.programs.tcpdump.text import Printer, hexadecimal

_LONGEST_FILE: Final = 64 * 1024 * 1024
_SHORT: Final = "nNi:c:evqXxAr:w:lUs:tSpKDZ:B:h"
_USAGE: Final = "Usage: tcpdump [-AeDlnNpqStUvxX] [ -c count ] [ -i interface ] [ -r file ] [ -w file ] [ expression ]"
_LONG: Final = {"count": "count", "list-interfaces": "D", "immediate-mode": "U", "interface": "i:", "help": "h"}


@dataclass(slots=True)
class _Run:
    """One call: what it prints or writes, and how many frames it has taken."""

    process: Process
    options: Options
    fits: Predicate
    printer: Printer
    limit: int
    offset: int = 0
    """Nanoseconds between the kernel's clock and the epoch."""
    taken: int = 0
    fitting: int = 0
    """What passed the filter; more than what was taken when -c ended it."""
    written: bytearray = field(default_factory=bytearray)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_done(self) -> bool:
        """Whether -c is reached."""
        return bool(self.limit) and self.taken >= self.limit


async def tcpdump(process: Process) -> int:
    """tcpdump [-n] [-i DEVICE|any] [-c COUNT] [-evqXxAStl] [-w FILE] [-r FILE] [EXPRESSION]"""
    try:
        options = parse_options(process.arguments[1:], _SHORT, _LONG)
        run = _Run(process, options, compile_filter(" ".join(options.operands)), _printer(options), _limit(options))
        if "h" in options:
            await process.complain(f"tcpdump version 4.99.4\n{_USAGE}")
            return 0
        if "D" in options:
            await _list_devices(process)
            return 0
        return await (_replay(run) if "r" in options else _listen(run))
    except UsageError as error:
        await process.complain(f"tcpdump: {error}\n{_USAGE}")
    except (FilterError, files.FileProblem) as error:
        text = str(error)
        prefix = "can't parse filter expression: " if text == "syntax error" else ""
        await process.complain(f"tcpdump: {prefix}{text}")
    except FileError as error:
        await process.complain(f"tcpdump: {options.value('r') or options.value('w')}: {error.strerror}")
    except KernelError:
        name = options.value("i")
        await process.complain(f"tcpdump: {name}: No such device exists\n(No such device exists)")
    return 1


def _printer(options: Options) -> Printer:
    return Printer(verbose="v" in options, link="e" in options, quiet="q" in options, absolute="S" in options)


def _limit(options: Options) -> int:
    given = options.value("c")
    if "c" not in options:
        return 0
    if not (given.isascii() and given.isdigit()) or not 0 < int(given) < 1 << 31:
        raise UsageError(f"invalid packet count {given}")
    return int(given)


async def _list_devices(process: Process) -> None:
    with process.network.shell.turn() as kernel:
        devices = list(kernel.namespace(process.network.namespace).devices.values())
    names = [f"{each.name} [Up, Running]" if each.up else each.name for each in devices]
    names.append("any (Pseudo-device that captures on all interfaces) [Up, Running]")
    await process.print("".join(f"{number}.{name}\n" for number, name in enumerate(names, 1)))


# -- frames of a file


async def _replay(run: _Run) -> int:
    name = run.options.value("r")
    await run.process.complain(
        f"reading from file {name}, link-type EN10MB (Ethernet), snapshot length {files.SNAPSHOT}"
    )
    for time, frame in files.read(read_file(run.process, name)):
        if run.is_done:
            break
        if run.fits(frame):
            await _take(run, CapturedFrame(time, "", False, frame, "", 0))
    _save(run)
    return 0


# -- frames of a device


async def _listen(run: _Run) -> int:
    process, device = run.process, run.options.value("i") or _first_device(run.process)
    run.offset = process.clock.now_ns() - process.clock.monotonic_ns()
    capture = process.network.open_capture("" if device == "any" else device)
    if process.running is not None:
        for number in (INTERRUPT, TERMINATE):
            process.running.handlers[number] = lambda _: run.stopped.set()
    try:
        await _say_what_is_heard(run, device)
        if run.options.value("w") == "-":
            await process.stdout.write(files.header())
        await _collect(run, capture)
    finally:
        capture.close()
    _save(run)
    plural = "" if run.taken == 1 else "s"
    received = run.fitting
    await process.complain(f"{run.taken} packet{plural} captured")
    await process.complain(f"{received} packet{'' if received == 1 else 's'} received by filter")
    await process.complain(f"{capture.socket.dropped} packets dropped by kernel")
    return 0


def _first_device(process: Process) -> str:
    """Without -i the first that is up and not the loopback."""
    with process.network.shell.turn() as kernel:
        devices = list(kernel.namespace(process.network.namespace).devices.values())
    return next((each.name for each in devices if each.up and each.kind != "loopback"), "lo")


async def _say_what_is_heard(run: _Run, device: str) -> None:
    kind = "LINUX_SLL2 (Linux cooked v2)" if device == "any" and "w" not in run.options else "EN10MB (Ethernet)"
    heard = f"listening on {device}, link-type {kind}, snapshot length {files.SNAPSHOT} bytes"
    if "v" in run.options or "w" in run.options:
        await run.process.complain(f"tcpdump: {heard}")
        return
    await run.process.complain("tcpdump: verbose output suppressed, use -v[v]... for full protocol decode")
    await run.process.complain(heard)


async def _collect(run: _Run, capture: Capture) -> None:
    """Takes frames until -c is reached or a signal comes; what waits then is still taken."""
    stopping = asyncio.get_running_loop().create_task(run.stopped.wait())
    stopping.add_done_callback(lambda _: capture.wake())
    try:
        while not run.is_done:
            seen = capture.receive()
            if seen is None:
                if run.stopped.is_set():
                    return
                await capture.change()
            elif run.fits(seen.frame):
                run.fitting += 1
                await _take(run, seen)
        while (seen := capture.receive()) is not None:
            run.fitting += run.fits(seen.frame)
    finally:
        stopping.cancel()


async def _take(run: _Run, seen: CapturedFrame) -> None:
    run.taken += 1
    time = seen.time + run.offset
    if "w" not in run.options:
        await run.process.print(_line(run, seen, time))
        return
    if len(run.written) > _LONGEST_FILE:
        raise files.FileProblem(f"{run.options.value('w')}: File too large")
    if run.options.value("w") == "-":
        await run.process.stdout.write(files.record(time, seen.frame))
        return
    run.written += files.record(time, seen.frame)


def _line(run: _Run, seen: CapturedFrame, time: int) -> str:
    told = run.printer.frame(seen.frame)
    if run.options.value("i") == "any":
        told = f"{seen.device} {'Out' if seen.is_outgoing else 'In '} {told}"
    text = f"{_time(run.options.count('t'), time)}{told}\n"
    if "X" in run.options or "x" in run.options:
        text += hexadecimal(seen.frame[14:], with_text="X" in run.options)
    if "A" in run.options:
        text += "".join(chr(byte) if 32 <= byte < 127 or byte == 10 else "." for byte in seen.frame[14:]) + "\n"
    return text


def _time(style: int, time: int) -> str:
    """The time of day, or with -t nothing, with -tt seconds since the epoch, with -tttt the date too (in UTC)."""
    seconds, micros = divmod(time // 1000, 1_000_000)
    if style == 1:
        return ""
    if style == 2:
        return f"{seconds}.{micros:06} "
    day = f"{seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{micros:06} "
    return f"{format_date('%Y-%m-%d', time)} {day}" if style == 4 else day


def _save(run: _Run) -> None:
    if run.options.value("w") not in ("", "-"):
        write_file(run.process, run.options.value("w"), files.header() + bytes(run.written))
