"""sort and uniq."""

import itertools
import re
from dataclasses import dataclass
from typing import Final

from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import Options, UsageError, parse_options
from podwire.services.node.programs.filesystem import open_to_write
from podwire.services.node.programs.inputs import PLAIN, all_lines, open_inputs
from podwire.services.node.programs.usage import refuse

_LARGEST: Final = 10**9
_USAGE: Final = "sort [-nrugMcszbdfiokt] [-o FILE] [-k START[.OFS][OPTS][,END[.OFS][OPTS]]] [-t CHAR] [FILE]..."
Rank = tuple[tuple[float, bytes], ...]


@dataclass(frozen=True, slots=True)
class _Key:
    """Fields `first` to `last`, and the key's own flags."""

    first: int
    last: int
    flags: str


def _key(text: str) -> _Key:
    match = re.fullmatch(r"(\d{1,6})(?:\.\d+)?([nrfbh]*)(?:,(\d{1,6})(?:\.\d+)?([nrfbh]*))?", text)
    if match is None or int(match.group(1)) < 1:
        raise UsageError(f"bad field specification '{text}'")
    return _Key(int(match.group(1)), int(match.group(3) or _LARGEST), match.group(2) + (match.group(4) or ""))


class _Order:
    """The rank of a line by the options and keys."""

    def __init__(self, options: Options, keys: list[_Key]) -> None:
        self._keys = keys
        self._separator = options.value("t").encode() or None
        self._flags = "".join(letter for letter in "nfh" if letter in options)
        self.reverse = "r" in options

    def sort(self, lines: list[bytes]) -> None:
        """Sorts, from the last key to the first: each may have a direction of its own."""
        for key in reversed(self._keys or [_Key(0, 0, "")]):
            own = key.flags.strip("b")
            reverse = "r" in own if own else self.reverse
            lines.sort(key=lambda line, key=key: self._part(line, key), reverse=reverse)  # type: ignore[misc]  # bound early

    def _part(self, line: bytes, key: _Key) -> tuple[float, bytes]:
        if not key.first:
            return _ranked(line, self._flags)
        fields = line.split(self._separator) if self._separator else re.findall(rb"\s*\S+", line)
        glue = self._separator or b""
        return _ranked(glue.join(fields[key.first - 1 : key.last]), key.flags.strip("br") or self._flags)

    def rank(self, line: bytes) -> Rank:
        return tuple(self._part(line, key) for key in self._keys or [_Key(0, 0, "")])


def _ranked(part: bytes, flags: str) -> tuple[float, bytes]:
    if "h" in flags:
        match = re.match(rb"\s*(-?\d{0,30}(?:\.\d{0,30})?)([KMGTPE]?)", part.upper())
        number = match.group(1) if match else b""
        power = b" KMGTPE".index(match.group(2) or b" ") if match else 0
        return (float(number) if number.strip(b"-.") else 0.0) * 1024.0**power, b""
    if "n" not in flags:
        return 0.0, part.upper() if "f" in flags else part
    match = re.match(rb"\s*(-?\d{0,300}(?:\.\d{0,300})?)", part)
    try:
        return float(match.group(1)) if match else 0.0, b""
    except ValueError:
        return 0.0, b""


async def sort(process: Process) -> int:
    """sort [-nruf] [-k N[,M]] [-t CHARACTER] [FILE]…; lines that rank the same are ordered by their bytes."""
    try:
        options = parse_options(
            process.arguments[1:], "nrufbshcVzk:t:o:", {"reverse": "r", "numeric-sort": "n", "unique": "u"}
        )
        order = _Order(options, [_key(text) for text in options.values("k")])
    except UsageError as error:
        return await refuse(process, error, _USAGE, code=2)
    inputs, complete = await open_inputs(process, options.operands, PLAIN)
    lines = [line.rstrip(b"\n") for _, reader in inputs for line in await all_lines(reader)]
    if "c" in options:
        return await _check(process, order, lines)
    if "u" in options:
        first: dict[Rank, bytes] = {}
        for line in lines:
            first.setdefault(order.rank(line), line)
        lines = list(first.values())
    if "s" not in options:
        lines.sort(reverse=order.reverse)
    order.sort(lines)
    writer = open_to_write(process, options.value("o"), append=False) if "o" in options else process.stdout
    await writer.write(b"".join(line + b"\n" for line in lines))
    return 0 if complete else 2


async def _check(process: Process, order: "_Order", lines: list[bytes]) -> int:
    """Whether the lines are in order (-c)."""
    for at, (before, line) in enumerate(itertools.pairwise(lines), 2):
        both = [before, line]
        order.sort(both)
        if both[0] != before:
            await process.complain(f"sort: -:{at}: disorder: {line.decode(errors='replace')}")
            return 1
    return 0


async def uniq(process: Process) -> int:
    """uniq [-cdu] [FILE]"""
    try:
        options = parse_options(process.arguments[1:], "cdiuf:s:w:")
        skipped, letters = int(options.value("f", "0")), int(options.value("s", "0"))
        width = int(options.value("w", "100000000"))
    except (UsageError, ValueError) as error:
        return await refuse(process, error, "uniq [-cduiz] [-f,s,w N] [FILE [OUTFILE]]")
    inputs, complete = await open_inputs(process, options.operands[:1], PLAIN)
    runs: list[tuple[bytes, int]] = []
    keys: list[bytes] = []
    for _, reader in inputs:
        for line in await all_lines(reader):
            text = line.rstrip(b"\n")
            rest = re.sub(rb"^(?:\s*\S+){0,%d}" % min(max(skipped, 0), 1000), b"", text)[letters:][:width]
            key = rest.lower() if "i" in options else rest
            if runs and keys[-1] == key:
                runs[-1] = (runs[-1][0], runs[-1][1] + 1)
            else:
                runs.append((text, 1))
                keys.append(key)
    for text, count in runs:
        if (count > 1 or "d" not in options) and (count == 1 or "u" not in options):
            await process.stdout.write((f"{count:7d} ".encode() if "c" in options else b"") + text + b"\n")
    return int(not complete)
