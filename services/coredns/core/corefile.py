"""The Corefile: server blocks, each with zones and a chain of plugins (coredns.io/manual).

The order in which plugins act is CoreDNS's own (plugin.cfg), not that of the file. What this one does not have is an
error, as an unknown directive is to the real one.
"""

import shlex
from dataclasses import dataclass
from typing import Final

PLUGINS: Final = ("errors", "health", "ready", "cache", "loadbalance", "kubernetes")
"""Plugins in the order of plugin.cfg."""


class CorefileError(ValueError):
    """A Corefile that CoreDNS refuses; the message names file and line as CoreDNS does."""


@dataclass(frozen=True, slots=True)
class Directive:
    """One plugin's line and the lines of its block."""

    name: str
    arguments: tuple[str, ...]
    block: tuple[tuple[str, ...], ...]
    line: int


@dataclass(frozen=True, slots=True)
class ServerBlock:
    """The zones and port that a chain of plugins serves."""

    zones: tuple[str, ...]
    port: int
    directives: tuple[Directive, ...]

    def directive(self, name: str) -> Directive | None:
        """The plugin's directive, if the block has it."""
        return next((entry for entry in self.directives if entry.name == name), None)


@dataclass(slots=True)
class _Lines:
    rows: list[tuple[int, list[str]]]
    position: int = 0

    def take(self) -> tuple[int, list[str]] | None:
        if self.position >= len(self.rows):
            return None
        row = self.rows[self.position]
        self.position += 1
        return row


def parse(text: str) -> list[ServerBlock]:
    """The server blocks. Raises CorefileError."""
    lines = _Lines(list(_tokens(text)))
    blocks = []
    while (row := lines.take()) is not None:
        number, words = row
        if words[-1] != "{":
            raise CorefileError(f"Corefile:{number} - Error during parsing: expected '{{' after {' '.join(words)!r}")
        blocks.append(_server_block(number, words[:-1], lines))
    if not blocks:
        raise CorefileError("Corefile:1 - Error during parsing: no server block")
    return blocks


def _tokens(text: str) -> list[tuple[int, list[str]]]:
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            raise CorefileError(f"Corefile:{number} - Error during parsing: {error}") from None
        if words:
            rows.append((number, words))
    return rows


def _server_block(number: int, keys: list[str], lines: _Lines) -> ServerBlock:
    directives: list[Directive] = []
    while (row := lines.take()) is not None:
        line, words = row
        if words == ["}"]:
            zones, port = _keys(number, keys)
            return ServerBlock(zones, port, tuple(directives))
        directives.append(_directive(line, words, lines))
    raise CorefileError(f"Corefile:{number} - Error during parsing: unexpected end of file, '}}' is missing")


def _directive(line: int, words: list[str], lines: _Lines) -> Directive:
    name = words[0]
    if name not in PLUGINS:
        raise CorefileError(f"Corefile:{line} - Error during parsing: Unknown directive '{name}'")
    if words[-1] != "{":
        return Directive(name, tuple(words[1:]), (), line)
    block: list[tuple[str, ...]] = []
    while (row := lines.take()) is not None:
        if row[1] == ["}"]:
            return Directive(name, tuple(words[1:-1]), tuple(block), line)
        block.append(tuple(row[1]))
    raise CorefileError(f"Corefile:{line} - Error during parsing: unexpected end of file, '}}' is missing")


def _keys(number: int, keys: list[str]) -> tuple[tuple[str, ...], int]:
    zones: list[str] = []
    ports: dict[int, None] = {}
    for key in keys:
        zone, separator, port = key.removeprefix("dns://").rstrip(",").partition(":")
        if separator and not (port.isdigit() and 0 < int(port) < 65536):
            raise CorefileError(f"Corefile:{number} - Error during parsing: invalid port in {key!r}")
        ports[int(port) if separator else 53] = None
        zones.append(absolute(zone or "."))
    if len(ports) != 1:
        raise CorefileError(f"Corefile:{number} - Error during parsing: one port a server block, not {sorted(ports)}")
    return tuple(zones), next(iter(ports))


def absolute(name: str) -> str:
    """The name in lower case with its final dot."""
    return name.lower() if name.endswith(".") else f"{name.lower()}."
