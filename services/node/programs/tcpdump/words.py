"""The words of a filter expression, read one after the other. Pure."""

import re
from typing import Final

_WORD: Final = re.compile(r"\s*(&&|\|\||<<|>>|==|!=|<=|>=|[()\[\]!&|^=<>+*%:]|\\?[\w.:/-]+|/|-)")
_INSIDE: Final = re.compile(r"\s*(&&|\|\||<<|>>|==|!=|<=|>=|[()\[\]!&|^=<>+*/%:-]|[A-Za-z][\w-]*|\w+)")
_LONGEST: Final = 8192
_DEEPEST: Final = 64


class FilterError(ValueError):
    """An expression that cannot be understood; the text is libpcap's own where it has one."""


class Words:
    """A position in a list of words. `next` is "" at the end."""

    def __init__(self, text: str) -> None:
        if len(text) > _LONGEST:
            raise FilterError(f"the expression is longer than {_LONGEST} characters")
        self._words = _split(text)
        self.at = 0
        self._depth = 0

    @property
    def next(self) -> str:
        """The word that `take` would give."""
        return self._words[self.at] if self.at < len(self._words) else ""

    def take(self) -> str:
        """The next word, and on. Raises FilterError at the end."""
        if self.at >= len(self._words):
            raise FilterError("syntax error")
        self.at += 1
        return self._words[self.at - 1]

    def expect(self, given: str) -> None:
        """Takes a certain word. Raises FilterError."""
        if self.take() != given:
            raise FilterError("syntax error")

    def enter(self) -> None:
        """One parenthesis deeper. Raises FilterError."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise FilterError(f"parentheses are nested deeper than {_DEEPEST}")

    def leave(self) -> None:
        """Out again."""
        self._depth -= 1

    def back_to(self, at: int, depth: int) -> None:
        """Tries another reading from an earlier word on."""
        self.at, self._depth = at, depth

    @property
    def depth(self) -> int:
        """How deep it is."""
        return self._depth


def _split(text: str) -> list[str]:
    """Inside brackets `:` and `-` are signs; elsewhere they belong to addresses and ranges."""
    found: list[str] = []
    at = brackets = 0
    while text[at:].strip():
        match = (_INSIDE if brackets else _WORD).match(text, at)
        if match is None:
            raise FilterError(f"illegal character in expression: {text[at:].strip()[:1]!r}")
        found.append(match[1])
        brackets += (match[1] == "[") - (match[1] == "]")
        at = match.end()
    return found
