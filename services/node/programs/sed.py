"""sed: s///, d, p, q, = with line and pattern addresses (POSIX.1-2017); any other command is refused."""

import re
from dataclasses import dataclass, field
from typing import Final

from podwire.services.node.files import FileError
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import Options, UsageError, parse_options
from podwire.services.node.programs.expressions import BadExpression, Matcher, compile_expression
from podwire.services.node.programs.filesystem import read_file, write_file
from podwire.services.node.programs.inputs import PLAIN, LineReader, open_inputs

_LAST: Final = -1
Address = int | Matcher


@dataclass(slots=True)
class Command:
    """One command with its addresses."""

    letter: str
    first: Address | None = None
    second: Address | None = None
    negated: bool = False
    pattern: Matcher | None = None
    replacement: list[str | int] = field(default_factory=list)
    everywhere: bool = False
    printing: bool = False
    nth: int = 1
    active: bool = False
    text: str = ""
    table: dict[int, int] = field(default_factory=dict)
    inside: tuple["Command", ...] = ()


class _Parser:
    def __init__(self, script: str, extended: bool) -> None:
        self._script, self._at, self._extended = script, 0, extended
        self._open: list[Command] = []

    def run(self) -> list[Command]:
        commands: list[Command] = []
        while True:
            while self._peek() in (" ", "\t", "\n", ";"):
                self._at += 1
            if not self._peek():
                if self._open:
                    raise UsageError("unmatched '{'")
                return commands
            if self._peek() == "#":
                end = self._script.find("\n", self._at)
                self._at = end if end >= 0 else len(self._script)
                continue
            command = self._command()
            command.inside = tuple(self._open[:-1] if command.letter == "{" else self._open)
            if command.letter != "}":
                commands.append(command)

    def _close(self) -> None:
        if not self._open:
            raise UsageError("unexpected '}'")
        self._open.pop()

    def _transliterate(self, command: Command) -> None:
        end = self._take()
        first, second = self._until(end, "strings for y are unterminated"), self._until(end, "unterminated y")
        if len(first) != len(second) or not end:
            raise UsageError("y command strings have different lengths")
        command.table = str.maketrans(first, second)

    def _text(self, command: Command) -> None:
        rest, _, _ = self._script[self._at :].partition("\n")
        lines = self._script[self._at :].split("\n")
        used = 1
        while lines[used - 1].endswith("\\") and used < len(lines):
            used += 1
        text = "\n".join(line.removesuffix("\\") for line in lines[:used])
        self._at += len("\n".join(lines[:used]))
        command.text = text.lstrip(" \t").removeprefix("\\").lstrip("\n" if not rest.strip(" \\") else "") + "\n"

    def _peek(self) -> str:
        return self._script[self._at : self._at + 1]

    def _take(self) -> str:
        self._at += 1
        return self._script[self._at - 1 : self._at]

    def _command(self) -> Command:
        first = self._address()
        second = None
        if self._peek() == ",":
            self._at += 1
            second = self._address()
            if second is None:
                raise UsageError("unexpected ','")
        while self._peek() == " ":
            self._at += 1
        negated = self._peek() == "!"
        self._at += negated
        letter = self._take()
        command = Command(letter, first, second, negated)
        if letter == "s":
            self._substitute(command)
        elif letter == "y":
            self._transliterate(command)
        elif letter in "aic" and letter:
            self._text(command)
        elif letter == "{":
            self._open.append(command)
        elif letter == "}":
            self._close()
        elif letter not in ("d", "p", "q", "=") or not letter:
            raise UsageError(f"unsupported command {letter}" if letter else "missing command")
        return command

    def _address(self) -> Address | None:
        match = re.compile(r"\d{1,9}").match(self._script, self._at)
        if match:
            self._at = match.end()
            return int(match.group())
        if self._peek() == "$":
            self._at += 1
            return _LAST
        if self._peek() == "/":
            self._at += 1
            return self._compiled(self._until("/", "unterminated address regex"), ignore_case=False)
        return None

    def _until(self, end: str, complaint: str) -> str:
        text = ""
        while (letter := self._take()) != end:
            if not letter:
                raise UsageError(complaint)
            if letter == "\\" and self._peek() == end:
                letter = self._take()
            elif letter == "\\":
                letter += self._take()
            text += letter
        return text

    def _compiled(self, text: str, *, ignore_case: bool) -> Matcher:
        try:
            return compile_expression(text, extended=self._extended, ignore_case=ignore_case)
        except BadExpression as error:
            raise UsageError(f"bad regex '{text}': {error}") from None

    def _substitute(self, command: Command) -> None:
        end = self._take()
        if not end or end in "\n\\":
            raise UsageError("bad option in substitution expression")
        complaint = f"unmatched '{end}'"
        text, replacement = self._until(end, complaint), self._until(end, complaint)
        ignore_case = False
        while (letter := self._peek()) and letter not in ";\n} ":
            self._at += 1
            if letter in "iI":
                ignore_case = True
            elif letter == "g":
                command.everywhere = True
            elif letter == "p":
                command.printing = True
            elif letter.isdigit() and letter != "0":
                command.nth = int(letter)
            else:
                raise UsageError("bad option in substitution expression")
        command.pattern = self._compiled(text, ignore_case=ignore_case)
        command.replacement = _replacement(replacement, command.pattern.group_count)


