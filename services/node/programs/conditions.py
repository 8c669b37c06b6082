"""test and [ (POSIX.1-2017, test; messages of busybox ash)."""

from collections.abc import Callable
from typing import Final

from podwire.services.node.files import normal
from podwire.services.node.process import Process
from podwire.services.node.programs.filesystem import exists, is_folder, mode_of, read_file

_TEXT: Final[dict[str, Callable[[str, str], bool]]] = {
    "=": lambda left, right: left == right,
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    ">": lambda left, right: left > right,
}
_NUMBERS: Final[dict[str, Callable[[int, int], bool]]] = {
    "-eq": lambda left, right: left == right,
    "-ne": lambda left, right: left != right,
    "-lt": lambda left, right: left < right,
    "-le": lambda left, right: left <= right,
    "-gt": lambda left, right: left > right,
    "-ge": lambda left, right: left >= right,
}
_UNARY: Final = ("-n", "-z", "-e", "-f", "-d", "-s", "-r", "-w", "-x", "-t", "-h", "-L", "-b", "-c", "-p", "-S")
_DEEPEST: Final = 50


class BadCondition(ValueError):
    """An expression that test refuses."""


class _Evaluator:
    def __init__(self, process: Process, words: list[str]) -> None:
        self._process, self._words = process, words

    def run(self) -> bool:
        if not self._words:
            return False
        if self._words.count("(") > _DEEPEST:
            raise BadCondition("too many parentheses")
        value = self._or()
        if self._words:
            raise BadCondition(f"{self._words[0]}: unknown operand")
        return value

    def _or(self) -> bool:
        value = self._and()
        while self._words[:1] == ["-o"]:
            self._words.pop(0)
            value = self._and() or value
        return value

    def _and(self) -> bool:
        value = self._not()
        while self._words[:1] == ["-a"]:
            self._words.pop(0)
            value = self._not() and value
        return value

    def _not(self) -> bool:
        negated = False
        while self._words[:1] == ["!"] and len(self._words) > 1:
            self._words.pop(0)
            negated = not negated
        return self._primary() != negated

    def _primary(self) -> bool:
        if not self._words:
            raise BadCondition("argument expected")
        if len(self._words) > 2 and (self._words[1] in _TEXT or self._words[1] in _NUMBERS):
            left, operator, right = self._words[:3]
            del self._words[:3]
            return _binary(left, operator, right)
        word = self._words.pop(0)
        if word == "(" and self._words:
            value = self._or()
            if self._words[:1] != [")"]:
                raise BadCondition("closing paren expected")
            self._words.pop(0)
            return value
        if word in _UNARY and self._words:
            return self._unary(word, self._words.pop(0))
        return word != ""

    def _unary(self, operator: str, operand: str) -> bool:
        match operator:
            case "-n":
                return operand != ""
            case "-z":
                return operand == ""
            case "-t":
                return self._process.is_terminal
            case "-d":
                return is_folder(self._process, operand)
            case "-h" | "-L":
                return self._process.files.target(normal(operand, self._process.folder)) is not None
            case "-b" | "-c" | "-p" | "-S":
                return False
            case "-f":
                return exists(self._process, operand) and not is_folder(self._process, operand)
            case "-s":
                there = exists(self._process, operand)
                return there and (is_folder(self._process, operand) or bool(read_file(self._process, operand)))
            case "-x" if not is_folder(self._process, operand):
                return exists(self._process, operand) and bool(mode_of(self._process, operand) & 0o111)
        return exists(self._process, operand)


def _binary(left: str, operator: str, right: str) -> bool:
    if operator in _TEXT:
        return _TEXT[operator](left, right)
    return _NUMBERS[operator](_number(left), _number(right))


def _number(text: str) -> int:
    try:
        return int(text.strip()) if len(text) < 30 else int("none")
    except ValueError:
        raise BadCondition(f"{text}: bad number") from None


async def test(process: Process) -> int:
    """test EXPRESSION, or [ EXPRESSION ]: 0 if it is true, 1 if not, 2 if it is none."""
    name, *words = process.arguments
    try:
        if name == "[":
            if words[-1:] != ["]"]:
                raise BadCondition("missing ]")
            words.pop()
        return int(not _Evaluator(process, words).run())
    except BadCondition as error:
        await process.complain(f"sh: {error}" if str(error).endswith("operand") else f"{name}: {error}")
        return 2
