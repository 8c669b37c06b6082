"""POSIX regular expressions, basic and extended, as Python's (POSIX.1-2017, chapter 9). Pure."""

import re
from typing import Final

_CLASSES: Final = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "space": " \\t\\n\\r\\f\\v",
    "blank": " \\t",
    "punct": "!-/:-@\\[-`{-~",
    "xdigit": "0-9A-Fa-f",
    "print": " -~",
    "graph": "!-~",
    "cntrl": "\\x00-\\x1f\\x7f",
}
_SWAPPED: Final = "(){}|+?"
"""What means something escaped in basic, and unescaped in extended expressions."""
_ESCAPES: Final = {"<": r"\b(?=\w)", ">": r"\b(?<=\w)", "b": r"\b", "B": r"\B", "w": r"\w", "W": r"\W", "s": r"\s"}
_MORE_ESCAPES: Final = {"S": r"\S", "n": r"\n", "t": r"\t", "r": r"\r"}


class BadExpression(ValueError):
    """Text that is no expression."""


def to_python(text: str, *, extended: bool) -> str:
    """The same in Python's syntax. Raises BadExpression."""
    result, at = "", 0
    while at < len(text):
        letter = text[at]
        if letter == "[":
            piece, at = _bracket(text, at)
        elif letter == "\\":
            if at + 1 >= len(text):
                raise BadExpression("Trailing backslash")
            piece, at = _escaped(text[at + 1], extended), at + 2
        else:
            piece, at = _plain(letter, text, at, extended), at + 1
        result += piece
    return result


def _plain(letter: str, text: str, at: int, extended: bool) -> str:
    if letter == "*" and (at == 0 or (not extended and text[at - 1 : at] == "^" and at == 1)):
        return r"\*"
    if letter in _SWAPPED:
        return letter if extended else re.escape(letter)
    if not extended and letter == "^":
        return "^" if at == 0 or text[at - 2 : at] in ("\\(", "\\|") else r"\^"
    if not extended and letter == "$":
        return "$" if at == len(text) - 1 or text[at + 1 : at + 3] in ("\\)", "\\|") else r"\$"
    return letter if letter in ".*^$" else re.escape(letter)


def _escaped(letter: str, extended: bool) -> str:
    if letter in _SWAPPED:
        return re.escape(letter) if extended else letter
    if letter in "123456789":
        return f"(?:\\{letter})"
    return _ESCAPES.get(letter) or _MORE_ESCAPES.get(letter) or re.escape(letter)


def _bracket(text: str, at: int) -> tuple[str, int]:
    end = at + 1
    negated = text[end : end + 1] == "^"
    end += negated
    body = ""
    if text[end : end + 1] == "]":
        body, end = "\\]", end + 1
    while end < len(text) and text[end] != "]":
        if text.startswith("[:", end):
            close = text.find(":]", end)
            name = text[end + 2 : close] if close > 0 else ""
            if name not in _CLASSES:
                raise BadExpression("Invalid character class name")
            body, end = body + _CLASSES[name], close + 2
        else:
            body += "\\" + text[end] if text[end] in "\\[^&~|" else text[end]
            end += 1
    if end >= len(text):
        raise BadExpression("Unmatched [, [^, [:, [., or [=")
    return f"[{'^' if negated else ''}{body}]", end + 1
