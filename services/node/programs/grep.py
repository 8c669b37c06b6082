"""grep (POSIX.1-2017, with GNU's and busybox's usual options)."""

import re
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from podwire.services.node.pipes import Reader
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import Options, UsageError, parse_options
from podwire.services.node.programs.expressions import BadExpression, Matcher, Span, to_python
from podwire.services.node.programs.inputs import PLAIN, LineReader, files_below, open_inputs
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
    pattern: "Pattern"
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
            found = self.pattern.first(text.decode(errors="replace"), 0) is not None
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
            line = text.decode(errors="replace")
            for start, end in self.pattern.all(line):
                await self._print(name, number, line[start:end].encode(), ":")
        return number

    def _prefix(self, name: str, number: int, mark: str) -> str:
        shown = "(standard input)" if name == "-" else name
        prefix = f"{shown}{mark}" if self.with_name else ""
        return prefix + (f"{number}{mark}" if "n" in self.options and number else "")

    async def _print(self, name: str, number: int, text: bytes, mark: str) -> None:
        self.printed = True
        await self.process.stdout.write(self._prefix(name, number, mark).encode() + text + b"\n")


@dataclass(frozen=True, slots=True)
class Pattern:
    """All patterns of a call in one. With -w the match is its second group, between characters of no word."""

    matcher: Matcher
    whole_words: bool

    def first(self, line: str, start: int) -> Span | None:
        """The first match from a place on."""
        found = self.matcher.find(line, start)
        return None if found is None else found.groups[1] if self.whole_words else found.span

    def all(self, line: str) -> list[Span]:
        """Every match that is not empty."""
        spans, at = [], 0
        while at <= len(line) and (span := self.first(line, at)) is not None:
            spans += [span] if span[0] < span[1] else []
            at = span[1] + (span[0] == span[1])
        return spans


def compile_patterns(options: Options, patterns: list[str], *, extended: bool, fixed: bool) -> Pattern:
    """One pattern for all. Raises BadExpression."""
    each = [line for pattern in patterns for line in pattern.split("\n")]
    texts = [re.escape(line) if fixed else to_python(line, extended=extended) for line in each]
    text = "|".join(f"(?:{text})" for text in texts)
    whole_words = "w" in options and "x" not in options
    if whole_words:
        text = rf"(?:^|\W)({text})(?:\W|$)"
    if "x" in options:
        text = rf"^(?:{text})$"
    return Pattern(Matcher(text, ignore_case="i" in options or "y" in options), whole_words)


async def grep(process: Process) -> int:
    """grep [OPTION]… PATTERN [FILE]…: 0 if a line was selected, 1 if none, 2 for an error."""
    try:
        search, names = _read_call(process)
    except (UsageError, ValueError) as error:
        return await refuse(process, error, _USAGE, code=2)
    if "r" in search.options or "R" in search.options:
        names = [each for name in names or ["."] for each in files_below(process, name)]
        if not names:
            return 1
    inputs, complete = await open_inputs(process, names, PLAIN)
    try:
        for name, reader in inputs:
            if await search.file(name, reader):
                return 0
    except BadExpression as error:
        await process.complain(f"grep: {error}")
        return 2
    return 0 if search.matched and complete else 2 if not complete else 1


def _read_call(process: Process) -> tuple[_Search, list[str]]:
    name = process.arguments[0].rpartition("/")[2]
    options = parse_options(process.arguments[1:], "ivcnEFGqowxlsrRHhe:A:B:C:m:", _LONG)
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
    with_name = ("H" in options or len(names) > 1 or "r" in options or "R" in options) and "h" not in options
    most = limits["m"] if "m" in options else 2**62
    return _Search(process, options, pattern, with_name, limits["B"], limits["A"], most), names
