"""POSIX regular expressions, basic and extended (POSIX.1-2017, chapter 9), in linear time by RE2. Pure.

Whatever the expression, a match takes time in proportion to the text. Only back-references inside an expression, which
RE2 cannot have, go through Python's engine, on short texts and without repeated groups: all others are refused.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import re2

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
_ESCAPES: Final = {"<": r"\b", ">": r"\b", "b": r"\b", "B": r"\B", "w": r"\w", "W": r"\W", "s": r"\s"}
_MORE_ESCAPES: Final = {"S": r"\S", "n": r"\n", "t": r"\t", "r": r"\r"}


_BACK_REFERENCE: Final = re.compile(r"\(\?:\\[1-9]\)")
_REPEATED_GROUP: Final = re.compile(r"\)[*+{]")
_LONGEST_WITH_REFERENCES: Final = 300
"""Characters of a text that Python's engine searches."""
_MOST_REPEATS_WITH_REFERENCES: Final = 2
_LONGEST_EXPRESSION: Final = 4096

Span = tuple[int, int]


class BadExpression(ValueError):
    """Text that is no expression."""


@dataclass(frozen=True, slots=True)
class Found:
    """One match: where it and its groups begin and end, (-1, -1) for a group that took no part."""

    groups: tuple[Span, ...]

    @property
    def span(self) -> Span:
        """The whole match."""
        return self.groups[0]


class Matcher:
    """A compiled expression: leftmost, longest matches."""

    def __init__(self, pattern: str, *, ignore_case: bool = False) -> None:
        """Compiles Python's syntax. Raises BadExpression."""
        if len(pattern) > _LONGEST_EXPRESSION:
            raise BadExpression("Regular expression too big")
        self._bounded = _BACK_REFERENCE.search(pattern.replace("\\\\", "")) is not None
        try:
            self._compiled = (
                self._with_references(pattern, ignore_case) if self._bounded else _re2(pattern, ignore_case)
            )
        except BadExpression:
            raise
        except (re.error, re2.error, OverflowError, RecursionError, ValueError):
            raise BadExpression("bad regex") from None

    @staticmethod
    def _with_references(pattern: str, ignore_case: bool) -> re.Pattern[str]:
        repeats = len(re.findall(r"(?<!\\)[*+]", pattern)) + pattern.count(",}")
        if _REPEATED_GROUP.search(pattern) or repeats > _MOST_REPEATS_WITH_REFERENCES:
            raise BadExpression("back-references beside repeated groups or many repeats are not built")
        return re.compile(pattern, re.IGNORECASE if ignore_case else 0)

    @property
    def group_count(self) -> int:
        """How many groups there are."""
        return int(self._compiled.groups)

    def find(self, text: str, start: int = 0) -> Found | None:
        """The first match from a place on. Raises BadExpression for a text too long for back-references."""
        if self._bounded and len(text) > _LONGEST_WITH_REFERENCES:
            raise BadExpression("back-references on long lines are not built")
        match = self._compiled.search(text, start)
        return None if match is None else Found(tuple(match.span(each) for each in range(self.group_count + 1)))

    def search(self, text: str) -> Span | None:
        """Where the first match begins and ends."""
        found = self.find(text)
        return None if found is None else found.span

    def each(self, text: str) -> Iterator[Found]:
        """All matches that do not overlap; an empty one not right behind another."""
        at, last = 0, -1
        while at <= len(text) and (found := self.find(text, at)) is not None:
            start, end = found.span
            if start < end or start != last:
                yield found
            last = end
            at = end + (start == end)

    def spans(self, text: str, *, every: bool = True) -> list[Span]:
        """Where matches begin and end: all, or the first."""
        if every:
            return [found.span for found in self.each(text)]
        first = self.search(text)
        return [] if first is None else [first]

    def split(self, text: str) -> list[str]:
        """The text between matches that are not empty."""
        parts, at = [], 0
        for start, end in self.spans(text):
            if start < end:
                parts.append(text[at:start])
                at = end
        return [*parts, text[at:]]


def _re2(pattern: str, ignore_case: bool) -> "re.Pattern[str]":
    options = re2.Options()
    options.longest_match, options.log_errors, options.case_sensitive = True, False, not ignore_case
    options.never_capture = False
    compiled: re.Pattern[str] = re2.compile(pattern, options)
    return compiled


def compile_expression(text: str, *, extended: bool, ignore_case: bool = False) -> Matcher:
    """A POSIX expression. Raises BadExpression."""
    return Matcher(to_python(text, extended=extended), ignore_case=ignore_case)


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
