"""kill, killall, pidof, pgrep, pkill: signals to processes by id and by name."""

import asyncio
from dataclasses import dataclass

from podwire.services.node.process import Process
from podwire.services.node.processes import SIGNALS, STOPPING, TERMINATE, Running, signal_name, signal_number
from podwire.services.node.programs.arguments import UsageError, parse_options
from podwire.services.node.programs.expressions import BadExpression, compile_expression
from podwire.services.node.programs.usage import refuse


@dataclass(frozen=True, slots=True)
class _Call:
    signal: int
    words: list[str]


class _Refused(Exception):
    """A command line that cannot be followed; says why."""


def _parse(words: list[str]) -> _Call:
    """`-TERM`, `-15`, `-s TERM`, `-n 15` and operands. Raises _Refused."""
    if not words or not words[0].startswith("-") or words[0] == "--":
        return _Call(TERMINATE, words[1:] if words[:1] == ["--"] else words)
    if words[0] in ("-s", "-n"):
        name, rest = (words[1:2] or [""])[0], words[2:]
    else:
        name, rest = words[0][1:], words[1:]
    number = signal_number(name)
    if number is None:
        raise _Refused(f"bad signal name '{name}'")
    if number in STOPPING:
        raise _Refused(f"SIG{signal_name(number)} is not built in podwire: a program cannot be stopped and continued")
    return _Call(number, rest[1:] if rest[:1] == ["--"] else rest)


async def kill(process: Process, name: str = "kill") -> int:
    """kill [-SIGNAL] PID…, kill -l: `name` is in front of complaints (the shell's own, or this program's)."""
    words = process.arguments[1:]
    if words[:1] == ["-l"]:
        await process.print("".join(f"{number:2d}) {each}\n" for each, number in SIGNALS.items()))
        return 0
    try:
        call = _parse(words)
        if not call.words:
            raise _Refused("you need to specify whom to kill")
    except _Refused as refused:
        await process.complain(f"{name}: {refused}")
        return 1
    status = 0
    for word in call.words:
        status |= await _kill_one(process, word, call.signal, name)
    await asyncio.sleep(0)
    return status


async def _kill_one(process: Process, word: str, number: int, name: str) -> int:
    digits = word.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 9:
        await process.complain(f"{name}: invalid number '{word}'")
        return 1
    if word == "-1":
        others = [each for pid, each in process.processes.listing() if pid != 1 and each is not process.running]
        _send(process, others, number)
        return 0
    if int(word) <= 0:
        await process.complain(f"{name}: {word}: process groups are not built in podwire")
        return 1
    found = process.processes.find(int(word))
    if found is None:
        await process.complain(f"{name}: can't kill pid {word}: No such process")
        return 1
    _send(process, [found], number)
    return 0


def _send(process: Process, targets: list[Running], number: int) -> None:
    for target in targets:
        target.send(number, process.processes)


def name_of(running: Running) -> str:
    """A process's comm: the program's name, 15 letters at most (proc(5))."""
    return (running.arguments[0].rpartition("/")[2] if running.arguments else "")[:15]


def _named(process: Process, pattern: str, *, exact: bool, whole: bool) -> list[tuple[int, Running]]:
    """Processes by name, this one left out. Raises BadExpression."""
    expression = compile_expression(pattern, extended=True)
    found = []
    for number, running in process.processes.listing():
        text = " ".join(running.arguments) if whole else name_of(running)
        hit = expression.search(text)
        whole_text = hit is not None and hit == (0, len(text))
        if hit is not None and (whole_text or not exact) and running is not process.running:
            found.append((number, running))
    return found


async def killall(process: Process) -> int:
    """killall [-SIGNAL] [-q] NAME…"""
    quiet = "-q" in process.arguments
    try:
        call = _parse([word for word in process.arguments[1:] if word != "-q"])
    except _Refused as refused:
        await process.complain(f"killall: {refused}")
        return 1
    if not call.words:
        return await refuse(process, UsageError("you need to specify whom to kill"), "killall [-lq] [-SIG] NAME...")
    status = 0
    for word in call.words:
        listing = process.processes.listing()
        targets = [running for _, running in listing if name_of(running) == word and running is not process.running]
        _send(process, targets, call.signal)
        if not targets:
            status = 1
            if not quiet:
                await process.complain(f"killall: {word}: no process killed")
    await asyncio.sleep(0)
    return status


async def pidof(process: Process) -> int:
    """pidof [-s] NAME…: the newest first."""
    options = [word for word in process.arguments[1:] if word.startswith("-")]
    names = [word for word in process.arguments[1:] if not word.startswith("-")]
    listing = reversed(process.processes.listing())
    found = [str(number) for number, running in listing if name_of(running) in names and running is not process.running]
    if "-s" in options:
        found = found[:1]
    if found:
        await process.print(" ".join(found) + "\n")
    return 0 if found else 1


async def pgrep(process: Process) -> int:
    """pgrep [-flnoxa] PATTERN"""
    try:
        options = parse_options(process.arguments[1:], "flnoxvac")
        if len(options.operands) != 1:
            raise UsageError("one pattern is wanted")
        found = _named(process, options.operands[0], exact="x" in options, whole="f" in options)
    except (UsageError, BadExpression) as error:
        return await refuse(process, error, "pgrep [-flanoxc] PATTERN")
    found = found[-1:] if "n" in options else found[:1] if "o" in options else found
    if "c" in options:
        await process.print(f"{len(found)}\n")
    else:
        for number, running in found:
            shown = " ".join(running.arguments) if "a" in options else name_of(running) if "l" in options else ""
            await process.print(f"{number} {shown}".rstrip() + "\n")
    return 0 if found else 1


async def pkill(process: Process) -> int:
    """pkill [-SIGNAL] [-f] [-x] PATTERN"""
    words = [word for word in process.arguments[1:] if word not in ("-f", "-x")]
    try:
        call = _parse(words)
        if len(call.words) != 1:
            raise _Refused("one pattern is wanted")
        given = process.arguments
        found = _named(process, call.words[0], exact="-x" in given, whole="-f" in given)
    except (_Refused, BadExpression) as error:
        await process.complain(f"pkill: {error}")
        return 2
    _send(process, [running for _, running in found], call.signal)
    await asyncio.sleep(0)
    return 0 if found else 1
