"""The shell's builtins, with busybox ash's messages."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from podwire.services.node.files import FileError, normal
from podwire.services.node.pipes import Reader
from podwire.services.node.process import Process, Program
from podwire.services.node.processes import signal_number
from podwire.services.node.programs import printing
from podwire.services.node.programs.arguments import UsageError, parse_options
from podwire.services.node.programs.conditions import test
from podwire.services.node.programs.filesystem import is_folder, read_file
from podwire.services.node.programs.process_tools import kill
from podwire.services.node.programs.shell.state import Exit, Failure, Leave
from podwire.services.node.runtime.programs import find_program

if TYPE_CHECKING:
    from podwire.services.node.programs.shell.interpreter import Shell

Builtin = Callable[["Shell", Process], Awaitable[int]]
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPTIONS: Final = {"errexit": "e", "nounset": "u", "xtrace": "x", "noglob": "f", "pipefail": "pipefail"}
_LONGEST_LINE: Final = 65536


def _program(program: Program) -> Builtin:
    async def run(shell: "Shell", process: Process) -> int:
        return await program(process)

    return run


async def _complain(shell: "Shell", process: Process, text: str, code: int = 2) -> int:
    await process.complain(f"{shell.state.name}: {process.arguments[0]}: line 0: {text}")
    return code


def _number(shell: "Shell", process: Process, default: int) -> int:
    if len(process.arguments) < 2:
        return default
    text = process.arguments[1]
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise Failure(f"{process.arguments[0]}: line 0: Illegal number: {text}")
    return int(text)


async def _colon(shell: "Shell", process: Process) -> int:
    return 0


async def _cd(shell: "Shell", process: Process) -> int:
    state = shell.state
    operands = [word for word in process.arguments[1:] if word not in ("--", "-P", "-L")]
    target = operands[0] if operands else state.variables.get("HOME", "/")
    if target == "-":
        target = state.variables.get("OLDPWD", state.folder)
        await process.print(f"{target}\n")
    if not is_folder(process, target):
        is_file = process.files.read(normal(target, state.folder)) is not None
        return await _complain(
            shell, process, f"can't cd to {target}: {'Not a directory' if is_file else 'No such file or directory'}", 2
        )
    state.variables["OLDPWD"] = state.folder
    state.folder = normal(target, state.folder)
    state.variables["PWD"] = state.folder
    return 0


async def _pwd(shell: "Shell", process: Process) -> int:
    await process.print(f"{shell.state.folder}\n")
    return 0


async def _export(shell: "Shell", process: Process) -> int:
    state = shell.state
    words = [word for word in process.arguments[1:] if word != "-p"]
    if not words:
        names = sorted(name for name in state.exported if name in state.variables)
        await process.print("".join(f"export {name}='{state.variables[name]}'\n" for name in names))
        return 0
    for word in words:
        name, equals, value = word.partition("=")
        if not _NAME.fullmatch(name):
            return await _complain(shell, process, f"{word}: bad variable name")
        state.exported[name] = None
        if equals:
            state.variables[name] = value
    return 0


async def _local(shell: "Shell", process: Process) -> int:
    state = shell.state
    if not state.saved:
        return await _complain(shell, process, "not in a function")
    for word in process.arguments[1:]:
        name, equals, value = word.partition("=")
        if not _NAME.fullmatch(name):
            return await _complain(shell, process, f"{word}: bad variable name")
        state.saved[-1].setdefault(name, state.variables.get(name))
        if equals:
            state.variables[name] = value
    return 0


async def _unset(shell: "Shell", process: Process) -> int:
    words = process.arguments[1:]
    for word in words:
        if "-f" not in words and word in shell.state.variables.readonly:
            raise Failure(f"unset: line 0: {word}: is read only")
        if word not in ("-v", "-f"):
            shell.state.variables.pop(word, None) if "-f" not in words else None
            shell.state.functions.pop(word, None) if "-v" not in words else None
    return 0


async def _set(shell: "Shell", process: Process) -> int:
    state, words = shell.state, process.arguments[1:]
    if not words:
        lines = [f"{name}='{value}'\n" for name, value in sorted(state.variables.items())]
        await process.print("".join(lines))
        return 0
    while words and re.fullmatch(r"[-+][a-z]+", words[0]):
        word = words.pop(0)
        for letter in word[1:]:
            if letter == "o":
                letter = _OPTIONS.get(words.pop(0) if words else "", letter)
            elif letter not in "euxfav":
                return await _complain(shell, process, f"illegal option {word[0]}{letter}")
            state.options.pop(letter, None) if word[0] == "+" else state.options.update({letter: None})
        if not words:
            return 0
    if words[:1] == ["--"]:
        words.pop(0)
    state.positional = words
    return 0


async def _shift(shell: "Shell", process: Process) -> int:
    count = _number(shell, process, 1)
    if count > len(shell.state.positional):
        return 1
    del shell.state.positional[:count]
    return 0


async def _exit(shell: "Shell", process: Process) -> int:
    raise Exit(_number(shell, process, shell.state.status) & 0xFF)


async def _return(shell: "Shell", process: Process) -> int:
    shell.state.status = _number(shell, process, shell.state.status) & 0xFF
    raise Leave("return", 1)


async def _break(shell: "Shell", process: Process) -> int:
    levels = _number(shell, process, 1)
    if shell.state.loops:
        raise Leave(process.arguments[0], min(max(levels, 1), shell.state.loops))
    return 0


async def _eval(shell: "Shell", process: Process) -> int:
    return await shell.run_text(" ".join(process.arguments[1:]), process)


async def _source(shell: "Shell", process: Process) -> int:
    if len(process.arguments) < 2:
        raise Failure(f"{process.arguments[0]}: filename argument required")
    name = process.arguments[1]
    try:
        text = read_file(process, name).decode(errors="replace")
    except FileError:
        raise Failure(f"{process.arguments[0]}: line 0: can't open '{name}': No such file or directory") from None
    try:
        return await shell.run_text(text, process)
    except Leave as leaving:
        if leaving.kind != "return":
            raise
        return shell.state.status


async def _exec(shell: "Shell", process: Process) -> int:
    shell.become()
    raise Exit(await shell.execute(process.arguments[1:], {}, process))


async def _read(shell: "Shell", process: Process) -> int:
    """read [-r] [-s] [-p TEXT] [-t SECONDS] [-n COUNT] [-u DESCRIPTOR] [NAME]…"""
    try:
        options = parse_options(process.arguments[1:], "rsp:t:n:u:", permute=False)
        limit, count = options.value("t"), int(options.value("n") or _LONGEST_LINE)
        seconds = float(limit) if limit else None
    except (UsageError, ValueError) as error:
        return await _complain(shell, process, str(error))
    reader = _descriptor(process, options.value("u"))
    if reader is None:
        return await _complain(shell, process, f"{options.value('u')}: Bad file descriptor", 1)
    await process.stderr.write(options.value("p").encode())
    terminal = process.terminal
    echoed = terminal is not None and terminal.echoes
    if terminal is not None and "s" in options:
        terminal.echoes = False
    try:
        async with asyncio.timeout(seconds):
            line = await _read_line(reader, raw="r" in options, count=count)
    except TimeoutError:
        return 142
    finally:
        if terminal is not None:
            terminal.echoes = echoed
    _assign(shell, options.operands or ["REPLY"], line or "")
    return 0 if line is not None else 1


def _descriptor(process: Process, number: str) -> Reader | None:
    if number in ("", "0"):
        return process.stdin
    stream = process.files_open.get(int(number)) if number.isascii() and number.isdigit() else None
    return stream if isinstance(stream, Reader) else None


async def _read_line(reader: Reader, *, raw: bool, count: int) -> str | None:
    """The next line, byte by byte so that nothing behind it is taken; None at the end."""
    line = bytearray()
    while len(line) < count and (byte := await reader.read(1)):
        if byte == b"\\" and not raw:
            escaped = await reader.read(1)
            line += b"" if escaped == b"\n" else escaped
        elif byte == b"\n":
            return line.decode(errors="replace")
        else:
            line += byte
    return line.decode(errors="replace") if line else None


def _assign(shell: "Shell", names: list[str], line: str) -> None:
    separators = shell.state.variables.get("IFS", " \t\n")
    rest = line.strip(separators) if separators.isspace() else line
    for name in names[:-1]:
        match = re.search(f"[{re.escape(separators)}]+", rest) if separators else None
        shell.state.variables[name] = rest[: match.start()] if match else rest
        rest = rest[match.end() :] if match else ""
    shell.state.variables[names[-1]] = rest


def _job(shell: "Shell", word: str) -> int | None:
    """The process id of `%1` or of a number."""
    digits = word.removeprefix("%")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 9:
        return None
    numbers = list(shell.state.jobs)
    if not word.startswith("%"):
        return int(word)
    return numbers[int(digits) - 1] if 0 < int(digits) <= len(numbers) else None


async def _wait(shell: "Shell", process: Process) -> int:
    """A signal with a trap ends it: 128 and the signal's number."""
    state, status = shell.state, 0
    words = process.arguments[1:]
    for number in [_job(shell, word) for word in words] if words else list(state.jobs):
        job = state.jobs.get(number or 0)
        if job is None:
            return await _complain(shell, process, f"pid {number} is not a child of this shell", 127)
        while not job.done() and not state.caught:
            state.woken.clear()
            await state.woken.wait()
        if state.caught:
            return 128 + state.caught[0]
        del state.jobs[number or 0]
        status = 143 if job.cancelled() else job.result()
    return status if words else 0


