"""The awk command: options, BEGIN, records, END."""

from dataclasses import dataclass, field
from typing import Final

from podwire.services.node.files import FileError
from podwire.services.node.pipes import Reader
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import UsageError, parse_options
from podwire.services.node.programs.awk import syntax as tree
from podwire.services.node.programs.awk.failures import AwkFailure
from podwire.services.node.programs.awk.machine import Jump, Machine
from podwire.services.node.programs.awk.parser import parse
from podwire.services.node.programs.awk.syntax import AwkSyntaxError
from podwire.services.node.programs.awk.values import Input, text, truth
from podwire.services.node.programs.expressions import BadExpression
from podwire.services.node.programs.filesystem import open_to_read, read_file
from podwire.services.node.programs.inputs import LineReader
from podwire.services.node.programs.usage import refuse

_USAGE: Final = "awk [OPTIONS] [AWK_PROGRAM] [FILE]..."
_ESCAPES: Final = (("\\t", "\t"), ("\\n", "\n"), ("\\\\", "\\"))


async def awk(process: Process) -> int:
    """awk [-F SEPARATOR] [-v NAME=VALUE] [-f FILE | PROGRAM] [FILE | NAME=VALUE]…"""
    try:
        options = parse_options(process.arguments[1:], "F:v:f:", permute=False)
        sources = [read_file(process, name).decode(errors="replace") for name in options.values("f")]
        operands = list(options.operands)
        if not sources:
            if not operands:
                raise UsageError("no program")
            sources = [operands.pop(0)]
        rules = parse("\n".join(sources))
    except UsageError as error:
        return await refuse(process, error, _USAGE)
    except FileError as error:
        await process.complain(f"awk: can't open '{options.value('f')}': {error.strerror}")
        return 1
    except AwkSyntaxError as error:
        await process.complain(f"awk: cmd. line:1: {error}")
        return 1
    run = _Run(process, rules, operands)
    separator = options.value("F")
    if "F" in options:
        run.machine.variables["FS"] = _unescaped("\t" if separator == "t" else separator)
    try:
        for word in options.values("v"):
            run.assign(word)
        return await run.whole()
    except (AwkFailure, BadExpression) as error:
        await process.complain(f"awk: cmd. line:1: {error}")
        return 2
    except RecursionError:
        await process.complain("awk: cmd. line:1: the program nests too deeply")
        return 2


def _unescaped(word: str) -> str:
    for escape, letter in _ESCAPES:
        word = word.replace(escape, letter)
    return word


@dataclass(slots=True)
class _Run:
    process: Process
    rules: list[tree.Rule]
    operands: list[str]
    machine: Machine = field(init=False)
    code: int = 0
    missing: bool = False
    open_ranges: dict[int, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.machine = Machine(self.process)
        self.machine.arrays["ENVIRON"] = {key: Input(each) for key, each in self.process.environment.items()}

    def assign(self, word: str) -> None:
        """NAME=VALUE of -v or among the files. Raises AwkFailure."""
        name, equals, value = word.partition("=")
        if not equals or not name.isidentifier():
            raise AwkFailure(f"bad variable '{word}'")
        self.machine.assign(name, Input(_unescaped(value)))

    async def whole(self) -> int:
        """BEGIN, every record, END; the exit code. Raises AwkFailure."""
        begins = [rule for rule in self.rules if rule.pattern == "BEGIN"]
        mains = [rule for rule in self.rules if rule.pattern not in ("BEGIN", "END")]
        ends = [rule for rule in self.rules if rule.pattern == "END"]
        if await self._actions(begins) and (mains or ends) and not await self._files(mains):
            return self.code
        await self._actions(ends)
        return self.code or 2 * self.missing

    async def _actions(self, rules: list[tree.Rule]) -> bool:
        """Runs actions; false after exit."""
        try:
            for rule in rules:
                if rule.action is not None:
                    await self.machine.run(rule.action)
        except Jump as jump:
            return self._jumped(jump)
        return True

    def _jumped(self, jump: Jump) -> bool:
        """Whether the records go on."""
        if jump.kind == "exit":
            self.code = jump.code
        return jump.kind == "next"

    async def _files(self, mains: list[tree.Rule]) -> bool:
        names = [word for word in self.operands if "=" not in word] or ["-"]
        for word in [*self.operands, *(["-"] if names == ["-"] else [])]:
            if "=" in word:
                self.assign(word)
                continue
            try:
                reader = self.process.stdin if word == "-" else open_to_read(self.process, word)
            except FileError as error:
                await self.process.complain(f"awk: {word}: {error.strerror}")
                self.missing = True
                continue
            self.machine.variables["FILENAME"] = "" if word == "-" else word
            self.machine.variables["FNR"] = 0.0
            if not await self._records(mains, reader):
                await self._end_after_exit()
                return False
        return True

    async def _end_after_exit(self) -> None:
        await self._actions([rule for rule in self.rules if rule.pattern == "END"])

    async def _records(self, mains: list[tree.Rule], reader: Reader) -> bool:
        records = _Records(LineReader(reader), self.machine)
        while (record := await records.next()) is not None:
            for name in ("NR", "FNR"):
                count = self.machine.variables[name]
                self.machine.variables[name] = (count if isinstance(count, float) else 0.0) + 1
            self.machine.set_record(record)
            try:
                for at, rule in enumerate(mains):
                    if await self._selects(at, rule):
                        await self.machine.run(rule.action or tree.Print(False, ()))
            except Jump as jump:
                if not self._jumped(jump):
                    return False
        return True

    async def _selects(self, at: int, rule: tree.Rule) -> bool:
        pattern = rule.pattern
        if pattern is None or isinstance(pattern, str):
            return True
        if not isinstance(pattern, tuple):
            return truth(await self.machine.value(pattern))
        if not self.open_ranges.get(at):
            if not truth(await self.machine.value(pattern[0])):
                return False
            self.open_ranges[at] = True
        if truth(await self.machine.value(pattern[1])):
            self.open_ranges[at] = False
        return True


class _Records:
    """Records by RS: lines, another character, or paragraphs if it is empty."""

    def __init__(self, lines: LineReader, machine: Machine) -> None:
        self._lines, self._machine = lines, machine
        self._waiting: list[str] = []

    async def next(self) -> str | None:
        """The next record, None at the end."""
        separator = text(self._machine.variables["RS"])
        if separator == "\n":
            line = await self._lines.next()
            return line.removesuffix(b"\n").decode(errors="replace") if line else None
        if separator == "":
            return await self._paragraph()
        if len(separator) > 1:
            raise AwkFailure(f"RS of more than one character is not built: {separator!r}")
        return await self._piece(separator)

    async def _paragraph(self) -> str | None:
        found: list[str] = []
        while line := await self._lines.next():
            bare = line.removesuffix(b"\n").decode(errors="replace")
            if bare:
                found.append(bare)
            elif found:
                break
        return "\n".join(found) if found else None

    async def _piece(self, separator: str) -> str | None:
        while len(self._waiting) < 2:
            line = await self._lines.next()
            if not line:
                break
            parts = line.decode(errors="replace").split(separator)
            if self._waiting:
                parts[0] = self._waiting.pop() + parts[0]
            self._waiting += parts
        if not self._waiting:
            return None
        last = len(self._waiting) == 1
        piece = self._waiting.pop(0)
        return None if last and piece in ("", "\n") and separator != "\n" else piece
