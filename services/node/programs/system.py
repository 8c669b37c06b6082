"""Programs about the system: sleep, date, env, hostname, id, whoami, uname, ps, pwd, sudo, xargs."""

import asyncio
import re
from dataclasses import replace
from typing import Final

from podwire.services.chassis.clock import SECOND
from podwire.services.node.pipes import read_all
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import UsageError, parse_options
from podwire.services.node.programs.calendar import format_date, moment_of
from podwire.services.node.programs.usage import refuse
from podwire.services.node.runtime.programs import find_program, run

_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST: Final = 10**9
"""Seconds; infinity is this many."""
_BATCH: Final = 5000
"""Arguments that xargs gives one command at most."""


def duration(text: str) -> float | None:
    """Seconds of `1.5`, `2m`, `infinity`; None if it is none."""
    match = re.fullmatch(r"(\d{1,12}(?:\.\d{0,9})?|\.\d{1,9})([smhd]?)", text)
    if match is None:
        return float(_LONGEST) if text in ("infinity", "inf") else None
    return min(float(match.group(1)) * _UNITS[match.group(2)], _LONGEST)


async def sleep(process: Process) -> int:
    """sleep N[smhd]…"""
    words = process.arguments[1:]
    if not words:
        return await refuse(process, UsageError("missing operand"), "sleep [N]...")
    lengths = [duration(word) for word in words]
    for word, length in zip(words, lengths, strict=True):
        if length is None:
            await process.complain(f"sleep: invalid number '{word}'")
            return 1
    await asyncio.sleep(sum(length for length in lengths if length is not None))
    return 0


async def date(process: Process) -> int:
    """date [-u] [+FORMAT]; the machine's time zone is UTC."""
    try:
        options = parse_options(process.arguments[1:], "uIRd:", {"utc": "u", "date": "d:"})
    except UsageError as error:
        return await refuse(process, error, "date [OPTIONS] [+FMT]")
    form = "%a %b %e %H:%M:%S UTC %Y"
    if "I" in options:
        form = "%Y-%m-%d"
    if "R" in options:
        form = "%a, %d %b %Y %H:%M:%S +0000"
    for operand in options.operands:
        if not operand.startswith("+"):
            await process.complain("date: setting the clock is not permitted")
            return 1
        form = operand[1:]
    when = process.clock.now_ns()
    if "d" in options:
        given = moment_of(options.value("d"), when)
        if given is None:
            await process.complain(f"date: invalid date '{options.value('d')}'")
            return 1
        when = given
    await process.print(format_date(form, when) + "\n")
    return 0


async def env(process: Process) -> int:
    """env [NAME=VALUE]… [COMMAND…]"""
    words, environment = process.arguments[1:], dict(process.environment)
    if words[:1] in (["-i"], ["-"]):
        words, environment = words[1:], {}
    while words and "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        environment[name] = value
    if not words:
        await process.print("".join(f"{name}={value}\n" for name, value in environment.items()))
        return 0
    return await run_command(replace(process, environment=environment), words, "env")


async def run_command(process: Process, words: list[str], caller: str) -> int:
    """Runs another program; 127 with a complaint in the caller's name if there is none."""
    program = find_program(process.programs, words[0])
    if program is None:
        await process.complain(f"{caller}: can't execute '{words[0]}': No such file or directory")
        return 127
    return await run(process.with_arguments(words), program)


async def printenv(process: Process) -> int:
    """printenv [NAME]…"""
    names = process.arguments[1:]
    if not names:
        await process.print("".join(f"{name}={value}\n" for name, value in process.environment.items()))
        return 0
    found = [name for name in names if name in process.environment]
    await process.print("".join(f"{process.environment[name]}\n" for name in found))
    return 0 if len(found) == len(names) else 1


async def hostname(process: Process) -> int:
    """hostname [-i|-I|-f|-s]"""
    word = process.arguments[1] if len(process.arguments) > 1 else ""
    if word in ("-i", "-I"):
        await process.print(" ".join(own_addresses(process)) + (" \n" if word == "-I" else "\n"))
        return 0
    if word not in ("", "-f", "-s", "--fqdn"):
        await process.complain("hostname: you must be root to change the host name")
        return 1
    await process.print(f"{process.hostname}\n")
    return 0


def own_addresses(process: Process) -> list[str]:
    """The addresses of all devices but lo."""
    namespace = process.network.shell.kernel.namespace(process.network.namespace)
    return [
        ".".join(map(str, address.address.to_bytes(4)))
        for device in namespace.devices.values()
        if device.name != "lo"
        for address in device.addresses
    ]


def _named(number: int) -> str:
    return f"{number}(root)" if number == 0 else str(number)


async def identity(process: Process) -> int:
    """id [-u|-g|-G|-n]: the user and group that the container runs with; only root has a name."""
    try:
        options = parse_options(process.arguments[1:], "ugGnr")
    except UsageError as error:
        return await refuse(process, error, "id [-ugGnr] [USER]")
    user, group = process.user, process.group
    number = user if "u" in options else group if "g" in options or "G" in options else None
    if number is None:
        shown = f"uid={_named(user)} gid={_named(group)} groups={_named(group)}"
    elif "n" in options and number:
        await process.complain(f"id: unknown ID {number}")
        return 1
    else:
        shown = "root" if "n" in options else str(number)
    await process.print(f"{shown}\n")
    return 0


