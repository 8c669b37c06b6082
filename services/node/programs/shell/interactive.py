"""The shell on a terminal: its prompt, what ^C does to it, and the terminal's size in bash's variables."""

import asyncio
from typing import Final

from podwire.services.node.pipes import BrokenPipe
from podwire.services.node.process import Process
from podwire.services.node.processes import INTERRUPT
from podwire.services.node.programs.shell.interpreter import Shell
from podwire.services.node.programs.shell.parser import parse
from podwire.services.node.programs.shell.state import Exit, Failure, Leave
from podwire.services.node.programs.shell.syntax import ShellSyntaxError
from podwire.services.node.terminal import Terminal

_INTERRUPTED: Final = 130
_MOST_REMEMBERED: Final = 256


async def interact(shell: Shell, process: Process, terminal: Terminal) -> int:
    """Prompts, reads and runs until `exit` or the end of the input; the exit code."""
    shell.ignore_on_terminal(process)
    past: list[bytes] = []
    try:
        while (text := await _read_command(shell, process, terminal, past)) is not None:
            await _run_interruptible(shell, text, process, terminal)
        await process.print("\n")
        return shell.state.status
    except Exit as leaving:
        return leaving.code
    finally:
        terminal.on_interrupt = terminal.history = None
        for job in shell.state.jobs.values():
            job.cancel()


async def _read_command(shell: Shell, process: Process, terminal: Terminal, past: list[bytes]) -> str | None:
    """Lines until they make a command; None at the end of the input. ^C begins a new one and runs its trap. `past`
    gets what was typed."""
    text, prompt = "", f"{shell.state.folder} # "
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        interrupted = True
        terminal.end_line()

    while True:
        _tell_size(shell, terminal)
        await process.print(prompt)
        terminal.on_interrupt, interrupted = interrupt, False
        terminal.history = past
        line = await process.stdin.read()
        terminal.history = None
        if interrupted:
            await process.print("\n")
            shell.state.status = _INTERRUPTED
            await shell.trap_interrupt(process)
            text, prompt = "", f"{shell.state.folder} # "
            continue
        if not line:
            return None
        if line.strip() and past[-1:] != [line.rstrip(b"\n")]:
            past.append(line.rstrip(b"\n"))
            del past[:-_MOST_REMEMBERED]
        text += line.decode(errors="replace")
        if not _is_unfinished(text):
            return text
        prompt = "> "


def _tell_size(shell: Shell, terminal: Terminal) -> None:
    """bash keeps COLUMNS and LINES current (checkwinsize); ash and dash do not have them."""
    if shell.state.name.endswith("bash") and terminal.columns and terminal.rows:
        shell.state.variables["COLUMNS"] = str(terminal.columns)
        shell.state.variables["LINES"] = str(terminal.rows)


def _is_unfinished(text: str) -> bool:
    try:
        parse(text)
    except ShellSyntaxError as error:
        return "end of file" in str(error) or "unterminated" in str(error)
    return False


async def _run_interruptible(shell: Shell, text: str, process: Process, terminal: Terminal) -> None:
    task = asyncio.get_running_loop().create_task(shell.run_text(text, process), name="foreground")
    interrupted = False

    def interrupt() -> None:
        """What runs is interrupted; the shell gives the line up if that ended it, or if nothing but itself ran."""
        nonlocal interrupted
        running = process.running.foreground() if process.running is not None else []
        for each in running:
            each.send(INTERRUPT, each.namespace)
        if shell.catches(INTERRUPT):
            shell.catch(INTERRUPT)
        elif not running or any(each.ended_by for each in running):
            interrupted = True
            task.cancel()

    terminal.on_interrupt = interrupt
    try:
        await task
    except asyncio.CancelledError:
        task.cancel()
        if not interrupted:
            raise
        shell.state.status = _INTERRUPTED
        await process.print("\n")
    except Failure as failure:
        await process.complain(f"{shell.state.name}: {failure}")
        shell.state.status = failure.code
    except (Leave, BrokenPipe):
        pass
    finally:
        terminal.on_interrupt = None
