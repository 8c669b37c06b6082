"""paste, nl and tac."""

from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import UsageError, parse_options
from podwire.services.node.programs.inputs import CANNOT_OPEN, PLAIN, all_lines, open_inputs
from podwire.services.node.programs.usage import refuse


async def paste(process: Process) -> int:
    """paste [-s] [-d CHARACTERS] [FILE]…"""
    try:
        options = parse_options(process.arguments[1:], "sd:")
    except UsageError as error:
        return await refuse(process, error, "paste [-s] [-d LIST] [FILE]...")
    glue = options.value("d", "\t").replace("\\n", "\n").replace("\\t", "\t") or "\t"
    inputs, complete = await open_inputs(process, options.operands, CANNOT_OPEN)
    files = [[line.rstrip(b"\n").decode(errors="replace") for line in await all_lines(reader)] for _, reader in inputs]
    if "s" in options:
        rows = files
    else:
        rows = [
            [lines[at] if at < len(lines) else "" for lines in files] for at in range(max(map(len, files), default=0))
        ]
    for row in rows:
        joined = "".join(word + glue[at % len(glue)] for at, word in enumerate(row[:-1])) + (row[-1] if row else "")
        await process.print(joined + "\n")
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
