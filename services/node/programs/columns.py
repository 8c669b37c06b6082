"""paste, nl and tac."""

from collections.abc import Callable

from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import UsageError, parse_options
from podwire.services.node.programs.inputs import CANNOT_OPEN, PLAIN, all_lines, open_inputs
from podwire.services.node.programs.usage import refuse


async def paste(process: Process) -> int:
    """paste [-s] [-d CHARACTERS] [FILE]…"""
    return await _paste(process, _beside)


async def busybox_paste(process: Process) -> int:
    """busybox's paste, which forgets a file at its end, and with the last one the ends of the lines
    (coreutils/paste.c)."""
    return await _paste(process, _beside_without_ended)


def _beside(files: list[list[str]], glue: str) -> str:
    lines = []
    for at in range(max(map(len, files), default=0)):
        lines.append(_joined([lines[at] if at < len(lines) else "" for lines in files], glue) + "\n")
    return "".join(lines)


def _joined(words: list[str], glue: str) -> str:
    return "".join(word + glue[at % len(glue)] for at, word in enumerate(words[:-1])) + (words[-1] if words else "")


def _beside_without_ended(files: list[list[str]], glue: str) -> str:
    text = ""
    for at in range(max(map(len, files), default=0)):
        here = [(number, lines[at]) for number, lines in enumerate(files) if at < len(lines)]
        for position, (number, word) in enumerate(here):
            text += word + ("\n" if number == len(files) - 1 else glue[position % len(glue)])
    return text


async def _paste(process: Process, beside: Callable[[list[list[str]], str], str]) -> int:
    try:
        options = parse_options(process.arguments[1:], "sd:")
    except UsageError as error:
        return await refuse(process, error, "paste [-s] [-d LIST] [FILE]...")
    glue = options.value("d", "\t").replace("\\n", "\n").replace("\\t", "\t") or "\t"
    inputs, complete = await open_inputs(process, options.operands, CANNOT_OPEN)
    files = [[line.rstrip(b"\n").decode(errors="replace") for line in await all_lines(reader)] for _, reader in inputs]
    if "s" in options:
        await process.print("".join(_joined(row, glue) + "\n" for row in files))
        return int(not complete)
    shared = [at for at, (name, _) in enumerate(inputs) if name == "-"]
    for at, position in enumerate(shared):
        files[position] = files[shared[0]][at :: len(shared)] if at else files[position]
    if shared:
        files[shared[0]] = files[shared[0]][:: len(shared)]
    await process.print(beside(files, glue))
    return int(not complete)


async def nl(process: Process) -> int:
    """nl [-b a|t] [-w WIDTH] [-s TEXT] [FILE]…"""
    try:
        options = parse_options(process.arguments[1:], "b:w:s:v:")
        width, number = int(options.value("w", "6")), int(options.value("v", "1"))
        if not 0 < width < 1000:
            raise UsageError("invalid width")
    except (UsageError, ValueError) as error:
        return await refuse(process, error, "nl [-bSPW] [FILE]...")
    inputs, complete = await open_inputs(process, options.operands, CANNOT_OPEN)
    gap = options.value("s", "\t")
    for _, reader in inputs:
        for line in await all_lines(reader):
            text = line.rstrip(b"\n").decode(errors="replace")
            if text or options.value("b") == "a":
                await process.print(f"{number:{width}d}{gap}{text}\n")
                number += 1
            else:
                await process.print(" " * (width + len(gap)) + "\n")
    return int(not complete)


async def tac(process: Process) -> int:
    """tac [FILE]…"""
    inputs, complete = await open_inputs(process, process.arguments[1:], PLAIN)
    for _, reader in inputs:
        for line in reversed(await all_lines(reader)):
            await process.stdout.write(line)
    return int(not complete)