def _replacement(text: str, groups: int) -> list[str | int]:
    """Texts, and numbers of groups."""
    result: list[str | int] = []
    for match in re.finditer(r"\\(.)|(&)|([^\\&]+)|(\\)", text, re.DOTALL):
        escaped, whole, plain, _ = match.groups()
        if whole:
            result.append(0)
        elif escaped and escaped.isdigit():
            if int(escaped) > groups:
                raise UsageError(f"invalid reference \\{escaped} on s command's RHS")
            result.append(int(escaped))
        else:
            result.append({"n": "\n", "t": "\t"}.get(escaped, escaped) if escaped else plain or "\\")
    return result


class _Editor:
    def __init__(self, commands: list[Command], *, quiet: bool) -> None:
        self._commands, self._quiet = commands, quiet
        self._number = 0
        self.ended = False

    def line(self, text: str, *, is_last: bool) -> str:
        """What one line becomes, with whatever is printed beside it."""
        self._number += 1
        output, behind = "", ""
        chosen: list[Command] = []
        for command in self._commands:
            if any(all(each is not outer for each in chosen) for outer in command.inside):
                continue
            if not self._selected(command, text, is_last):
                continue
            if command.letter == "{":
                chosen.append(command)
                continue
            if command.letter == "i":
                output += command.text
                continue
            if command.letter == "a":
                behind += command.text
                continue
            if command.letter == "c":
                return output + (command.text if command.second is None or not command.active else "")
            if command.letter == "y":
                text = text.translate(command.table)
                continue
            if command.letter == "d":
                return output + behind
            if command.letter == "q":
                self.ended = True
                break
            if command.letter == "=":
                output += f"{self._number}\n"
            elif command.letter == "p":
                output += text + "\n"
            else:
                text, changed = _substituted(command, text)
                output += f"{text}\n" if changed and command.printing else ""
        return (output if self._quiet else output + text + "\n") + behind

    def _selected(self, command: Command, text: str, is_last: bool) -> bool:
        if command.first is None:
            return not command.negated
        if command.second is None:
            return self._hits(command.first, text, is_last) != command.negated
        inside = command.active or self._hits(command.first, text, is_last)
        if inside:
            second = command.second
            if not command.active:
                over = isinstance(second, int) and second != _LAST and second <= self._number
            else:
                over = self._hits(second, text, is_last)
            command.active = not over
        return inside != command.negated

    def _hits(self, address: Address, text: str, is_last: bool) -> bool:
        if isinstance(address, int):
            return is_last if address == _LAST else address == self._number
        return address.search(text) is not None


def _substituted(command: Command, text: str) -> tuple[str, bool]:
    assert command.pattern is not None
    result, at, number, changed = "", 0, 0, False
    for found in command.pattern.each(text):
        number += 1
        if number < command.nth:
            continue
        pieces = [
            text[slice(*found.groups[piece])] if isinstance(piece, int) and found.groups[piece][0] >= 0 else piece
            for piece in command.replacement
        ]
        start, end = found.span
        result += text[at:start] + "".join(piece for piece in pieces if isinstance(piece, str))
        at, changed = end, True
        if not command.everywhere:
            break
    return result + text[at:], changed


async def sed(process: Process) -> int:
    """sed [-nEri] SCRIPT [FILE]…"""
    try:
        options = parse_options(process.arguments[1:], "nEriue:s", {"expression": "e:", "quiet": "n"})
        scripts, names = options.values("e"), options.operands
        if not scripts:
            if not names:
                raise UsageError("no script")
            scripts, names = [names[0]], names[1:]
        commands = _Parser("\n".join(scripts), "E" in options or "r" in options).run()
    except UsageError as error:
        await process.complain(f"sed: {error}")
        return 1
    try:
        if "i" in options:
            return await _in_place(process, options, commands, names)
        return await _edit(process, options, commands, names)
    except BadExpression as error:
        await process.complain(f"sed: {error}")
        return 1


async def _edit(process: Process, options: Options, commands: list[Command], names: list[str]) -> int:
    editor = _Editor(commands, quiet="n" in options)
    inputs, complete = await open_inputs(process, names, PLAIN)
    for at, (_, reader) in enumerate(inputs):
        lines = LineReader(reader)
        line = await lines.next()
        while line and not editor.ended:
            following = await lines.next()
            is_last = not following and at == len(inputs) - 1
            output = editor.line(line.decode(errors="replace").rstrip("\n"), is_last=is_last)
            await process.print(output if line.endswith(b"\n") else output.removesuffix("\n"))
            line = following
    return int(not complete)


async def _in_place(process: Process, options: Options, commands: list[Command], names: list[str]) -> int:
    code = 0
    for name in names:
        editor = _Editor(commands, quiet="n" in options)
        try:
            lines = read_file(process, name).decode(errors="replace").splitlines()
            text = "".join(editor.line(line, is_last=at == len(lines) - 1) for at, line in enumerate(lines))
            write_file(process, name, text.encode())
        except FileError as error:
            await process.complain(f"sed: {name}: {error.strerror}")
            code = 1
    return code
