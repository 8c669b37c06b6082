"""awk's syntax tree. Pure."""

from dataclasses import dataclass


class AwkSyntaxError(ValueError):
    """A program that is refused."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number."""

    value: float


@dataclass(frozen=True, slots=True)
class Text:
    """A string."""

    value: str


@dataclass(frozen=True, slots=True)
class Regex:
    """A regular expression; by itself it is matched against the record."""

    source: str


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable by name."""

    name: str


@dataclass(frozen=True, slots=True)
class Field:
    """`$INDEX`."""

    index: "Expression"


@dataclass(frozen=True, slots=True)
class Element:
    """`NAME[INDEX, …]`."""

    name: str
    index: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Unary:
    """`!`, `-` or `+` before an expression."""

    operator: str
    operand: "Expression"


@dataclass(frozen=True, slots=True)
class Binary:
    """Two operands; the operator `" "` is concatenation, `in` membership."""

    operator: str
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class Conditional:
    """`a ? b : c`."""

    condition: "Expression"
    yes: "Expression"
    no: "Expression"


@dataclass(frozen=True, slots=True)
class Assignment:
    """`target = value`, and `+=` and its kind."""

    operator: str
    target: "Target"
    value: "Expression"


@dataclass(frozen=True, slots=True)
class Increment:
    """`++x`, `x++`, `--x`, `x--`; `after` for the suffix."""

    step: int
    target: "Target"
    after: bool


@dataclass(frozen=True, slots=True)
class Call:
    """A built-in function."""

    name: str
    arguments: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Grouping:
    """A list in parentheses before `in`."""

    items: tuple["Expression", ...]


Target = Variable | Field | Element
Expression = (
    Number
    | Text
    | Regex
    | Variable
    | Field
    | Element
    | Unary
    | Binary
    | Conditional
    | Assignment
    | Increment
    | Call
    | Grouping
)


@dataclass(frozen=True, slots=True)
class Print:
    """print or printf, to standard output or, with `redirection`, to a file."""

    formatted: bool
    items: tuple[Expression, ...]
    redirection: str = ""
    destination: Expression | None = None


@dataclass(frozen=True, slots=True)
class Evaluate:
    """An expression as a statement."""

    expression: Expression


@dataclass(frozen=True, slots=True)
class If:
    """if and else."""

    condition: Expression
    yes: "Statement"
    no: "Statement | None"


@dataclass(frozen=True, slots=True)
class While:
    """while, and do … while."""

    condition: Expression
    body: "Statement"
    body_first: bool = False


@dataclass(frozen=True, slots=True)
class For:
    """for (;;)."""

    start: "Statement | None"
    condition: Expression | None
    step: "Statement | None"
    body: "Statement"


@dataclass(frozen=True, slots=True)
class ForIn:
    """for (NAME in ARRAY)."""

    name: str
    array: str
    body: "Statement"


@dataclass(frozen=True, slots=True)
class Block:
    """Statements in braces."""

    statements: tuple["Statement", ...]


@dataclass(frozen=True, slots=True)
class Jump:
    """next, exit, break, continue."""

    kind: str
    value: Expression | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """delete ARRAY or an element of it."""

    name: str
    index: tuple[Expression, ...] | None


Statement = Print | Evaluate | If | While | For | ForIn | Block | Jump | Delete


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern (`BEGIN`, `END`, an expression, a range of two, or none) and what is done."""

    pattern: str | Expression | tuple[Expression, Expression] | None
    action: Block | None
