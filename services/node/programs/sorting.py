"""sort and uniq."""

import re
from dataclasses import dataclass
from typing import Final

from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import Options, UsageError, parse_options
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
    match = re.fullmatch(r"(\d{1,6})(?:\.\d+)?([nrfb]*)(?:,(\d{1,6})(?:\.\d+)?([nrfb]*))?", text)
    if match is None or int(match.group(1)) < 1:
        raise UsageError(f"bad field specification '{text}'")
    return _Key(int(match.group(1)), int(match.group(3) or _LARGEST), match.group(2) + (match.group(4) or ""))


class _Order:
    """The rank of a line by the options and keys."""

    def __init__(self, options: Options, keys: list[_Key]) -> None:
        self._keys = keys
        self._separator = options.value("t").encode() or None
        self._flags = "".join(letter for letter in "nf" if letter in options)
        self.reverse = "r" in options or any("r" in key.flags for key in keys)

    def rank(self, line: bytes) -> Rank:
        if not self._keys:
            return (_ranked(line, self._flags),)
        fields = line.split(self._separator)
        parts = [(b" ".join(fields[key.first - 1 : key.last]), key.flags) for key in self._keys]
        return tuple(_ranked(part, flags or self._flags) for part, flags in parts)


def _ranked(part: bytes, flags: str) -> tuple[float, bytes]:
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
        options = parse_options(process.arguments[1:], "nrufbsk:t:")
        order = _Order(options, [_key(text) for text in options.values("k")])
    except UsageError as error:
        return await refuse(process, error, _USAGE, code=2)
    inputs, complete = await open_inputs(process, options.operands, PLAIN)
    lines = [line.rstrip(b"\n") for _, reader in inputs for line in await all_lines(reader)]
    if "u" in options:
        first: dict[Rank, bytes] = {}
        for line in lines:
            first.setdefault(order.rank(line), line)
        lines = list(first.values())
    if "s" not in options:
        lines.sort(reverse=order.reverse)
    lines.sort(key=order.rank, reverse=order.reverse)
    await process.stdout.write(b"".join(line + b"\n" for line in lines))
    return 0 if complete else 2


async def uniq(process: Process) -> int:
    """uniq [-cdu] [FILE]"""
    try:
        options = parse_options(process.arguments[1:], "cdu")
    except UsageError as error:
        return await refuse(process, error, "uniq [-cduiz] [-f,s,w N] [FILE [OUTFILE]]")
    inputs, complete = await open_inputs(process, options.operands[:1], PLAIN)
    runs: list[tuple[bytes, int]] = []
    for _, reader in inputs:
        for line in await all_lines(reader):
            text = line.rstrip(b"\n")
            if runs and runs[-1][0] == text:
                runs[-1] = (text, runs[-1][1] + 1)
            else:
                runs.append((text, 1))
    for text, count in runs:
        if (count > 1 or "d" not in options) and (count == 1 or "u" not in options):
            await process.stdout.write((f"{count:7d} ".encode() if "c" in options else b"") + text + b"\n")
    return int(not complete)
