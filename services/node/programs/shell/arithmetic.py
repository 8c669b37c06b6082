"""$((…)): C's integer arithmetic on 64 bits (POSIX.1-2017, 2.6.4). Pure."""

import re
from collections.abc import Callable
from typing import Final

_TOKEN: Final = re.compile(
    r"\s*(0[xX][0-9a-fA-F]+|[0-9]+|[A-Za-z_][A-Za-z0-9_]*|<<=|>>=|\+\+|--|&&|\|\||<<|>>"
    r"|[-+*/%&|^<>=!]=|[-+*/%&|^<>=!~?:(),])"
)
_LEVELS: Final = (
    ("||",),
    ("&&",),
    ("|",),
    ("^",),
    ("&",),
    ("==", "!="),
    ("<", "<=", ">", ">="),
    ("<<", ">>"),
    ("+", "-"),
    ("*", "/", "%"),
)
_ASSIGNMENTS: Final = ("=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>=")
_DEEPEST: Final = 20


class ArithmeticFailure(ValueError):
    """An expression without a value; the text is ash's."""


def evaluate(text: str, variables: dict[str, str]) -> int:
    """The value; assignments change `variables`. Raises ArithmeticFailure."""
    return _Evaluator(text, variables, 0).run()


def _wrapped(value: int) -> int:
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


def _divided(left: int, right: int) -> int:
    if right == 0:
        raise ArithmeticFailure("divide by zero")
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


_BINARY: Final[dict[str, Callable[[int, int], int]]] = {
    "||": lambda left, right: int(bool(left) or bool(right)),
    "&&": lambda left, right: int(bool(left) and bool(right)),
    "|": lambda left, right: left | right,
    "^": lambda left, right: left ^ right,
    "&": lambda left, right: left & right,
    "==": lambda left, right: int(left == right),
    "!=": lambda left, right: int(left != right),
    "<": lambda left, right: int(left < right),
    "<=": lambda left, right: int(left <= right),
    ">": lambda left, right: int(left > right),
    ">=": lambda left, right: int(left >= right),
    "<<": lambda left, right: left << (right & 63),
    ">>": lambda left, right: left >> (right & 63),
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": _divided,
    "%": lambda left, right: left - right * _divided(left, right),
}


class _Evaluator:
    def __init__(self, text: str, variables: dict[str, str], depth: int) -> None:
        self._tokens = _tokens(text)
        self._at, self._variables, self._depth = 0, variables, depth

    def run(self) -> int:
        if not self._tokens:
            return 0
        value = self._comma()
        if self._peek():
            raise ArithmeticFailure("arithmetic syntax error")
        return value

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _expect(self, token: str) -> None:
        if self._take() != token:
            raise ArithmeticFailure("arithmetic syntax error")

    def _comma(self) -> int:
        value = self._assignment()
        while self._peek() == ",":
            self._take()
            value = self._assignment()
        return value

    def _assignment(self) -> int:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ArithmeticFailure("expression nested too deep")
        name = self._peek()
        after = self._tokens[self._at + 1] if self._at + 1 < len(self._tokens) else ""
        if _is_name(name) and after in _ASSIGNMENTS:
            self._at += 2
            value = self._assignment()
            if after != "=":
                value = _BINARY[after[:-1]](self._value_of(name), value)
            self._variables[name] = str(_wrapped(value))
        else:
            value = self._conditional()
        self._depth -= 1
        return _wrapped(value)

    def _conditional(self) -> int:
        value = self._binary(0)
        if self._peek() != "?":
            return value
        self._take()
        yes = self._assignment()
        self._expect(":")
        no = self._assignment()
        return yes if value else no

    def _binary(self, level: int) -> int:
        if level == len(_LEVELS):
            return self._unary()
        value = self._binary(level + 1)
        while self._peek() in _LEVELS[level]:
            operator = self._take()
            value = _wrapped(_BINARY[operator](value, self._binary(level + 1)))
        return value

    def _unary(self) -> int:
        signs = []
        while self._peek() in ("-", "+", "!", "~", "++", "--"):
            signs.append(self._take())
        if signs and signs[-1] in ("++", "--") and _is_name(self._peek()):
            value = self._stepped(self._take(), signs.pop())
        else:
            value = self._primary()
        for sign in reversed(signs):
            value = {"-": -value, "!": int(not value), "~": ~value}.get(sign, value)
        return value

    def _stepped(self, name: str, step: str) -> int:
        value = self._value_of(name) + (1 if step == "++" else -1)
        self._variables[name] = str(_wrapped(value))
        return value

    def _primary(self) -> int:
        token = self._take()
        if token == "(":
            value = self._comma()
            self._expect(")")
            return value
        if _is_name(token):
            value = self._value_of(token)
            if self._peek() in ("++", "--"):
                self._stepped(token, self._take())
            return value
        return _number(token)

    def _value_of(self, name: str) -> int:
        return _Evaluator(self._variables.get(name, ""), self._variables, self._depth + 1).run()


def _tokens(text: str) -> list[str]:
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ArithmeticFailure("arithmetic syntax error")
        tokens.append(match.group(1))
        at = match.end()
    return tokens


def _is_name(token: str) -> bool:
    return bool(token) and (token[0].isalpha() or token[0] == "_")


def _number(token: str) -> int:
    if not token[:1].isdigit() or len(token) > 30:
        raise ArithmeticFailure("arithmetic syntax error")
    try:
        if token[:2] in ("0x", "0X"):
            return int(token, 16)
        return int(token, 8 if len(token) > 1 and token[0] == "0" else 10)
    except ValueError:
        raise ArithmeticFailure("arithmetic syntax error") from None
