"""What a shell knows, and how it leaves what it is doing."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from podwire.services.node.programs.shell.syntax import Command


class Failure(Exception):
    """An error that ends a shell which is not interactive; the text stands after `sh: `."""

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(message)
        self.code = code


class Exit(Exception):  # it is no error
    """`exit`."""

    def __init__(self, code: int) -> None:
        self.code = code


class Leave(Exception):  # it is no error
    """`break`, `continue` or `return`; `levels` loops are left."""

    def __init__(self, kind: str, levels: int) -> None:
        self.kind, self.levels = kind, levels


class Variables(dict[str, str]):
    """Values by name; `readonly` names keep theirs. Raises Failure for a change of one."""

    def __init__(self, values: Mapping[str, str], readonly: Iterable[str] = ()) -> None:
        super().__init__(values)
        self.readonly = dict.fromkeys(readonly)

    def check(self, *names: str) -> None:
        """Raises Failure if one of them is read only."""
        for name in names:
            if name in self.readonly:
                raise Failure(f"{name}: is read only")

    def __setitem__(self, name: str, value: str) -> None:
        self.check(name)
        super().__setitem__(name, value)

    def assign(self, values: Mapping[str, str]) -> None:
        """Several at once."""
        for name, value in values.items():
            self[name] = value


@dataclass(slots=True)
class ShellState:
    """Variables, positional parameters, functions, options, jobs."""

    name: str
    variables: Variables
    exported: dict[str, None]
    positional: list[str]
    folder: str
    functions: dict[str, Command] = field(default_factory=dict)
    options: dict[str, None] = field(default_factory=dict)
    saved: list[dict[str, str | None]] = field(default_factory=list)
    """What `local` hid, one level a running function."""
    pid: int = 1
    traps: dict[str, str] = field(default_factory=dict)
    caught: list[int] = field(default_factory=list)
    """Signals whose traps are still to run."""
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by a signal and by a job's end."""
    jobs: dict[int, asyncio.Task[int]] = field(default_factory=dict)
    """By process id."""
    last_job: int = 0
    status: int = 0
    loops: int = 0
    tolerant: int = 0
    """How many conditions we are in, whose failures `set -e` ignores."""
    commands: int = 0

    def copy(self) -> "ShellState":
        """A subshell's own: of the traps only those that ignore a signal."""
        return ShellState(
            name=self.name,
            variables=Variables(self.variables, self.variables.readonly),
            exported=dict(self.exported),
            positional=list(self.positional),
            folder=self.folder,
            functions=dict(self.functions),
            options=dict(self.options),
            saved=[dict(level) for level in self.saved],
            status=self.status,
            last_job=self.last_job,
            tolerant=self.tolerant,
            pid=self.pid,
            traps={name: action for name, action in self.traps.items() if not action},
        )

    def lookup(self, name: str) -> str | None:
        """A parameter's value, None if it is unset."""
        match name:
            case "?":
                return str(self.status)
            case "#":
                return str(len(self.positional))
            case "@" | "*":
                return " ".join(self.positional)
            case "$":
                return str(self.pid)
            case "!":
                return str(self.last_job) if self.last_job else ""
            case "-":
                return "".join(self.options)
            case "0":
                return self.name
        if name.isdigit():
            return self.positional[int(name) - 1] if int(name) <= len(self.positional) else None
        return self.variables.get(name)

    def environment(self) -> dict[str, str]:
        """What programs get."""
        return {name: self.variables[name] for name in self.exported if name in self.variables}
