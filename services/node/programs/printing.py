"""Programs that print their arguments: echo, printf, yes, seq, true, false."""

import re
from typing import Final

from podwire.services.node.process import Process

_ESCAPE: Final = re.compile(r"\\(?:0([0-7]{0,3})|x([0-9a-fA-F]{1,2})|([1-7][0-7]{0,2})|(.))", re.DOTALL)
_LETTERS: Final = {"a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}
_DIRECTIVE: Final = re.compile(r"%(?:%|([-+ 0#]*)(\*|\d{0,6})(?:\.(\*|\d{0,6}))?(?:ll?|h)?([a-zA-Z]))")
_WIDEST: Final = 65536


def unescaped(text: str) -> tuple[str, bool]:
    """Backslash escapes resolved, and whether \\c ended the output."""
    result, at = "", 0
    for match in _ESCAPE.finditer(text):
        result += text[at : match.start()]
        at = match.end()
        octal, hexadecimal, plain_octal, letter = match.groups()
        if letter == "c":
            return result, True
        if letter is not None:
            result += _LETTERS.get(letter, "\\" + letter)
        else:
            result += chr(int(hexadecimal, 16) if hexadecimal else int(octal or plain_octal or "0", 8) & 0xFF)
    return result + text[at:], False


async def echo(process: Process) -> int:
    """echo [-neE] [WORD]…"""
    words, escapes, newline = process.arguments[1:], False, "\n"
    while words and re.fullmatch(r"-[neE]+", words[0]):
        for letter in words.pop(0)[1:]:
            newline = "" if letter == "n" else newline
            escapes = escapes if letter == "n" else letter == "e"
    text, ended = " ".join(words), False
    if escapes:
        text, ended = unescaped(text)
    await process.print(text + ("" if ended else newline))
    return 0


class _Formatter:
    """One printf: the format is used again for as long as there are arguments."""

    def __init__(self, arguments: list[str]) -> None:
        self._arguments, self._used = arguments, 0
        self.complaints: list[str] = []
        self.ended = False

    def run(self, form: str) -> str:
        result = self._once(form)
        while self._used < len(self._arguments) and not self.ended:
            before = self._used
            result += self._once(form)
            if self._used == before:
                break
        return result

    def _next(self) -> str:
        self._used += 1
        return self._arguments[self._used - 1] if self._used <= len(self._arguments) else ""

    def _once(self, form: str) -> str:
        result, at = "", 0
        for match in _DIRECTIVE.finditer(form):
            result += self._plain(form[at : match.start()])
            if self.ended:
                return result
            at = match.end()
            result += "%" if match.group() == "%%" else self._directive(match)
        return result + self._plain(form[at:])

    def _plain(self, text: str) -> str:
        text, ended = unescaped(text)
        self.ended = self.ended or ended
        return text

    def _directive(self, match: re.Match[str]) -> str:
        flags, width, precision, kind = match.groups()
        width = self._count(width)
        precision = None if precision is None else self._count(precision)
        head = f"%{flags}{width}" + ("" if precision is None else f".{precision}")
        argument = self._next()
        match kind:
            case "s":
                return str((head + "s") % argument)
            case "b":
                text, ended = unescaped(argument)
                self.ended = self.ended or ended
                return str((head + "s") % text)
            case "c":
                return str((head + "s") % argument[:1])
            case "d" | "i" | "u" | "x" | "X" | "o":
                return str((head + ("d" if kind in "iu" else kind)) % self._integer(argument))
            case "f" | "F" | "e" | "E" | "g" | "G":
                return str((head + kind) % self._real(argument))
        self.complaints.append(f"%{kind}: invalid format")
        return ""

    def _count(self, text: str) -> str:
        number = self._integer(self._next()) if text == "*" else int(text or "0")
        return str(max(-_WIDEST, min(number, _WIDEST))) if text else ""

    def _integer(self, text: str) -> int:
        if text[:1] in ("'", '"') and len(text) > 1:
            return ord(text[1])
        try:
            return int(text or "0", 0) if not re.fullmatch(r"[-+]?0\d{1,30}", text) else int(text, 8)
        except ValueError:
            self.complaints.append(f"invalid number '{text}'")
            return 0

    def _real(self, text: str) -> float:
        try:
            return float(text or "0")
        except ValueError:
            self.complaints.append(f"invalid number '{text}'")
            return 0.0


async def printf(process: Process) -> int:
    """printf FORMAT [ARGUMENT]…"""
    if len(process.arguments) < 2:
        await process.complain("printf: usage: printf FORMAT [ARGUMENT]...")
        return 2
    formatter = _Formatter(process.arguments[2:])
    await process.print(formatter.run(process.arguments[1]))
    for complaint in formatter.complaints:
        await process.complain(f"printf: {complaint}")
    return 1 if formatter.complaints else 0


async def yes(process: Process) -> int:
    """yes [WORD]…: prints without end."""
    line = (" ".join(process.arguments[1:]) or "y") + "\n"
    while True:
        await process.print(line * (4096 // len(line) + 1))


async def seq(process: Process) -> int:
    """seq [FIRST [STEP]] LAST"""
    words = process.arguments[1:]
    separator, wide = "\n", words[:1] == ["-w"]
    words = words[wide:]
    if words[:1] == ["-s"] and len(words) > 1:
        separator, words = words[1], words[2:]
    elif words and words[0].startswith("-s"):
        separator, words = words[0][2:], words[1:]
    try:
        numbers = [int(word) for word in words]
    except ValueError:
        await process.complain(f"seq: invalid number '{next(word for word in words if not _is_number(word))}'")
        return 1
    if not 1 <= len(numbers) <= 3:
        await process.complain("BusyBox v1.36.1 multi-call binary.\n\nUsage: seq [-w] [-s SEP] [FIRST [INC]] LAST")
        return 1
    first = numbers[0] if len(numbers) > 1 else 1
    step = numbers[1] if len(numbers) > 2 else 1
    if step == 0:
        await process.complain("seq: increment must not be zero")
        return 1
    values = range(first, numbers[-1] + (1 if step > 0 else -1), step)
    for start in range(0, len(values), 4096):
        width = max(len(str(values[0])), len(str(values[-1]))) if wide else 0
        lines = separator.join(str(value).zfill(width) for value in values[start : start + 4096])
        await process.print(lines + (separator if start + 4096 < len(values) else "\n"))
    return 0


def _is_number(word: str) -> bool:
    return re.fullmatch(r"[-+]?\d+", word) is not None


async def true(process: Process) -> int:
    """0"""
    return 0


async def false(process: Process) -> int:
    """1"""
    return 1
