"""cut, tr and rev: what looks at the characters of a line."""

import re
from typing import Final

from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import UsageError, parse_options
from podwire.services.node.programs.inputs import PLAIN, EachLine, all_lines, open_inputs
from podwire.services.node.programs.usage import refuse

_LARGEST: Final = 10**9


async def cut(process: Process) -> int:
    """cut -f LIST [-d CHARACTER] [-s] | -c LIST | -b LIST [FILE]…"""
    return await _cut(process, keeps_empty=False)


async def busybox_cut(process: Process) -> int:
    """busybox's cut, which shows empty lines in spite of -s (coreutils/cut.c)."""
    return await _cut(process, keeps_empty=True)


async def _cut(process: Process, *, keeps_empty: bool) -> int:
    try:
        options = parse_options(process.arguments[1:], "b:c:f:d:sn")
        kind = next((letter for letter in "fcb" if letter in options), "")
        if not kind:
            raise UsageError("expected a list of bytes, characters, or fields")
        ranges = _ranges(options.value(kind))
    except UsageError as error:
        return await refuse(process, error, "cut {-b|c LIST | -f LIST [-d SEP] [-s]} [FILE]...")
    inputs, complete = await open_inputs(process, options.operands, PLAIN)
    separator = options.value("d", "\t")
    for _, reader in inputs:
        async for line in EachLine(reader):
            text = line.decode(errors="replace").rstrip("\n")
            if kind == "f":
                if separator not in text:
                    if "s" not in options or (keeps_empty and not text):
                        await process.print(f"{text}\n")
                    continue
                await process.print(separator.join(_chosen(text.split(separator), ranges)) + "\n")
            else:
                await process.print("".join(_chosen(list(text), ranges)) + "\n")
    return int(not complete)


def _ranges(text: str) -> list[tuple[int, int]]:
    ranges = []
    for piece in text.split(","):
        match = re.fullmatch(r"(\d{0,9})(-?)(\d{0,9})", piece)
        if match is None or not piece.strip("-") or match.group(1) == "0":
            raise UsageError(f"bad range '{piece}'")
        first = int(match.group(1) or "1")
        last = int(match.group(3) or _LARGEST) if match.group(2) else first
        ranges.append((first, last))
    return ranges


def _chosen(parts: list[str], ranges: list[tuple[int, int]]) -> list[str]:
    return [part for at, part in enumerate(parts, 1) if any(first <= at <= last for first, last in ranges)]


_CLASSES: Final = {
    "lower": "abcdefghijklmnopqrstuvwxyz",
    "upper": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "digit": "0123456789",
    "space": " \t\n\r\f\v",
    "blank": " \t",
    "punct": "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
}
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "\\": "\\"}


def _alphabet(text: str) -> str:
    """tr's sets: ranges, classes, escapes."""
    result, at = "", 0
    while at < len(text):
        match = re.match(r"\[:(\w+):\]", text[at:])
        if match and (match.group(1) in _CLASSES or match.group(1) in ("alpha", "alnum")):
            name = match.group(1)
            letters = _CLASSES["upper"] + _CLASSES["lower"] + (_CLASSES["digit"] if name == "alnum" else "")
            result += _CLASSES.get(name, letters)
            at += match.end()
        elif text[at] == "\\" and at + 1 < len(text):
            result += _ESCAPES.get(text[at + 1], text[at + 1])
            at += 2
        elif text[at + 1 : at + 2] == "-" and at + 2 < len(text):
            first, last = ord(text[at]), ord(text[at + 2])
            result += "".join(map(chr, range(first, min(last, first + 65536) + 1)))
            at += 3
        else:
            result += text[at]
            at += 1
    return result


class _Translation:
    """tr's sets and flags, applied letter by letter; squeezing remembers the last letter printed."""

    def __init__(self, sets: list[str], *, complement: bool, deletes: bool, squeezes: bool) -> None:
        self._first = _alphabet(sets[0])
        self._second = _alphabet(sets[1]) if len(sets) > 1 else ""
        self._complement, self._deletes, self._squeezes = complement, deletes, squeezes
        padded = self._second + self._second[-1:] * (len(self._first) - len(self._second))
        self._table = dict(zip(self._first, padded, strict=False))
        self._last = ""

    def apply(self, text: str) -> str:
        return "".join([self._one(letter) for letter in text])

    def _one(self, letter: str) -> str:
        inside = (letter in self._first) != self._complement
        if inside and self._deletes:
            return ""
        changed = self._changed(letter) if inside and self._second and not self._deletes else letter
        if self._squeezes and changed == self._last and self._is_squeezed(changed):
            return ""
        self._last = changed
        return changed

    def _changed(self, letter: str) -> str:
        return self._second[-1] if self._complement else self._table[letter]

    def _is_squeezed(self, letter: str) -> bool:
        return letter in self._second if self._second else (letter in self._first) != self._complement


async def tr(process: Process) -> int:
    """tr [-cds] SET1 [SET2]"""
    try:
        options = parse_options(process.arguments[1:], "cCds", permute=False)
        if not 1 <= len(options.operands) <= 2:
            raise UsageError("missing operand")
    except UsageError as error:
        return await refuse(process, error, "tr [-cds] STRING1 [STRING2]")
    translation = _Translation(
        options.operands,
        complement="c" in options or "C" in options,
        deletes="d" in options,
        squeezes="s" in options,
    )
    while data := await process.stdin.read():
        await process.stdout.write(translation.apply(data.decode("latin-1")).encode("latin-1", "replace"))
    return 0


async def rev(process: Process) -> int:
    """rev [FILE]…"""
    inputs, complete = await open_inputs(process, process.arguments[1:], PLAIN)
    for _, reader in inputs:
        for line in await all_lines(reader):
            text = line.decode(errors="replace")
            await process.print(text.rstrip("\n")[::-1] + ("\n" if text.endswith("\n") else ""))
    return int(not complete)
