"""awk's built-in functions."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from podwire.services.chassis.clock import SECOND
from podwire.services.node.programs.awk import syntax as tree
from podwire.services.node.programs.awk.failures import AwkFailure
from podwire.services.node.programs.awk.syntax import Expression
from podwire.services.node.programs.awk.values import Input, Value, number, text
from podwire.services.node.programs.calendar import format_date

if TYPE_CHECKING:
    from podwire.services.node.programs.awk.machine import Machine

_NUMERIC: Final[dict[str, Callable[[float], float]]] = {
    "int": lambda value: float(math.trunc(value)),
    "sin": math.sin,
    "cos": math.cos,
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
}


async def call(machine: "Machine", name: str, arguments: tuple[Expression, ...]) -> Value:
    """The value of a call. Raises AwkFailure."""
    match name:
        case "length" if len(arguments) == 1 and isinstance(arguments[0], tree.Variable):
            if arguments[0].name in machine.arrays:
                return float(len(machine.arrays[arguments[0].name]))
        case "split":
            return await _split(machine, arguments)
        case "sub" | "gsub":
            return await _substitute(machine, arguments, every=name == "gsub")
        case "match":
            _need(name, arguments, 2, 2)
            return await _match(machine, text(await machine.value(arguments[0])), arguments[1])
        case "close" | "fflush":
            return 0.0
        case "system":
            _need(name, arguments, 1, 1)
            return await _system(machine, text(await machine.value(arguments[0])))
    values = [await machine.value(each) for each in arguments]
    if name in _NUMERIC:
        _need(name, arguments, 1, 1)
        try:
            return _NUMERIC[name](number(values[0]))
        except (ValueError, OverflowError):
            return math.nan
    return await _plain(machine, name, values, arguments)


def _need(name: str, arguments: tuple[Expression, ...], least: int, most: int) -> None:
    if not least <= len(arguments) <= most:
        raise AwkFailure(f"{name}: wrong number of arguments")


async def _plain(machine: "Machine", name: str, values: list[Value], arguments: tuple[Expression, ...]) -> Value:
    match name:
        case "length":
            _need(name, arguments, 0, 1)
            return float(len(text(values[0]) if values else machine.fields[0]))
        case "substr":
            _need(name, arguments, 2, 3)
            return _substring(text(values[0]), number(values[1]), number(values[2]) if len(values) > 2 else math.inf)
        case "index":
            _need(name, arguments, 2, 2)
            return float(text(values[0]).find(text(values[1])) + 1) if text(values[1]) else 0.0
        case "toupper" | "tolower":
            _need(name, arguments, 1, 1)
            return text(values[0]).upper() if name == "toupper" else text(values[0]).lower()
        case "sprintf":
            _need(name, arguments, 1, 1000)
            return await machine.format(values)
        case "atan2":
            _need(name, arguments, 2, 2)
            return math.atan2(number(values[0]), number(values[1]))
        case "rand":
            return machine.process.random.getrandbits(53) / 2**53
        case "srand":
            return 0.0
        case "systime":
            return float(machine.process.clock.now_ns() // SECOND)
        case "strftime":
            when = int(number(values[1])) * SECOND if len(values) > 1 else machine.process.clock.now_ns()
            return format_date(text(values[0]) if values else "%a %b %e %H:%M:%S %Z %Y", when)
    raise AwkFailure(f"{name} is not built")


def _substring(string: str, start: float, length: float) -> str:
    if math.isnan(start) or math.isnan(length):
        return ""
    first = round(start) if math.isfinite(start) else (len(string) + 1 if start > 0 else 0)
    last = len(string) + 1 if math.isinf(length) and length > 0 else first + round(max(min(length, 1e9), -1e9))
    return string[max(first, 1) - 1 : max(last - 1, 0)]


async def _split(machine: "Machine", arguments: tuple[Expression, ...]) -> float:
    _need("split", arguments, 2, 3)
    target = arguments[1]
    if not isinstance(target, tree.Variable):
        raise AwkFailure("split: the second argument is no array")
    string = text(await machine.value(arguments[0]))
    if len(arguments) == 3 and isinstance(arguments[2], tree.Regex):
        parts = machine.expression(arguments[2].source).split(string) if string else []
    else:
        separator = text(await machine.value(arguments[2])) if len(arguments) == 3 else text(machine.variables["FS"])
        parts = machine.split(string, separator)
    array = machine.array(target.name)
    array.clear()
    array.update({str(number_of): Input(part) for number_of, part in enumerate(parts, 1)})
    return float(len(parts))


async def _match(machine: "Machine", string: str, expression: Expression) -> float:
    span = (await machine.matcher(expression)).search(string)
    start, length = (0, -1) if span is None else (span[0] + 1, span[1] - span[0])
    machine.variables["RSTART"], machine.variables["RLENGTH"] = float(start), float(length)
    return float(start)


async def _substitute(machine: "Machine", arguments: tuple[Expression, ...], *, every: bool) -> float:
    _need("gsub" if every else "sub", arguments, 2, 3)
    target = arguments[2] if len(arguments) == 3 else tree.Field(tree.Number(0.0))
    if not isinstance(target, tree.Variable | tree.Field | tree.Element):
        raise AwkFailure("sub: the third argument cannot be assigned")
    matcher, replacement = await machine.matcher(arguments[0]), text(await machine.value(arguments[1]))
    string = text(await machine.value(target))
    pieces, last, count = list[str](), 0, 0
    for start, end in matcher.spans(string, every=every):
        pieces += [string[last:start], _replaced(replacement, string[start:end])]
        last, count = end, count + 1
    if count:
        await machine.store(target, "".join([*pieces, string[last:]]))
    return float(count)


def _replaced(replacement: str, matched: str) -> str:
    result, at = "", 0
    while at < len(replacement):
        if replacement[at] == "\\" and replacement[at + 1 : at + 2] in ("&", "\\"):
            result, at = result + replacement[at + 1], at + 2
        else:
            result, at = result + (matched if replacement[at] == "&" else replacement[at]), at + 1
    return result


async def _system(machine: "Machine", command: str) -> float:
    process = machine.process
    shell = process.programs.get("sh")
    if shell is None:
        return 127.0
    return float(await shell(replace(process, arguments=["sh", "-c", command])))