async def _kill(shell: "Shell", process: Process) -> int:
    numbers = [(word, _job(shell, word)) for word in process.arguments[1:] if word.startswith("%")]
    known = {word: str(number) for word, number in numbers if number is not None}
    words = [known.get(word, word) for word in process.arguments]
    return await kill(process.with_arguments(words), shell.state.name)


async def _jobs(shell: "Shell", process: Process) -> int:
    running = [number for number, job in shell.state.jobs.items() if not job.done()]
    await process.print("".join(f"[{at}]+  Running\n" for at, _ in enumerate(running, 1)))
    return 0


async def _trap(shell: "Shell", process: Process) -> int:
    """trap [ACTION|-|''] [SIGNAL]…; without words it says which there are."""
    words = process.arguments[1:]
    if words[:1] == ["--"]:
        words = words[1:]
    if not words:
        lines = [f"trap -- {_quoted(action)} {name}\n" for name, action in shell.state.traps.items()]
        await process.print("".join(lines))
        return 0
    action, names = (words[0], words[1:]) if len(words) > 1 else ("-", words)
    status = 0
    for name in names:
        number = 0 if name in ("EXIT", "0") else signal_number(name)
        if number is None or (not number and name not in ("EXIT", "0")):
            await process.complain(f"{shell.state.name}: trap: line 0: {name}: invalid signal specification")
            status = 1
        else:
            shell.trap(number, None if action == "-" else action, process)
    return status


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\"'\"'") + "'"


