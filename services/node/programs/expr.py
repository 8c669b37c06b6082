"""expr (POSIX.1-2017)."""

from podwire.services.node.process import Process
from podwire.services.node.programs.expressions import BadExpression, compile_expression

_LEVELS = (("|",), ("&",), ("=", "==", "!=", "<", "<=", ">", ">="), ("+", "-"), ("*", "/", "%"), (":",))
_DEEPEST = 50


class BadExpr(Exception):
    """An expression that is refused."""


class _Reader:
    def __init__(self, words: list[str]) -> None:
        self._words, self._depth = list(words), 0

    def whole(self) -> str:
        value = self._level(0)
        if self._words:
            raise BadExpr("syntax error")
        return value

    def _level(self, level: int) -> str:
        if level == len(_LEVELS):
            return self._primary()
        left = self._level(level + 1)
        while self._words and self._words[0] in _LEVELS[level]:
            operator = self._words.pop(0)
            left = _of_two(operator, left, self._level(level + 1))
        return left

    def _primary(self) -> str:
        if not self._words:
            raise BadExpr("syntax error")
        word = self._words.pop(0)
        if word == "length" and self._words:
            return str(len(self._primary()))
        if word == "substr" and len(self._words) >= 3:
            text, start, length = self._primary(), _number(self._primary()), _number(self._primary())
            return text[max(start - 1, 0) : max(start - 1 + length, 0)] if start > 0 else ""
        if word == "index" and len(self._words) >= 2:
            text, letters = self._primary(), self._primary()
            return str(next((at for at, letter in enumerate(text, 1) if letter in letters), 0))
        if word != "(":
            return word
        self._depth += 1
        if self._depth > _DEEPEST:
            raise BadExpr("too many parentheses")
        value = self._level(0)
        if not self._words or self._words.pop(0) != ")":
            raise BadExpr("syntax error")
        return value


def _number(text: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
        raise BadExpr("non-numeric argument")
    return int(text)


def _is_number(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) < 19


def _of_two(operator: str, left: str, right: str) -> str:
    if operator == "|":
        return left if left not in ("", "0") else right
    if operator == "&":
        return left if left not in ("", "0") and right not in ("", "0") else "0"
    if operator == ":":
        return _matched(left, right)
    if operator in _LEVELS[2]:
        return str(int(_compared(operator, left, right)))
    one, two = _number(left), _number(right)
    if operator in "/%" and two == 0:
        raise BadExpr("division by zero")
    quotient = abs(one) // abs(two or 1) * (1 if (one < 0) == (two < 0) else -1)
    values = {"+": one + two, "-": one - two, "*": one * two, "/": quotient, "%": one - quotient * two}
    return str(values[operator])


def _compared(operator: str, left: str, right: str) -> bool:
    if _is_number(left) and _is_number(right):
        order = (int(left) > int(right)) - (int(left) < int(right))
    else:
        order = (left > right) - (left < right)
    wanted = {"=": (0,), "==": (0,), "!=": (-1, 1), "<": (-1,), "<=": (-1, 0), ">": (1,), ">=": (0, 1)}
    return order in wanted[operator]


def _matched(text: str, pattern: str) -> str:
    try:
        matcher = compile_expression(pattern if pattern.startswith("^") else f"^{pattern}", extended=False)
        found = matcher.find(text)
    except BadExpression as error:
        raise BadExpr(str(error)) from None
    if matcher.group_count:
        return "" if found is None or found.groups[1][0] < 0 else text[slice(*found.groups[1])]
    return str(0 if found is None else found.span[1])


async def expr(process: Process) -> int:
    """expr EXPRESSION: 0, or 1 if the value is empty or 0, or 2 for an error."""
    words = process.arguments[1:]
    try:
        value = _Reader(words).whole()
    except BadExpr as error:
        await process.complain(f"expr: {error}")
        return 2
    await process.print(f"{value}\n")
    return int(value in ("", "0"))
