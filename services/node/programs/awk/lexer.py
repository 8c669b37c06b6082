"""awk's tokens. Pure."""

import re
from dataclasses import dataclass
from typing import Final

from podwire.services.node.programs.awk.syntax import AwkSyntaxError

KEYWORDS: Final = (
    *("BEGIN", "END", "if", "else", "while", "do", "for", "in", "print", "printf", "next", "exit", "break"),
    *("continue", "delete", "function", "func", "getline", "return", "nextfile"),
)
NOT_BUILT: Final = ("function", "func", "getline", "return", "nextfile")
FUNCTIONS: Final = (
    *("length", "substr", "index", "split", "sub", "gsub", "match", "sprintf", "toupper", "tolower", "int"),
    *("system", "sin", "cos", "atan2", "exp", "log", "sqrt", "rand", "srand", "close", "fflush", "strftime", "systime"),
)
_OPERATORS: Final = (
    *("**=", "&&", "||", "++", "--", "+=", "-=", "*=", "/=", "%=", "^=", "==", "!=", "<=", ">=", "!~", ">>", "**"),
    *"{}()[];,+-*/%^!<>|?:~$=",
)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "/": "/", '"': '"'}
_NUMBER: Final = re.compile(r"(\d{1,300}(\.\d{0,300})?|\.\d{1,300})([eE][-+]?\d{1,3})?")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DIVISIBLE: Final = ("number", "string", "name", "builtin")


@dataclass(frozen=True, slots=True)
class Token:
    """kind is number, string, regex, name, builtin, call, newline, end, a keyword or an operator."""

    kind: str
    text: str = ""
    follows_blank: bool = False


def tokens(program: str) -> list[Token]:
    """All tokens, `end` last. Raises AwkSyntaxError."""
    found: list[Token] = []
    at = 0
    while at < len(program):
        blank = False
        while at < len(program) and (program[at] in " \t\r" or program.startswith("\\\n", at)):
            at += 2 if program[at] == "\\" else 1
            blank = True
        if at >= len(program):
            break
        if program[at] == "#":
            at = program.find("\n", at) if "\n" in program[at:] else len(program)
            continue
        token, at = _next(program, at, found, blank=blank)
        found.append(token)
    return [*found, Token("newline"), Token("end")]


def _next(program: str, at: int, before: list[Token], *, blank: bool) -> tuple[Token, int]:
    letter = program[at]
    if letter == "\n":
        return Token("newline"), at + 1
    if letter == '"':
        return _string(program, at + 1)
    if letter == "/" and not (before and (before[-1].kind in _DIVISIBLE or before[-1].kind in (")", "]", "++", "--"))):
        return _regex(program, at + 1)
    if match := _NUMBER.match(program, at):
        return Token("number", match.group()), match.end()
    if match := _NAME.match(program, at):
        name, end = match.group(), match.end()
        if name in KEYWORDS:
            if name in NOT_BUILT:
                raise AwkSyntaxError(f"{name} is not built")
            return Token(name), end
        if name in FUNCTIONS:
            return Token("builtin", name), end
        return Token("call" if program[end : end + 1] == "(" else "name", name), end
    for operator in _OPERATORS:
        if program.startswith(operator, at):
            return Token({"**": "^", "**=": "^="}.get(operator, operator), follows_blank=blank), at + len(operator)
    raise AwkSyntaxError(f"Unexpected token near {letter}")


def _string(program: str, at: int) -> tuple[Token, int]:
    text = ""
    while at < len(program) and program[at] not in '"\n':
        if program[at] == "\\" and at + 1 < len(program):
            octal = re.compile(r"[0-7]{1,3}").match(program, at + 1)
            if octal:
                text, at = text + chr(int(octal.group(), 8) & 0xFF), octal.end()
                continue
            letter = program[at + 1]
            text += _ESCAPES.get(letter, "\\" if letter == "\\" else f"\\{letter}")
            at += 2
        else:
            text, at = text + program[at], at + 1
    if at >= len(program) or program[at] != '"':
        raise AwkSyntaxError("Unexpected end of string")
    return Token("string", text), at + 1


def _regex(program: str, at: int) -> tuple[Token, int]:
    start, in_bracket = at, False
    while at < len(program) and program[at] != "\n" and (program[at] != "/" or in_bracket):
        if program[at] == "[":
            in_bracket = True
        elif program[at] == "]":
            in_bracket = False
        at += 2 if program[at] == "\\" else 1
    if at >= len(program) or program[at] != "/":
        raise AwkSyntaxError("Unexpected end of regex")
    return Token("regex", program[start:at].replace("\\/", "/")), at + 1
