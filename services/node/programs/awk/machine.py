"""Running awk programs: variables, fields, statements and expressions. Yields to the loop while it works."""

import asyncio
import math
from collections.abc import Callable
from typing import Final

from podwire.services.node.pipes import Writer
from podwire.services.node.process import Process
from podwire.services.node.programs.awk import syntax as tree
from podwire.services.node.programs.awk.failures import AwkFailure
from podwire.services.node.programs.awk.formats import BadFormat, formatted
from podwire.services.node.programs.awk.functions import call
from podwire.services.node.programs.awk.syntax import Expression, Statement
from podwire.services.node.programs.awk.values import Input, Unset, Value, compare, number, text, truth
from podwire.services.node.programs.expressions import BadExpression, Matcher, compile_expression
from podwire.services.node.programs.filesystem import open_to_write

_BURST: Final = 500
_PAUSE: Final = 0.001
"""Seconds of rest after a burst of steps: an endless loop must not stop the machine, nor simulated time."""
_MOST_FIELDS: Final = 100_000
_LONGEST: Final = 4 * 1024 * 1024
_MOST_ELEMENTS: Final = 200_000
UNSET: Final = Unset("")


class Jump(Exception):
    """next, exit, break, continue."""

    def __init__(self, kind: str, code: int = 0) -> None:
        super().__init__(kind)
        self.kind, self.code = kind, code


