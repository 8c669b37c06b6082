"""The shell's syntax tree (POSIX.1-2017, Shell Command Language)."""

from dataclasses import dataclass


class ShellSyntaxError(ValueError):
    """The one error of the parser; the text is ash's, after `syntax error: `."""


@dataclass(frozen=True, slots=True)
class Text:
    """Characters as they are. Quoted ones are no pattern and are not split."""

    text: str
    quoted: bool


@dataclass(frozen=True, slots=True)
class Parameter:
    """$NAME, ${NAME} and ${NAME<operator>word}; `#` as operator without word is the length."""

    name: str
    operator: str
    word: "Word"
    quoted: bool


@dataclass(frozen=True, slots=True)
class Substitution:
    """$(…) or `…`."""

    script: "Sequence"
    quoted: bool


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """$((…)), whose expression is expanded first."""

    expression: "Word"
    quoted: bool


Part = Text | Parameter | Substitution | Arithmetic
Word = tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Redirection:
    """`descriptor kind target`; the body of a here-document is its target."""

    descriptor: int
    kind: str
    target: Word


@dataclass(frozen=True, slots=True)
class Simple:
    """Assignments, then a command and its arguments, any of them missing."""

    assignments: tuple[tuple[str, Word], ...]
    words: tuple[Word, ...]
    redirections: tuple[Redirection, ...]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands joined by pipes; `negated` by `!`."""

    commands: "tuple[Command, ...]"
    negated: bool


@dataclass(frozen=True, slots=True)
class AndOr:
    """Pipelines joined by && and ||; the first has no operator."""

    pipelines: tuple[tuple[str, Pipeline], ...]
    background: bool


@dataclass(frozen=True, slots=True)
class Sequence:
    """Lists in order."""

    items: tuple[AndOr, ...]


@dataclass(frozen=True, slots=True)
class If:
    """Branches as (condition, body); `otherwise` may be empty."""

    branches: tuple[tuple[Sequence, Sequence], ...]
    otherwise: Sequence


@dataclass(frozen=True, slots=True)
class While:
    """while, or until if `until`."""

    condition: Sequence
    body: Sequence
    until: bool


@dataclass(frozen=True, slots=True)
class For:
    """for NAME in WORDS; `words` is None for "$@"."""

    name: str
    words: tuple[Word, ...] | None
    body: Sequence


@dataclass(frozen=True, slots=True)
class Case:
    """case WORD in; branches as (patterns, body)."""

    word: Word
    branches: tuple[tuple[tuple[Word, ...], Sequence], ...]


@dataclass(frozen=True, slots=True)
class Group:
    """{ …; } or, in a subshell, ( … )."""

    body: Sequence
    subshell: bool


@dataclass(frozen=True, slots=True)
class Function:
    """NAME() BODY."""

    name: str
    body: "Command"


@dataclass(frozen=True, slots=True)
class Redirected:
    """A compound command with redirections."""

    command: "Command"
    redirections: tuple[Redirection, ...]


Command = Simple | If | While | For | Case | Group | Function | Redirected
