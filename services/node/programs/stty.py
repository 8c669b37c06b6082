"""stty and tty: what the terminal is like (stty(1), ioctl_tty(2))."""

from typing import Final

from podwire.services.node.process import Process

_MOST: Final = 65535
_SETTINGS: Final = """speed 38400 baud;{size} line = 0;
intr = ^C; quit = ^\\; erase = ^?; kill = ^U; eof = ^D; eol = <undef>; eol2 = <undef>;
swtch = <undef>; start = ^Q; stop = ^S; susp = ^Z; rprnt = ^R; werase = ^W; lnext = ^V; flush = ^O;
min = 1; time = 0;
-brkint -imaxbel{echo}
"""


async def stty(process: Process) -> int:
    """stty [-a|size|sane|[-]echo|rows N|cols N]…"""
    terminal = process.terminal
    if terminal is None:
        await process.complain("stty: standard input: Inappropriate ioctl for device")
        return 1
    words = process.arguments[1:]
    if words in ([], ["-a"]):
        size = f" rows {terminal.rows}; columns {terminal.columns};" if words else ""
        await process.print(_SETTINGS.format(size=size, echo="" if terminal.echoes else " -echo"))
        return 0
    while words:
        word = words.pop(0)
        if word == "size":
            await process.print(f"{terminal.rows} {terminal.columns}\n")
        elif word in ("echo", "-echo", "sane"):
            terminal.echoes = word != "-echo"
        elif word in ("rows", "cols", "columns") and words and words[0].isdecimal() and int(words[0]) <= _MOST:
            number = int(words.pop(0))
            rows, columns = (number, terminal.columns) if word == "rows" else (terminal.rows, number)
            terminal.resize(columns, rows)
        else:
            text = f"'{word}' is not built in podwire: -a, size, rows N, cols N, echo, -echo and sane are"
            await process.complain(f"stty: {text}")
            return 1
    return 0


async def tty(process: Process) -> int:
    """tty [-s]: the terminal's name."""
    if "-s" not in process.arguments:
        await process.print("/dev/pts/0\n" if process.is_terminal else "not a tty\n")
    return int(not process.is_terminal)
