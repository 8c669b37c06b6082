"""watch: a command again and again."""

import asyncio
from typing import Final

from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import UsageError, parse_options
from podwire.services.node.programs.calendar import format_date
from podwire.services.node.programs.system import run_command
from podwire.services.node.programs.usage import refuse

_CLEAR: Final = "\x1b[H\x1b[J"
_WIDTH: Final = 80


async def watch(process: Process) -> int:
    """watch [-n SEC] [-t] COMMAND…, until it is ended (busybox procps/watch.c)."""
    try:
        options = parse_options(process.arguments[1:], "n:td", permute=False)
        seconds = float(options.value("n") or 2)
        if not options.operands or not 0 <= seconds < 10**7:
            raise UsageError("bad arguments")
    except (UsageError, ValueError) as error:
        return await refuse(process, error, "watch [-n SEC] [-t] PROG ARGS")
    command = " ".join(options.operands)
    while True:
        await process.print(_CLEAR + ("" if "t" in options else _heading(process, command, seconds)))
        await run_command(process, ["sh", "-c", command], "watch")
        await asyncio.sleep(max(seconds, 0.1))


def _heading(process: Process, command: str, seconds: float) -> str:
    width = process.terminal.columns if process.terminal is not None and process.terminal.columns else _WIDTH
    moment = format_date("%Y-%m-%d %H:%M:%S", process.clock.now_ns())
    left = f"Every {seconds:.1f}s: {command}"
    room = max(width - len(moment) - 1, 0)
    return f"{left[:room]:<{room}} {moment}\n\n"