class Machine:
    """One run of a program."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.variables: dict[str, Value] = {
            "FS": " ",
            "OFS": " ",
            "ORS": "\n",
            "RS": "\n",
            "NR": 0.0,
            "NF": 0.0,
            "FNR": 0.0,
            "FILENAME": "",
            "SUBSEP": "\x1c",
            "CONVFMT": "%.6g",
            "OFMT": "%.6g",
            "RSTART": 0.0,
            "RLENGTH": -1.0,
        }
        self.arrays: dict[str, dict[str, Value]] = {}
        self.fields: list[str] = [""]
        self._writers: dict[str, Writer] = {}
        self._expressions: dict[str, Matcher] = {}
        self._steps = 0

    # -- records and fields

    def set_record(self, record: str) -> None:
        """A new record: `$0` and the fields of it."""
        parts = self.split(record, text(self.variables["FS"]))
        if len(parts) > _MOST_FIELDS:
            raise AwkFailure("too many fields")
        self.fields = [record, *parts]
        self.variables["NF"] = float(len(parts))

    def split(self, record: str, separator: str) -> list[str]:
        """Fields by a separator: blanks for " ", a character, or an expression."""
        if separator == " ":
            return record.split()
        if not record:
            return []
        if separator == "\t" or (len(separator) == 1 and separator not in "\\|.[(*+?^$"):
            return record.split(separator)
        if separator == "":
            return list(record)
        if len(separator) == 1 and separator != "\\":
            return record.split(separator)
        return self.expression(separator).split(record)

    def field(self, index: float) -> Value:
        """`$index`."""
        at = self._index(index)
        return Input(self.fields[at]) if at < len(self.fields) else UNSET

    @staticmethod
    def _index(index: float) -> int:
        if not 0 <= index <= _MOST_FIELDS:
            raise AwkFailure("Access to negative field" if index < 0 else "too many fields")
        return int(index)

    def set_field(self, index: float, value: str) -> None:
        """Sets a field; `$0` is made anew from the fields, or the fields from it."""
        at = self._index(index)
        if at == 0:
            self.set_record(value)
            return
        self.fields += [""] * (at + 1 - len(self.fields))
        self.fields[at] = value
        self.variables["NF"] = float(len(self.fields) - 1)
        self._join()

    def _join(self) -> None:
        self.fields[0] = text(self.variables["OFS"]).join(self.fields[1:])

    def assign(self, name: str, value: Value) -> None:
        """Sets a variable; NF also changes the record."""
        if name in self.arrays:
            raise AwkFailure(f"{name} is an array")
        self.variables[name] = value
        if name == "NF":
            count = self._index(number(value))
            self.fields = self.fields[: count + 1] + [""] * (count + 1 - len(self.fields))
            self._join()

    def array(self, name: str) -> dict[str, Value]:
        """An array by name, made if there is none."""
        if name in self.variables:
            raise AwkFailure(f"{name} is no array")
        return self.arrays.setdefault(name, {})

    def expression(self, source: str) -> Matcher:
        """A regular expression, compiled once. Raises AwkFailure."""
        if source not in self._expressions:
            if len(self._expressions) > 256:
                self._expressions.clear()
            try:
                self._expressions[source] = compile_expression(source, extended=True)
            except BadExpression as error:
                raise AwkFailure(f"bad regex '{source}': {error}") from None
        return self._expressions[source]

    # -- statements

    async def _breathe(self) -> None:
        self._steps += 1
        if self._steps % _BURST == 0:
            await asyncio.sleep(_PAUSE)

    async def run(self, statement: Statement) -> None:
        """Runs a statement. Raises Jump and AwkFailure."""
        await self._breathe()
        match statement:
            case tree.Block(statements=statements):
                for each in statements:
                    await self.run(each)
            case tree.Evaluate(expression=expression):
                await self.value(expression)
            case tree.Print():
                await self._print(statement)
            case tree.If(condition=condition, yes=yes, no=no):
                if truth(await self.value(condition)):
                    await self.run(yes)
                elif no is not None:
                    await self.run(no)
            case tree.While() | tree.For() | tree.ForIn():
                await self._loop(statement)
            case tree.Jump(kind=kind, value=value):
                code = 0 if value is None else int(number(await self.value(value))) & 0xFF
                raise Jump(kind if value is not None or kind != "exit" else "exit-as-before", code)
            case tree.Delete(name=name, index=None):
                self.array(name).clear()
            case tree.Delete(name=name, index=index) if index is not None:
                self.array(name).pop(await self._key(index), None)

    async def _loop(self, statement: tree.While | tree.For | tree.ForIn) -> None:
        match statement:
            case tree.ForIn(name=name, array=array, body=body):
                for key in list(self.array(array)):
                    self.assign(name, Input(key))
                    if not await self._body(body):
                        return
            case tree.While(condition=condition, body=body, body_first=body_first):
                if body_first and not await self._body(body):
                    return
                while truth(await self.value(condition)):
                    if not await self._body(body):
                        return
            case tree.For(start=start, condition=condition, step=step, body=body):
                if start is not None:
                    await self.run(start)
                while condition is None or truth(await self.value(condition)):
                    if not await self._body(body):
                        return
                    if step is not None:
                        await self.run(step)

    async def _body(self, body: Statement) -> bool:
        """Runs a loop's body; whether the loop goes on."""
        try:
            await self.run(body)
        except Jump as jump:
            if jump.kind not in ("break", "continue"):
                raise
            return jump.kind == "continue"
        return True

    async def _print(self, statement: tree.Print) -> None:
        values = [await self.value(item) for item in statement.items]
        if statement.formatted:
            output = await self.format(values)
        elif values:
            form = text(self.variables["OFMT"])
            output = text(self.variables["OFS"]).join(text(value, form) for value in values)
            output += text(self.variables["ORS"])
        else:
            output = self.fields[0] + text(self.variables["ORS"])
        writer = self.process.stdout
        if statement.destination is not None:
            writer = self._writer(text(await self.value(statement.destination)), append=statement.redirection == ">>")
        await writer.write(output.encode(errors="replace"))

    def _writer(self, name: str, *, append: bool) -> Writer:
        if name not in self._writers:
            self._writers[name] = open_to_write(self.process, name, append=append)
        return self._writers[name]

    async def format(self, values: list[Value]) -> str:
        """sprintf."""
        try:
            return formatted(text(values[0]), values[1:])
        except BadFormat as error:
            raise AwkFailure(str(error)) from None

    # -- expressions

    async def value(self, expression: Expression) -> Value:
        """An expression's value."""
        await self._breathe()
        match expression:
            case tree.Number(value=value):
                return value
            case tree.Text(value=string):
                return string
            case tree.Regex(source=source):
                return float(self.expression(source).search(self.fields[0]) is not None)
            case tree.Variable(name=name):
                if name in self.arrays:
                    raise AwkFailure(f"{name} is an array")
                return self.variables.get(name, UNSET)
            case tree.Field(index=index):
                return self.field(number(await self.value(index)))
            case tree.Element(name=name, index=index):
                return await self._element(name, index)
            case tree.Unary(operator=operator, operand=operand):
                return self._unary(operator, await self.value(operand))
            case tree.Binary():
                return await self._binary(expression)
            case tree.Conditional(condition=condition, yes=yes, no=no):
                return await self.value(yes if truth(await self.value(condition)) else no)
            case tree.Assignment():
                return await self._assignment(expression)
            case tree.Increment(step=step, target=target, after=after):
                before = number(await self.value(target))
                await self.store(target, before + step)
                return before if after else before + step
            case tree.Call(name=name, arguments=arguments):
                return await call(self, name, arguments)
            case tree.Grouping():
                raise AwkFailure("a list in parentheses is only for 'in'")

    async def _element(self, name: str, index: tuple[Expression, ...]) -> Value:
        array, key = self.array(name), await self._key(index)
        self._check_room(array, key)
        return array.setdefault(key, UNSET)

    @staticmethod
    def _check_room(array: dict[str, Value], key: str) -> None:
        if len(array) >= _MOST_ELEMENTS and key not in array:
            raise AwkFailure("out of memory: too many array elements")

    async def _key(self, index: tuple[Expression, ...]) -> str:
        form = text(self.variables["CONVFMT"])
        return text(self.variables["SUBSEP"]).join([text(await self.value(each), form) for each in index])

    @staticmethod
    def _unary(operator: str, value: Value) -> Value:
        if operator == "(":
            return value
        if operator == "!":
            return float(not truth(value))
        return -number(value) if operator == "-" else number(value)

    async def _assignment(self, expression: tree.Assignment) -> Value:
        value = await self.value(expression.value)
        if expression.operator != "=":
            before = number(await self.value(expression.target))
            value = arithmetic(expression.operator[0], before, number(value))
        await self.store(expression.target, value)
        return value

    async def store(self, target: tree.Target, value: Value) -> None:
        """Assigns to a variable, a field or an element."""
        match target:
            case tree.Variable(name=name):
                self.assign(name, value)
            case tree.Field(index=index):
                self.set_field(number(await self.value(index)), text(value, text(self.variables["CONVFMT"])))
            case tree.Element(name=name, index=index):
                array, key = self.array(name), await self._key(index)
                self._check_room(array, key)
                array[key] = value

    async def _binary(self, expression: tree.Binary) -> Value:
        operator = expression.operator
        if operator == "in":
            left = expression.left
            key = await self._key(left.items if isinstance(left, tree.Grouping) else (left,))
            assert isinstance(expression.right, tree.Variable)
            return float(key in self.array(expression.right.name))
        if operator in ("~", "!~"):
            subject = text(await self.value(expression.left))
            found = (await self.matcher(expression.right)).search(subject) is not None
            return float(found == (operator == "~"))
        left_value = await self.value(expression.left)
        if operator == "&&":
            return float(truth(left_value) and truth(await self.value(expression.right)))
        if operator == "||":
            return float(truth(left_value) or truth(await self.value(expression.right)))
        return self._of_two(operator, left_value, await self.value(expression.right))

    def _of_two(self, operator: str, left: Value, right: Value) -> Value:
        form = text(self.variables["CONVFMT"])
        if operator == " ":
            joined = text(left, form) + text(right, form)
            if len(joined) > _LONGEST:
                raise AwkFailure("out of memory: string too long")
            return joined
        if operator in _COMPARED:
            return float(_COMPARED[operator](compare(left, right, form)))
        return arithmetic(operator, number(left), number(right))

    async def matcher(self, expression: Expression) -> Matcher:
        """A regular expression, or a string that is one."""
        if isinstance(expression, tree.Regex):
            return self.expression(expression.source)
        return self.expression(text(await self.value(expression)))


_COMPARED: Final[dict[str, Callable[[int], bool]]] = {
    "<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    "==": lambda order: order == 0,
    "!=": lambda order: order != 0,
    ">": lambda order: order > 0,
    ">=": lambda order: order >= 0,
}


def arithmetic(operator: str, left: float, right: float) -> float:
    """Two numbers. Raises AwkFailure for a division by zero."""
    try:
        match operator:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
            case "/":
                return left / right
            case "%":
                return math.fmod(left, right)
        power = left**right
        return power if isinstance(power, float) else math.nan
    except (ZeroDivisionError, ValueError):
        raise AwkFailure("Division by zero") from None
    except OverflowError:
        return math.inf
