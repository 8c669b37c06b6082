"""wc: counts of lines, words, bytes and characters."""

from podwire.services.node.pipes import Reader
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import UsageError, parse_options
from podwire.services.node.programs.inputs import CANNOT_OPEN, open_inputs
from podwire.services.node.programs.usage import refuse


async def wc(process: Process) -> int:
    """wc [-lwcm] [FILE]…"""
    try:
        options = parse_options(process.arguments[1:], "lwcmL", {"lines": "l", "words": "w", "bytes": "c"})
    except UsageError as error:
        return await refuse(process, error, "wc [-cmlwL] [FILE]...")
    wanted = [letter for letter in "lwcm" if letter in options] or ["l", "w", "c"]
    inputs, complete = await open_inputs(process, options.operands, CANNOT_OPEN)
    totals = dict.fromkeys("lwcm", 0)
    for name, reader in inputs:
        counts = await _counted(reader)
        totals = {letter: totals[letter] + counts[letter] for letter in "lwcm"}
        shown = "" if not options.operands else name
        await process.print(_count_line(counts, wanted, shown, wide=len(options.operands) > 1))
    if len(options.operands) > 1:
        await process.print(_count_line(totals, wanted, "total", wide=True))
    return int(not complete)


async def _counted(reader: Reader) -> dict[str, int]:
    counts, in_word = dict.fromkeys("lwcm", 0), False
    while data := await reader.read():
        counts["l"] += data.count(b"\n")
        words = data.split()
        joined = in_word and not data[:1].isspace() and bool(words)
        counts["w"] += len(words) - joined
        counts["c"] += len(data)
        counts["m"] += len(data.decode(errors="ignore"))
        in_word = not data[-1:].isspace()
    return counts


def _count_line(counts: dict[str, int], wanted: list[str], name: str, *, wide: bool) -> str:
    if len(wanted) == 1 and not wide:
        return f"{counts[wanted[0]]}{' ' if name else ''}{name}\n"
    return " ".join(f"{counts[letter]:9d}" for letter in wanted) + (f" {name}" if name else "") + "\n"
