"""cmp and diff."""

import difflib
import re
from typing import Final

from podwire.services.node.files import FileError
from podwire.services.node.pipes import read_all
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import Options, UsageError, parse_options
from podwire.services.node.programs.filesystem import read_file
from podwire.services.node.programs.usage import refuse

_TROUBLE: Final = 2
_MOST_LINES: Final = 20_000
_LONG: Final = {"unified": "u", "brief": "q", "ignore-case": "i", "ignore-all-space": "w", "ignore-space-change": "b"}


async def _two(process: Process, names: list[str]) -> tuple[bytes, bytes] | None:
    """Both files; None after a complaint."""
    found = []
    for name in names:
        try:
            found.append(await read_all(process.stdin) if name == "-" else read_file(process, name))
        except FileError as error:
            tool = process.arguments[0].rpartition("/")[2]
            text = f"can't stat '{name}'" if tool == "diff" else f"can't open '{name}'"
            await process.complain(f"{tool}: {text}: {error.strerror}")
            return None
    return found[0], found[1]


async def cmp(process: Process) -> int:
    """cmp [-s] FILE FILE: 0 if equal, 1 if not, 2 for an error."""
    try:
        options = parse_options(process.arguments[1:], "sl")
        if len(options.operands) != 2:
            raise UsageError("two files are compared")
    except UsageError as error:
        return await refuse(process, error, "cmp [-ls] FILE1 [FILE2]", code=_TROUBLE)
    both = await _two(process, options.operands)
    if both is None:
        return _TROUBLE
    if both[0] == both[1]:
        return 0
    if "s" not in options:
        await process.print(_difference(options.operands, both))
    return 1


def _difference(names: list[str], both: tuple[bytes, bytes]) -> str:
    length = min(map(len, both))
    at = next((each for each in range(length) if both[0][each] != both[1][each]), length)
    if at == length:
        return f"cmp: EOF on {names[len(both[0]) > len(both[1])]}\n"
    return f"{names[0]} {names[1]} differ: char {at + 1}, line {both[0][:at].count(10) + 1}\n"


async def diff(process: Process) -> int:
    """diff [-u] [-U LINES] [-q] [-i] [-w] [-b] FILE FILE, always unified, as busybox prints it: 0, 1 or 2."""
    try:
        options = parse_options(process.arguments[1:], "uqiwbBsNaU:", _LONG)
        context = int(options.value("U", "3"))
        if len(options.operands) != 2 or not 0 <= context < 10**6:
            raise UsageError("two files are compared")
    except (UsageError, ValueError) as error:
        return await refuse(process, error, "diff [-abBdiNqrTstw] [-L LABEL] [-U LINES] FILE1 FILE2", code=_TROUBLE)
    both = await _two(process, options.operands)
    if both is None:
        return _TROUBLE
    names = options.operands
    left, right = (data.decode(errors="replace").splitlines(keepends=True) for data in both)
    if [_compared(line, options) for line in left] == [_compared(line, options) for line in right]:
        if "s" in options:
            await process.print(f"Files {names[0]} and {names[1]} are identical\n")
        return 0
    if "q" in options:
        await process.print(f"Files {names[0]} and {names[1]} differ\n")
        return 1
    if len(left) + len(right) > _MOST_LINES:
        await process.complain(f"diff: more than {_MOST_LINES} lines are not compared line by line")
        return _TROUBLE
    await process.print(_unified(left, right, names, options, context))
    return 1


def _compared(line: str, options: Options) -> str:
    line = line.lower() if "i" in options else line
    if "w" in options:
        return "".join(line.split())
    return re.sub(r"\s+", " ", line).rstrip() if "b" in options else line


def _unified(left: list[str], right: list[str], names: list[str], options: Options, context: int) -> str:
    keys = [[_compared(line, options) for line in lines] for lines in (left, right)]
    matcher = difflib.SequenceMatcher(None, keys[0], keys[1], autojunk=False)
    lines = [f"--- {names[0]}\n", f"+++ {names[1]}\n"]
    for group in matcher.get_grouped_opcodes(context):
        first, last = group[0], group[-1]
        lines.append(f"@@ -{_range(first[1], last[2])} +{_range(first[3], last[4])} @@\n")
        for tag, one, two, three, four in group:
            if tag == "equal":
                lines += [f" {line}" for line in left[one:two]]
            else:
                lines += [f"-{line}" for line in left[one:two]] + [f"+{line}" for line in right[three:four]]
    end = "\\ No newline at end of file\n"
    return "".join(line if line.endswith("\n") else f"{line}\n{end}" for line in lines)


def _range(start: int, stop: int) -> str:
    length = stop - start
    return f"{start + 1}" if length == 1 else f"{start + bool(length)},{length}"
