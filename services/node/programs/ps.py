"""ps, as busybox (with its desktop options, as in its own image and Alpine) and as procps print it.

Programs here take no processor time and no memory of their own: both are 0.
"""

from collections.abc import Callable
from typing import Final

from podwire.services.chassis.clock import SECOND
from podwire.services.node.process import Process
from podwire.services.node.processes import Running
from podwire.services.node.programs.arguments import UsageError, parse_options
from podwire.services.node.programs.calendar import format_date
from podwire.services.node.programs.process_tools import name_of
from podwire.services.node.programs.usage import refuse

Row = tuple[int, Running]
Column = Callable[[Process, int, Running], str]


def _user(process: Process, pid: int, running: Running) -> str:
    return "root" if running.user == 0 else str(running.user)


def _arguments(process: Process, pid: int, running: Running) -> str:
    return " ".join(running.arguments)


def _terminal(process: Process, pid: int, running: Running) -> str:
    return "136,0" if running.has_terminal else "?"


def _elapsed(process: Process, pid: int, running: Running) -> str:
    minutes, seconds = divmod(max(process.clock.now_ns() - running.started_at, 0) // SECOND, 60)
    return f"{minutes:02}:{seconds:02}"


def _state(process: Process, pid: int, running: Running) -> str:
    return "R" if running is process.running else "S"


_BUSYBOX: Final[dict[str, tuple[int, str, Column]]] = {
    "user": (8, "USER", _user),
    "group": (8, "GROUP", _user),
    "comm": (16, "COMMAND", lambda process, pid, running: name_of(running)),
    "args": (256, "COMMAND", _arguments),
    "pid": (5, "PID", lambda process, pid, running: str(pid)),
    "ppid": (5, "PPID", lambda process, pid, running: str(process.processes.parent_number(running))),
    "pgid": (5, "PGID", lambda process, pid, running: str(pid)),
    "etime": (7, "ELAPSED", _elapsed),
    "time": (5, "TIME", lambda process, pid, running: "0:00"),
    "tty": (6, "TT", _terminal),
    "vsz": (4, "VSZ", lambda process, pid, running: "0"),
    "rss": (4, "RSS", lambda process, pid, running: "0"),
    "stat": (4, "STAT", _state),
}
_LEFT: Final = ("user", "group", "comm", "args", "tty", "stat")


def _fields(text: str) -> list[tuple[str, str]]:
    """`pid,args=WHAT` as columns and headings. Raises UsageError."""
    fields = []
    for word in text.split(","):
        name, equals, heading = word.partition("=")
        if name not in _BUSYBOX:
            raise UsageError(f"bad -o argument '{name}', supported arguments: {','.join(_BUSYBOX)}")
        fields.append((name, heading if equals else _BUSYBOX[name][1]))
    return fields


async def busybox_ps(process: Process) -> int:
    """ps [-o COLUMN,…]; what else is given, as in `ps aux` and `ps -ef`, changes nothing (procps/ps.c)."""
    try:
        options = parse_options(process.arguments[1:], "o:*aAdeflTxwu")
        wanted = ",".join(value for name, value in options.given if name == "o")
        fields = _fields(wanted or "pid,user,time,args")
    except UsageError as error:
        if "bad -o" in str(error):
            await process.complain(f"ps: {error}")
            return 1
        return await refuse(process, error, "ps [-o COL1,COL2=HEADER] [-T]")
    lines = []
    for pid, running in [(0, None), *process.processes.listing()]:
        cells = []
        for name, heading in fields:
            width, _, show = _BUSYBOX[name]
            text = heading if running is None else show(process, pid, running)[:width]
            is_left = running is None or name in _LEFT
            cells.append(text.ljust(width) if is_left else text.rjust(width))
        lines.append(" ".join(cells).rstrip() + "\n")
    await process.print("".join(lines))
    return 0


async def procps_ps(process: Process) -> int:
    """ps [aux|-ef|-e|-A]: BSD's and System V's forms; what has this terminal without an option."""
    words = process.arguments[1:]
    letters = "".join(word.lstrip("-") for word in words)
    if any(letter not in "aAuxefwW" for letter in letters):
        await process.complain(f"error: unsupported option in podwire: {' '.join(words)} (built are aux, -ef, -e, -A)")
        return 1
    rows = process.processes.listing()
    if "u" in letters:
        await process.print(_bsd(process, rows))
    elif "f" in letters:
        await process.print(_full(process, rows))
    else:
        shown = rows if letters else [row for row in rows if row[1].has_terminal == process.is_terminal]
        heading = "    PID TTY          TIME CMD\n"
        await process.print(heading + "".join(f"{_short(pid, running)}\n" for pid, running in shown))
    return 0


def _tty(running: Running) -> str:
    return "pts/0" if running.has_terminal else "?"


def _short(pid: int, running: Running) -> str:
    return f"{pid:7d} {_tty(running):<8s} 00:00:00 {name_of(running)}"


def _bsd(process: Process, rows: list[Row]) -> str:
    lines = ["USER         PID %CPU %MEM    VSZ   RSS TTY      STAT START   TIME COMMAND\n"]
    for pid, running in rows:
        started = format_date("%H:%M", running.started_at)
        state = _state(process, pid, running) + ("+" if running.has_terminal else "s" if pid == 1 else "")
        numbers = f"{_user(process, pid, running):<8s} {pid:7d}  0.0  0.0      0     0"
        lines.append(
            f"{numbers} {_tty(running):<8s} {state:<4s} {started}   0:00 {_arguments(process, pid, running)}\n"
        )
    return "".join(lines)


def _full(process: Process, rows: list[Row]) -> str:
    lines = ["UID          PID    PPID  C STIME TTY          TIME CMD\n"]
    for pid, running in rows:
        parent, started = process.processes.parent_number(running), format_date("%H:%M", running.started_at)
        ids = f"{_user(process, pid, running):<8s} {pid:7d} {parent:7d}  0 {started}"
        lines.append(f"{ids} {_tty(running):<8s} 00:00:00 {_arguments(process, pid, running)}\n")
    return "".join(lines)