async def whoami(process: Process) -> int:
    """whoami: root, or that the user has no name."""
    if process.user:
        await process.complain(f"whoami: unknown uid {process.user}")
        return 1
    await process.print("root\n")
    return 0


async def uname(process: Process) -> int:
    """uname [-asnrvmo]"""
    try:
        options = parse_options(process.arguments[1:], "asnrvmpo", {"all": "a"})
    except UsageError as error:
        return await refuse(process, error, "uname [-amnrspvio]")
    release, version = "6.1.0-podwire", "#1 SMP PREEMPT_DYNAMIC"
    parts = {"s": "Linux", "n": process.hostname, "r": release, "v": version, "m": "x86_64", "o": "GNU/Linux"}
    wanted = "snrvmo" if "a" in options else "".join(letter for letter in parts if letter in options) or "s"
    await process.print(" ".join(parts[letter] for letter in wanted) + "\n")
    return 0


async def pwd(process: Process) -> int:
    """pwd"""
    await process.print(f"{process.folder}\n")
    return 0


async def sudo(process: Process) -> int:
    """sudo [-n] [-E] [-u USER] COMMAND…: everybody is root already."""
    try:
        options = parse_options(process.arguments[1:], "nEHSu:i", permute=False)
    except UsageError as error:
        await process.complain(f"sudo: {error}")
        return 1
    if not options.operands:
        await process.complain("usage: sudo -h | -K | -k | -V\nusage: sudo [-ABbEHnPS] [-u user] [VAR=value] [command]")
        return 1
    words = options.operands
    program = find_program(process.programs, words[0])
    if program is None:
        await process.complain(f"sudo: {words[0]}: command not found")
        return 1
    return await run(process.with_arguments(words), program)


def _items(text: str) -> list[str]:
    """Words as xargs reads them: blanks part them, quotes and backslashes keep blanks."""
    pieces = re.findall(r"""(?:[^\s"'\\]|\\.|"[^"\n]*"|'[^'\n]*')+""", text)
    return [re.sub(r"""\\(.)|"([^"]*)"|'([^']*)'""", r"\1\2\3", piece) for piece in pieces]


async def xargs(process: Process) -> int:
    """xargs [-r] [-n COUNT] [-I TEXT] [COMMAND…]"""
    try:
        options = parse_options(process.arguments[1:], "rtn:I:0", permute=False)
        count = int(options.value("n", str(_BATCH)))
        if count < 1:
            raise UsageError(f"invalid number '{count}'")
    except (UsageError, ValueError) as error:
        return await refuse(process, error, "xargs [OPTIONS] [PROG ARGS]")
    text = (await read_all(process.stdin)).decode(errors="replace")
    command = options.operands or ["echo"]
    marker = options.value("I")
    if marker:
        calls = [[word.replace(marker, line.strip()) for word in command] for line in text.splitlines() if line.strip()]
    else:
        items = text.split("\0") if "0" in options else _items(text)
        items = [item for item in items if item]
        calls = [command + items[at : at + count] for at in range(0, len(items), count)]
        calls = calls or ([] if "r" in options else [command])
    worst = 0
    for call in calls:
        code = await run_command(process, call, "xargs")
        worst = code if code == 127 else max(worst, 123 if code else 0)
    return worst


async def clear_screen(process: Process) -> int:
    """clear"""
    await process.print("\x1b[H\x1b[J")
    return 0


async def nproc(process: Process) -> int:
    """nproc"""
    await process.print("1\n")
    return 0


async def uptime_seconds(process: Process) -> int:
    """uptime, from the machine's monotonic clock."""
    minutes = process.clock.monotonic_ns() // SECOND // 60
    clock = format_date("%H:%M:%S", process.clock.now_ns())
    await process.print(f" {clock} up {minutes} min,  0 users,  load average: 0.00, 0.00, 0.00\n")
    return 0


async def timeout(process: Process) -> int:
    """timeout [-s SIGNAL] [-k SEC] SEC COMMAND…: 143 (busybox) if the time was too short."""
    try:
        options = parse_options(process.arguments[1:], "s:k:t:", permute=False)
        words = options.operands
        length = duration(words[0]) if words else None
        if length is None or len(words) < 2:
            raise UsageError("bad arguments")
    except UsageError as error:
        return await refuse(process, error, "timeout [-s SIG] [-k KILL_SECS] SECS PROG ARGS")
    try:
        async with asyncio.timeout(length or None):
            return await run_command(process, words[1:], "timeout")
    except TimeoutError:
        await process.complain("Terminated")
        return 143


async def time_command(process: Process) -> int:
    """time COMMAND…: how long it took, in busybox's form."""
    return await _timed(process, "real\t{0}m {1}s\nuser\t0m 0.00s\nsys\t0m 0.00s", 2)


async def bash_time(process: Process) -> int:
    """bash's keyword `time`, for one command: programs here take no processor time of their own."""
    return await _timed(process, "\nreal\t{0}m{1}s\nuser\t0m0.000s\nsys\t0m0.000s", 3)


async def _timed(process: Process, form: str, digits: int) -> int:
    words = process.arguments[1:]
    if not words:
        return await refuse(process, UsageError("missing operand"), "time PROG ARGS")
    begun = process.clock.monotonic_ns()
    code = await run_command(process, words, "time")
    minutes, rest = divmod((process.clock.monotonic_ns() - begun) / SECOND, 60)
    await process.complain(form.format(int(minutes), f"{rest:.{digits}f}"))
    return code
