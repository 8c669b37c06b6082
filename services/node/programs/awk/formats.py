"""awk's printf (POSIX.1-2017, awk, Formats). Pure."""

import re
from collections.abc import Sequence
from typing import Final

from podwire.services.node.programs.awk.values import Value, number, text

_DIRECTIVE: Final = re.compile(r"%([-+ #0]*)(\*|\d{0,9})(?:\.(\*|\d{0,9}))?([a-zA-Z%])")
_WIDEST: Final = 4096


class BadFormat(ValueError):
    """A format that is refused."""


def formatted(form: str, values: Sequence[Value]) -> str:
    """The format with its values; values that are missing are empty. Raises BadFormat."""
    rest = list(values)

    def piece(match: re.Match[str]) -> str:
        flags, width, precision, kind = match.groups()
        if kind == "%":
            return "%"
        head = f"%{flags}{_count(width, rest)}" + ("" if precision is None else f".{_count(precision, rest) or 0}")
        return _directive(head, kind, rest.pop(0) if rest else "")

    return _DIRECTIVE.sub(piece, form)


def _count(word: str, rest: list[Value]) -> str:
    value = int(number(rest.pop(0))) if word == "*" and rest else int(word) if word.isdigit() else None
    return "" if value is None else str(max(-_WIDEST, min(value, _WIDEST)))


def _directive(head: str, kind: str, value: Value) -> str:
    match kind:
        case "s":
            return str((head + "s") % text(value))
        case "c":
            letter = (
                chr(int(value) & 0x1FFFFF) if isinstance(value, float) and 0 < value < 0x110000 else text(value)[:1]
            )
            return str((head + "s") % letter)
        case "d" | "i" | "u" | "x" | "X" | "o":
            whole = number(value)
            return str((head + ("d" if kind in "iu" else kind)) % (int(whole) if abs(whole) < 1e300 else 0))
        case "f" | "F" | "e" | "E" | "g" | "G":
            return str((head + kind) % number(value))
    raise BadFormat(f"%{kind}: invalid format")
