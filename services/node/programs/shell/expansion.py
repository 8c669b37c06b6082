"""Words to fields: parameters, substitutions, splitting, path names (POSIX.1-2017, 2.6)."""

import re
from typing import TYPE_CHECKING

from podwire.services.node.process import Process
from podwire.services.node.programs.shell.arithmetic import ArithmeticFailure, evaluate
from podwire.services.node.programs.shell.patterns import Fragment, expression, has_wildcard, paths
from podwire.services.node.programs.shell.state import Failure
from podwire.services.node.programs.shell.syntax import Arithmetic, Parameter, Substitution, Text, Word

if TYPE_CHECKING:
    from podwire.services.node.programs.shell.interpreter import Shell

Field = list[Fragment]


class Expander:
    """Expands the words of one shell; `process` says where substitutions run."""

    def __init__(self, shell: "Shell", process: Process) -> None:
        self._shell, self._state, self._process = shell, shell.state, process

    async def fields(self, word: Word) -> list[str]:
        """The fields that a word becomes: none, one or several."""
        return [text for field in await self._split(word) for text in self._names(field)]

    async def text(self, word: Word) -> str:
        """The word as one string, neither split nor matched against paths."""
        return "".join([text for text, _ in await self.fragments(word)])

    async def fragments(self, word: Word) -> list[Fragment]:
        """The word as one pattern."""
        result: list[Fragment] = []
        for part in self._with_home(word):
            if isinstance(part, Text):
                result.append((part.text, part.quoted))
            else:
                result.append((" ".join(await self._values(part)), part.quoted))
        return result

    def _with_home(self, word: Word) -> Word:
        first = word[0] if word else None
        if isinstance(first, Text) and not first.quoted and (first.text == "~" or first.text.startswith("~/")):
            home = self._state.variables.get("HOME", "/root")
            return (Text(home, True), Text(first.text[1:], False), *word[1:])
        return word

    async def _split(self, word: Word) -> list[Field]:
        fields: list[Field] = [[]]
        for part in self._with_home(word):
            if isinstance(part, Text):
                if part.text or part.quoted:
                    fields[-1].append((part.text, part.quoted))
                continue
            values = await self._values(part)
            separate = isinstance(part, Parameter) and part.name == "@" and not part.operator
            if part.quoted and not values and separate and len(word) == 1:
                return []
            for number, value in enumerate(values):
                if number:
                    fields.append([])
                self._add(fields, value, part.quoted)
        return [field for field in fields if field]

    def _add(self, fields: list[Field], value: str, quoted: bool) -> None:
        if quoted:
            fields[-1].append((value, True))
            return
        for number, piece in enumerate(self._pieces(value)):
            if number:
                fields.append([])
            if piece is not None:
                fields[-1].append((piece, piece == ""))

    def _pieces(self, value: str) -> list[str | None]:
        """Split at IFS; None where there is nothing, "" for an empty field between two separators."""
        separators = self._state.variables.get("IFS", " \t\n")
        if not separators:
            return [value or None]
        blank = re.escape("".join(letter for letter in separators if letter in " \t\n")) or "\\Z\\A"
        other = re.escape("".join(letter for letter in separators if letter not in " \t\n"))
        if not other:
            return [piece or None for piece in re.split(f"[{blank}]+", value)]
        blanks = "" if blank.startswith("\\Z") else f"[{blank}]"
        pattern = f"{blanks}*[{other}]{blanks}*|{blanks}+" if blanks else f"[{other}]"
        pieces = re.split(pattern, value)
        if len(pieces) > 1 and not pieces[-1]:
            return [*pieces[:-1], None]
        return [piece if piece or len(pieces) > 1 else None for piece in pieces]

    def _names(self, field: Field) -> list[str]:
        literal = "".join(text for text, _ in field)
        if "f" in self._state.options or not has_wildcard(field):
            return [literal]
        return paths(field, self._process.files, self._state.folder) or [literal]

    # -- values

    async def _values(self, part: Parameter | Substitution | Arithmetic) -> list[str]:
        if isinstance(part, Substitution):
            return [await self._shell.capture(part.script, self._process)]
        if isinstance(part, Arithmetic):
            try:
                return [str(evaluate(await self.text(part.expression), self._state.variables))]
            except ArithmeticFailure as error:
                raise Failure(str(error)) from None
        if part.name == "@" and not part.operator:
            return list(self._state.positional)
        return [await self._parameter(part)]

    async def _parameter(self, part: Parameter) -> str:
        value = self._state.lookup(part.name)
        match part.operator:
            case "" | "length":
                if value is None and "u" in self._state.options:
                    raise Failure(f"{part.name}: parameter not set")
                return (value or "") if not part.operator else str(len(value or ""))
            case "#" | "##" | "%" | "%%":
                return _trimmed(value or "", part.operator, await self.fragments(part.word))
            case "/" | "//":
                return await self._replaced(value or "", part)
            case ":":
                return await self._substring(value or "", part.word)
        return await self._with_default(part, value)

    async def _with_default(self, part: Parameter, value: str | None) -> str:
        is_there = value is not None and (value != "" or not part.operator.startswith(":"))
        match part.operator[-1]:
            case "-":
                return (value or "") if is_there else await self.text(part.word)
            case "+":
                return await self.text(part.word) if is_there else ""
            case "=":
                if not is_there:
                    value = self._state.variables[part.name] = await self.text(part.word)
                return value or ""
        if not is_there:
            raise Failure(f"{part.name}: {await self.text(part.word) or 'parameter not set or null'}")
        return value or ""

    async def _replaced(self, value: str, part: Parameter) -> str:
        before: list[Fragment] = []
        after: list[str] = []
        behind = False
        for text, quoted in await self.fragments(part.word):
            if not behind and not quoted and "/" in text:
                head, _, tail = text.partition("/")
                before.append((head, quoted))
                after.append(tail)
                behind = True
            elif behind:
                after.append(text)
            else:
                before.append((text, quoted))
        if not any(text for text, _ in before):
            return value
        count = 0 if part.operator == "//" else 1
        new = "".join(after)
        return re.sub(expression(before), lambda _: new, value, count=count, flags=re.DOTALL)

    async def _substring(self, value: str, word: Word) -> str:
        begin_text, colon, length_text = (await self.text(word)).partition(":")
        try:
            begin = evaluate(begin_text, self._state.variables)
            length = evaluate(length_text, self._state.variables) if colon else len(value)
        except ArithmeticFailure as error:
            raise Failure(str(error)) from None
        begin = max(0, begin + len(value)) if begin < 0 else begin
        return value[begin : begin + length if length >= 0 else length]


def _trimmed(value: str, operator: str, pattern: list[Fragment]) -> str:
    """Without the shortest (#, %) or longest (##, %%) prefix or suffix that fits."""
    wanted = re.compile(expression(pattern), re.DOTALL)
    ends = range(len(value) + 1) if operator in ("#", "%%") else range(len(value), -1, -1)
    for at in ends:
        piece = value[:at] if operator[0] == "#" else value[at:]
        if wanted.fullmatch(piece):
            return value[at:] if operator[0] == "#" else value[:at]
    return value
