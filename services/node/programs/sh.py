"""sh: the shell as a program: -c, a script's file, standard input, or a terminal."""

from podwire.services.node.files import FileError
from podwire.services.node.pipes import read_all
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import UsageError, parse_options
from podwire.services.node.programs.filesystem import read_file
from podwire.services.node.programs.shell.interactive import interact
from podwire.services.node.programs.shell.interpreter import Shell
from podwire.services.node.programs.shell.state import ShellState, Variables


def make_shell(process: Process, name: str, positional: list[str]) -> Shell:
    """A shell in the process's environment and folder."""
    parent = process.processes.parent_number(process.running) if process.running is not None else 0
    environment = {"PWD": process.folder, "PPID": str(parent), **process.environment}
    exported = dict.fromkeys(process.environment)
    shell = Shell(ShellState(name, Variables(environment), exported, positional, process.folder, pid=process.pid))
    shell.owns_process = True
    return shell


async def sh(process: Process) -> int:
    """sh [-eux] [-c SCRIPT [NAME [ARGUMENT]…] | FILE [ARGUMENT]…]"""
    name = process.arguments[0].rpartition("/")[2]
    try:
        options = parse_options(process.arguments[1:], "cilsexuof", permute=False)
    except UsageError as error:
        await process.complain(f"{name}: {error}")
        return 2
    operands = options.operands
    if "c" in options:
        if not operands:
            await process.complain(f"{name}: -c requires an argument")
            return 2
        shell = make_shell(process, operands[1] if len(operands) > 1 else name, operands[2:])
        shell.last_in_place = True
        text = operands[0]
    elif operands:
        try:
            text = read_file(process, operands[0]).decode(errors="replace")
        except FileError as error:
            await process.complain(f"{name}: can't open '{operands[0]}': {error.strerror}")
            return 2
        shell = make_shell(process, operands[0], operands[1:])
    else:
        shell = make_shell(process, name, [])
        if process.terminal is not None and process.stdin is process.terminal:
            return await interact(shell, process, process.terminal)
        text = (await read_all(process.stdin)).decode(errors="replace")
    shell.state.options.update({letter: None for letter in "eux" if letter in options})
    return await shell.run_to_end(text, process)
