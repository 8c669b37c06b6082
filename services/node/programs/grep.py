"""grep (POSIX.1-2017, with GNU's and busybox's usual options)."""

import re
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from podwire.services.node.pipes import Reader
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import Options, UsageError, parse_options
from podwire.services.node.programs.expressions import BadExpression, to_python
from podwire.services.node.programs.inputs import PLAIN, LineReader, open_inputs
from podwire.services.node.programs.usage import refuse

_USAGE: Final = "grep [-HhnlLoqvsrRiwFE] [-m N] [-A|B|C N] { PATTERN | -e PATTERN... } [FILE]..."
_LONG: Final = {
    "ignore-case": "i",
    "invert-match": "v",
    "count": "c",
    "line-number": "n",
    "extended-regexp": "E",
    "fixed-strings": "F",
    "quiet": "q",
    "silent": "q",
    "only-matching": "o",
    "word-regexp": "w",
    "line-regexp": "x",
    "files-with-matches": "l",
    "after-context": "A:",
    "before-context": "B:",
    "context": "C:",
    "max-count": "m:",
    "regexp": "e:",
    "color": "color",
    "line-buffered": "buffered",
    "no-messages": "s",
    "with-filename": "H",
    "no-filename": "h",
}
_LARGEST: Final = 100_000


@dataclass(slots=True)
class _Search:
    process: Process
    options: Options
    pattern: re.Pattern[bytes]
    with_name: bool
    before: int
    after: int
    most: int
    matched: bool = False
    printed: bool = False
    held: deque[tuple[int, bytes]] = field(default_factory=deque)

    async def file(self, name: str, reader: Reader) -> bool:
        """Searches one input; whether the whole search is over (-q)."""
        lines, number, count, left, last = LineReader(reader), 0, 0, 0, 0
        self.held.clear()
        while count < self.most and (line := await lines.next()):
            number += 1
            text = line.removesuffix(b"\n")
            found = self.pattern.search(text) is not None
            if found == ("v" in self.options):
                if left:
                    left, last = left - 1, number
                    await self._print(name, number, text, "-")
                else:
                    self._hold(number, text)
                continue
            count += 1
            self.matched = True
            if "q" in self.options:
                return True
            if "l" in self.options:
                break
            if "c" not in self.options:
                last = await self._match(name, number, text, last)
                left = self.after
        if "c" in self.options:
            await self.process.print(self._prefix(name, 0, ":") + f"{count}\n")
        if "l" in self.options and count:
            await self.process.print(f"{'(standard input)' if name == '-' else name}\n")
        return False

    def _hold(self, number: int, text: bytes) -> None:
        if self.before:
            self.held.append((number, text))
            if len(self.held) > self.before:
                self.held.popleft()

    async def _match(self, name: str, number: int, text: bytes, last: int) -> int:
        first = self.held[0][0] if self.held else number
        if (self.before or self.after) and self.printed and first > last + 1:
            await self.process.print("--\n")
        for each, held in self.held:
            await self._print(name, each, held, "-")
        self.held.clear()
        if "o" not in self.options:
            await self._print(name, number, text, ":")
        elif "v" not in self.options:
            for match in self.pattern.finditer(text):
                if match.group():
                    await self._print(name, number, match.group(), ":")
        return number

    def _prefix(self, name: str, number: int, mark: str) -> str:
        shown = "(standard input)" if name == "-" else name
        prefix = f"{shown}{mark}" if self.with_name else ""
        return prefix + (f"{number}{mark}" if "n" in self.options and number else "")

    async def _print(self, name: str, number: int, text: bytes, mark: str) -> None:
        self.printed = True
        await self.process.stdout.write(self._prefix(name, number, mark).encode() + text + b"\n")


def compile_patterns(options: Options, patterns: list[str], *, extended: bool, fixed: bool) -> re.Pattern[bytes]:
    """One pattern for all. Raises BadExpression."""
    each = [line for pattern in patterns for line in pattern.split("\n")]
    texts = [re.escape(line) if fixed else to_python(line, extended=extended) for line in each]
    text = "|".join(f"(?:{text})" for text in texts)
    if "w" in options:
        text = rf"(?<!\w)(?:{text})(?!\w)"
    if "x" in options:
        text = rf"\A(?:{text})\Z"
    try:
        return re.compile(text.encode(), re.IGNORECASE if "i" in options else 0)
    except (re.error, OverflowError, RecursionError):
        raise BadExpression("bad regex") from None


async def grep(process: Process) -> int:
    """grep [OPTION]… PATTERN [FILE]…: 0 if a line was selected, 1 if none, 2 for an error."""
    try:
        search, names = _read_call(process)
    except (UsageError, ValueError) as error:
        return await refuse(process, error, _USAGE, code=2)
    inputs, complete = await open_inputs(process, names, PLAIN)
    for name, reader in inputs:
        if await search.file(name, reader):
            return 0
    return 0 if search.matched and complete else 2 if not complete else 1


def _read_call(process: Process) -> tuple[_Search, list[str]]:
    name = process.arguments[0].rpartition("/")[2]
    options = parse_options(process.arguments[1:], "ivcnEFGqowxlsHhe:A:B:C:m:", _LONG)
    patterns, names = options.values("e"), options.operands
    if not patterns:
        if not names:
            raise UsageError("missing pattern")
        patterns, names = [names[0]], names[1:]
    context = options.value("C", "0")
    limits = {"A": int(options.value("A", context)), "B": int(options.value("B", context))}
    limits["m"] = int(options.value("m", "0"))
    if any(not 0 <= limit <= _LARGEST for limit in limits.values()):
        raise UsageError("invalid context length argument")
    pattern = compile_patterns(
        options, patterns, extended="E" in options or name == "egrep", fixed="F" in options or name == "fgrep"
    )
    with_name = ("H" in options or len(names) > 1) and "h" not in options
    most = limits["m"] if "m" in options else 2**62
    return _Search(process, options, pattern, with_name, limits["B"], limits["A"], most), names
