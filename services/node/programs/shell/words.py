"""Reading characters as words: quotes, expansions, here-documents. Pure; raises ShellSyntaxError."""

import re
from collections.abc import Callable
from typing import Final

from podwire.services.node.programs.shell.syntax import (
    Arithmetic,
    Parameter,
    Part,
    Sequence,
    ShellSyntaxError,
    Substitution,
    Text,
    Word,
)

DEEPEST: Final = 30
"""How deep commands and expansions may nest."""
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?$!-]")
_PLAIN_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-]")
_OPERATORS: Final = (":-", ":=", ":?", ":+", "##", "%%", "//", "-", "=", "?", "+", "#", "%", "/", ":")
_WORD_END: Final = frozenset(" \t\n;&|<>()")
ParseScript = Callable[["Characters", str], Sequence]


class Characters:
    """A place in a text. Nested readers share it, so that depth is counted once."""

    def __init__(self, text: str, parse_script: ParseScript) -> None:
        self.text, self.at, self.depth = text, 0, 0
        self.parse_script = parse_script
        self.here_documents: dict[int, int] = {}
        """Where reading goes on after the newline at a place: behind the here-documents that begin there."""

    def peek(self, length: int = 1) -> str:
        """The next characters, without taking them."""
        return self.text[self.at : self.at + length]

    def take(self) -> str:
        """The next character, "" at the end."""
        character = self.text[self.at : self.at + 1]
        self.at += 1
        return character

    def deeper(self) -> None:
        """Counts one more level. Raises ShellSyntaxError."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise ShellSyntaxError("nested too deep")

    # -- words

    def word(self) -> Word:
        """The word that begins here; empty if none does."""
        parts: list[Part] = []
        while (character := self.peek()) and character not in _WORD_END:
            if self.peek(2) == "\\\n":
                self.at += 2
            elif character == "'":
                parts.append(Text(self._single_quoted(), True))
            elif character == '"':
                self.at += 1
                parts += self.quoted('"') or [Text("", True)]
            elif character == "\\":
                self.at += 1
                parts.append(Text(self.take() or "\\", True))
            elif character in "$`":
                parts.append(self._expansion(False))
            else:
                self.at += 1
                parts.append(Text(character, False))
        return joined(parts)

    def _single_quoted(self) -> str:
        end = self.text.find("'", self.at + 1)
        if end < 0:
            raise ShellSyntaxError("unterminated quoted string")
        text = self.text[self.at + 1 : end]
        self.at = end + 1
        return text

    def quoted(self, end: str) -> list[Part]:
        """What stands between double quotes, up to `end` ("": the end of the text), which is taken."""
        parts: list[Part] = []
        special = '$`"\\\n' if end == '"' else "$`\\\n"
        while (character := self.peek()) and character != end:
            if character == "\\":
                self.at += 1
                escaped = self.take()
                text = escaped if escaped and escaped in special else "\\" + escaped
                parts.append(Text("" if escaped == "\n" else text, True))
            elif character in "$`":
                parts.append(self._expansion(True))
            else:
                self.at += 1
                parts.append(Text(character, True))
        if end and self.take() != end:
            raise ShellSyntaxError("unterminated quoted string")
        return list(joined(parts))

    # -- expansions

    def _expansion(self, quoted: bool) -> Part:
        self.deeper()
        try:
            if self.take() == "`":
                return self._backquoted(quoted)
            if self.peek(2) == "((":
                found = self._arithmetic(quoted)
                if found is not None:
                    return found
            if self.peek() == "(":
                self.at += 1
                return Substitution(self.parse_script(self, ")"), quoted)
            if self.peek() == "{":
                self.at += 1
                return self._braced(quoted)
            return self._named(quoted)
        finally:
            self.depth -= 1

    def _named(self, quoted: bool) -> Part:
        match = _PLAIN_NAME.match(self.text, self.at)
        if match is None:
            return Text("$", quoted)
        self.at = match.end()
        return Parameter(match.group(), "", (), quoted)

    def _braced(self, quoted: bool) -> Parameter:
        if self.peek() == "#" and self.peek(2) != "#}":
            self.at += 1
            name = self._parameter_name()
            self._expect_brace()
            return Parameter(name, "length", (), quoted)
        name = self._parameter_name()
        operator = next((each for each in _OPERATORS if self.text.startswith(each, self.at)), "")
        self.at += len(operator)
        word = self._until_brace(quoted) if operator else ()
        self._expect_brace()
        return Parameter(name, operator, word, quoted)

    def _parameter_name(self) -> str:
        match = _NAME.match(self.text, self.at)
        if match is None:
            raise ShellSyntaxError("bad substitution")
        self.at = match.end()
        return match.group()

    def _expect_brace(self) -> None:
        if self.take() != "}":
            raise ShellSyntaxError("bad substitution")

    def _until_brace(self, quoted: bool) -> Word:
        parts: list[Part] = []
        while (character := self.peek()) and character != "}":
            if character == '"':
                self.at += 1
                parts += self.quoted('"') or [Text("", True)]
            elif character == "'" and not quoted:
                parts.append(Text(self._single_quoted(), True))
            elif character == "\\":
                self.at += 1
                parts.append(Text(self.take(), True))
            elif character in "$`":
                parts.append(self._expansion(quoted))
            else:
                self.at += 1
                parts.append(Text(character, False))
        return joined(parts)

    def _arithmetic(self, quoted: bool) -> Arithmetic | None:
        """$((…)); None if it is a subshell in a substitution instead."""
        depth, at = 0, self.at
        while at < len(self.text):
            depth += {"(": 1, ")": -1}.get(self.text[at], 0)
            at += 1
            if depth == 0:
                break
        if depth or self.text[at - 2 : at] != "))":
            return None
        inner = Characters(self.text[self.at + 2 : at - 2], self.parse_script)
        inner.depth = self.depth
        self.at = at
        return Arithmetic(tuple(inner.quoted("")), quoted)

    def _backquoted(self, quoted: bool) -> Substitution:
        script = ""
        while (character := self.take()) != "`":
            if not character:
                raise ShellSyntaxError("EOF in backquote substitution")
            if character == "\\" and self.peek() in ("`", "$", "\\"):
                character = self.take()
            script += character
        inner = Characters(script, self.parse_script)
        inner.depth = self.depth
        return Substitution(self.parse_script(inner, ""), quoted)


def joined(parts: list[Part]) -> Word:
    """The same with neighbouring texts of one sort made one."""
    result: list[Part] = []
    for part in parts:
        last = result[-1] if result else None
        if isinstance(part, Text) and isinstance(last, Text) and part.quoted == last.quoted:
            result[-1] = Text(last.text + part.text, part.quoted)
        else:
            result.append(part)
    return tuple(result)


def plain_text(word: Word) -> str | None:
    """The word's text if nothing in it is quoted or expanded: what reserved words and names must be."""
    if len(word) == 1 and isinstance(word[0], Text) and not word[0].quoted:
        return word[0].text
    return None