async def _readonly(shell: "Shell", process: Process) -> int:
    variables = shell.state.variables
    words = [word for word in process.arguments[1:] if word != "-p"]
    if not words:
        shown = [f"readonly {name}={_quoted(variables[name])}\n" for name in variables.readonly if name in variables]
        await process.print("".join(shown))
        return 0
    for word in words:
        name, equals, value = word.partition("=")
        if not _NAME.fullmatch(name):
            return await _complain(shell, process, f"{word}: bad variable name")
        if equals:
            variables[name] = value
        variables.readonly[name] = None
    return 0


async def _command(shell: "Shell", process: Process) -> int:
    words = process.arguments[1:]
    if words[:1] not in (["-v"], ["-V"]):
        if not words:
            return 0
        inner = process.with_arguments(words)
        return await BUILTINS[words[0]](shell, inner) if words[0] in BUILTINS else await shell.execute(words, {}, inner)
    status = 0
    for name in words[1:]:
        found = _kind(shell, process, name)
        if not found:
            status = 127
        elif words[0] == "-v":
            await process.print((found if found.startswith("/") else name) + "\n")
        else:
            await process.print(f"{name} is {found}\n")
    return status


def _kind(shell: "Shell", process: Process, name: str) -> str:
    if name in shell.state.functions:
        return "a shell function"
    if name in BUILTINS:
        return "a shell builtin"
    if dict.get(process.programs, name.rpartition("/")[2]) is not None and find_program(process.programs, name):
        return name if "/" in name else f"/bin/{name}"
    return ""


async def _type(shell: "Shell", process: Process) -> int:
    status = 0
    for name in process.arguments[1:]:
        found = _kind(shell, process, name)
        status = status if found else 127
        await process.print(f"{name} is {found}\n" if found else f"{name}: not found\n")
    return status


BUILTINS: Final[dict[str, Builtin]] = {
    ":": _colon,
    ".": _source,
    "source": _source,
    "[": _program(test),
    "test": _program(test),
    "true": _program(printing.true),
    "false": _program(printing.false),
    "echo": _program(printing.echo),
    "printf": _program(printing.printf),
    "break": _break,
    "continue": _break,
    "return": _return,
    "exit": _exit,
    "cd": _cd,
    "pwd": _pwd,
    "export": _export,
    "local": _local,
    "unset": _unset,
    "set": _set,
    "shift": _shift,
    "eval": _eval,
    "exec": _exec,
    "read": _read,
    "wait": _wait,
    "kill": _kill,
    "jobs": _jobs,
    "trap": _trap,
    "readonly": _readonly,
    "command": _command,
    "type": _type,
    "umask": _colon,
}
