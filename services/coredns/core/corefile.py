"""The Corefile: server blocks, each with zones and directives (coredns.io/manual, caddyfile/parse.go).

Snippets `(name) { … }` are put in with `import name`; `{$NAME}` and `{%NAME%}` are environment variables. What a
directive means is its plugin's business (core/plugins).
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from podwire.services.chassis.durations import parse_duration

_VARIABLE: Final = re.compile(r"\{\$([A-Za-z_][A-Za-z0-9_]*)\}|\{%([A-Za-z_][A-Za-z0-9_]*)%\}")
_DEEPEST_IMPORT: Final = 20


class CorefileError(ValueError):
    """A Corefile that CoreDNS refuses; the message names file and line as CoreDNS does."""


@dataclass(frozen=True, slots=True)
class Directive:
    """One plugin's line and the lines of its block."""

    name: str
    arguments: tuple[str, ...]
    block: tuple[tuple[str, ...], ...]
    line: int

    def error(self, reason: str) -> CorefileError:
        """What the plugin says about it."""
        return CorefileError(f"plugin/{self.name}: /etc/coredns/Corefile:{self.line} - Error during parsing: {reason}")

    def duration(self, text: str) -> float:
        """Seconds of a Go duration. Raises CorefileError."""
        seconds = parse_duration(text)
        if seconds is None:
            raise self.error(f'time: invalid duration "{text}"')
        return seconds

    def wrong_arguments(self) -> CorefileError:
        """Too many arguments, or too few (caddyfile's ArgErr)."""
        return self.error(f"Wrong argument count or unexpected line ending after '{(self.name, *self.arguments)[-1]}'")


@dataclass(frozen=True, slots=True)
class ServerBlock:
    """The zones and port that a chain of plugins serves."""

    zones: tuple[str, ...]
    port: int
    directives: tuple[Directive, ...]

    def named(self, name: str) -> tuple[Directive, ...]:
        """A plugin's directives."""
        return tuple(entry for entry in self.directives if entry.name == name)

    def one(self, name: str) -> Directive | None:
        """The directive of a plugin that may be named once. Raises CorefileError."""
        found = self.named(name)
        if len(found) > 1:
            raise found[1].error("this plugin can only be used once per Server Block")
        return found[0] if found else None


_Row = tuple[int, list[str]]


@dataclass(slots=True)
class _Reader:
    rows: list[_Row]
    position: int = 0
    snippets: dict[str, list[_Row]] = field(default_factory=dict)

    def take(self) -> _Row | None:
        if self.position >= len(self.rows):
            return None
        row = self.rows[self.position]
        self.position += 1
        return row


def parse(text: str, environment: Mapping[str, str] | None = None) -> list[ServerBlock]:
    """The server blocks. Raises CorefileError."""
    variables = environment or {}
    expanded = _VARIABLE.sub(lambda found: variables.get(found[1] or found[2], ""), text)
    reader = _Reader(_tokens(expanded))
    blocks = []
    while (row := reader.take()) is not None:
        number, words = row
        if words[-1] != "{":
            raise _error(number, f"expected '{{' after {' '.join(words)!r}")
        if len(words) == 2 and words[0].startswith("(") and words[0].endswith(")"):
            reader.snippets[words[0][1:-1]] = _body(reader, number)
        else:
            blocks.append(_server_block(number, words[:-1], reader))
    if not blocks:
        raise _error(1, "no server block")
    return blocks


def _error(line: int, reason: str) -> CorefileError:
    return CorefileError(f"/etc/coredns/Corefile:{line} - Error during parsing: {reason}")


def _tokens(text: str) -> list[_Row]:
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
        lexer.whitespace_split, lexer.commenters, lexer.quotes, lexer.escape = True, "#", '"`', ""
        try:
            words = list(lexer)
        except ValueError as error:
            raise _error(number, str(error)) from None
        if words:
            rows.append((number, words))
    return rows


def _body(reader: _Reader, number: int) -> list[_Row]:
    """The rows of a block, without its closing brace."""
    rows: list[_Row] = []
    depth = 0
    while (row := reader.take()) is not None:
        if row[1] == ["}"]:
            if depth == 0:
                return rows
            depth -= 1
        elif row[1][-1] == "{":
            depth += 1
        rows.append(row)
    raise _error(number, "unexpected end of file, '}' is missing")


def _server_block(number: int, keys: list[str], reader: _Reader) -> ServerBlock:
    zones, port = _keys(number, keys)
    body = _Reader(_imported(_body(reader, number), reader.snippets, 0))
    directives: list[Directive] = []
    while (row := body.take()) is not None:
        directives.append(_directive(row, body))
    return ServerBlock(zones, port, tuple(directives))


def _imported(rows: list[_Row], snippets: Mapping[str, list[_Row]], depth: int) -> list[_Row]:
    found: list[_Row] = []
    for row in rows:
        number, words = row
        if words[0] != "import":
            found.append(row)
            continue
        name = words[1] if len(words) == 2 else ""
        if name not in snippets:
            raise _error(number, f"import: no snippet {name!r} was defined before; files are not imported")
        if depth == _DEEPEST_IMPORT:
            raise _error(number, f"import {name}: snippets import each other without end")
        found += _imported(snippets[name], snippets, depth + 1)
    return found


def _directive(row: _Row, body: _Reader) -> Directive:
    line, words = row
    if words == ["}"]:
        raise _error(line, "unexpected '}', a block is closed that was not opened")
    if words[-1] != "{":
        return Directive(words[0], tuple(words[1:]), (), line)
    block = tuple(tuple(entry) for _, entry in _body(body, line))
    return Directive(words[0], tuple(words[1:-1]), block, line)


def _keys(number: int, keys: list[str]) -> tuple[tuple[str, ...], int]:
    zones: list[str] = []
    ports: dict[int, None] = {}
    for key in keys:
        scheme, separator, rest = key.rstrip(",").partition("://")
        if separator and scheme != "dns":
            raise _error(number, f"{key!r}: {scheme} is not built, only dns:// is")
        zone, separator, port = (rest or scheme).partition(":")
        if separator and not (port.isdecimal() and 0 < int(port) < 65536):
            raise _error(number, f"invalid port in {key!r}")
        ports[int(port) if separator else 53] = None
        zones.append(absolute(zone or "."))
    if len(ports) != 1:
        raise _error(number, f"one port a server block, not {sorted(ports)}")
    return tuple(zones), next(iter(ports))


def absolute(name: str) -> str:
    """The name in lower case with its final dot."""
    return name.lower() if name.endswith(".") else f"{name.lower()}."
