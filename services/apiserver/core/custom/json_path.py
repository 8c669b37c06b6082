"""JSONPath as printer columns, the scale subresource and selectable fields use it.

Source: client-go `util/jsonpath/parser.go`: fields (with escaped dots), quoted fields, indices, slices, `*`, `..` and
comparing filters. Ranges, unions and functions are refused.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import Any, Final

type Step = Callable[[list[Any]], list[Any]]

_FIELD: Final = re.compile(r"(?:\\.|[^.\[\]\\])+")
_FILTER: Final = re.compile(r"\?\(\s*@((?:\\.|[^=!<>\s)])*)\s*(?:(==|!=|<=|>=|<|>)\s*(.+?))?\s*\)")
_QUOTED: Final = re.compile(r"'(?:\\.|[^'])*'|\"(?:\\.|[^\"])*\"")
_SLICE: Final = re.compile(r"(-?\d*):(-?\d*)")


class PathProblem(ValueError):
    """A path that cannot be read."""


@cache
def compile_path(text: str) -> tuple[Step, ...]:
    """The steps of a path such as `.status.conditions[?(@.type=="Ready")].status`. Raises PathProblem."""
    steps: list[Step] = []
    rest = text.strip().removeprefix("{").removesuffix("}").removeprefix("$")
    while rest:
        if rest.startswith(".."):
            found = _FIELD.match(rest, 2)
            steps.append(_below(_name(found, text)))
        elif rest.startswith("["):
            end = _closing(rest, text)
            steps.append(_bracket(rest[1 : end - 1], text))
            rest = rest[end:]
            continue
        elif rest.startswith("."):
            if rest == ".":
                break
            if rest.startswith(".["):
                rest = rest[1:]
                continue
            found = _FIELD.match(rest, 1)
            name = _name(found, text)
            steps.append(_every if name == "*" else _field(name))
        else:
            raise PathProblem(f"unrecognized character in action: {rest[0]!r} in {text!r}")
        rest = rest[found.end() :] if found is not None else ""
    return tuple(steps)


def find(text: str, value: Any) -> list[Any]:
    """What a path finds in a value; nothing where it leads nowhere. Raises PathProblem."""
    found = [value]
    for step in compile_path(text):
        found = step(found)
    return found


def _name(found: re.Match[str] | None, text: str) -> str:
    if found is None:
        raise PathProblem(f"invalid path {text!r}: a field name is missing")
    return re.sub(r"\\(.)", r"\1", found.group())


def _closing(rest: str, text: str) -> int:
    depth, quote = 0, ""
    for at, letter in enumerate(rest):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "[]":
            depth += 1 if letter == "[" else -1
            if depth == 0:
                return at + 1
    raise PathProblem(f"unterminated array in {text!r}")


def _bracket(inside: str, text: str) -> Step:
    inside = inside.strip()
    if inside == "*":
        return _every
    if _QUOTED.fullmatch(inside):
        return _field(re.sub(r"\\(.)", r"\1", inside[1:-1]))
    if re.fullmatch(r"-?\d+", inside):
        return _at(int(inside))
    span = _SLICE.fullmatch(inside)
    if span is not None:
        return _slice(*(int(end) if end else None for end in span.groups()))
    condition = _FILTER.fullmatch(inside)
    if condition is not None:
        return _filter(*condition.groups())
    raise PathProblem(f"invalid array index {inside} in {text!r}")


def _every(values: list[Any]) -> list[Any]:
    return [entry for value in values for entry in _entries(value)]


def _entries(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [value[name] for name in sorted(value)]
    return value if isinstance(value, list) else []


def _field(name: str) -> Step:
    return lambda values: [value[name] for value in values if isinstance(value, dict) and name in value]


def _at(index: int) -> Step:
    return lambda values: [
        value[index] for value in values if isinstance(value, list) and -len(value) <= index < len(value)
    ]


def _slice(first: int | None, last: int | None) -> Step:
    return lambda values: [entry for value in values if isinstance(value, list) for entry in value[first:last]]


def _below(name: str) -> Step:
    def step(values: list[Any]) -> list[Any]:
        found: list[Any] = []
        for value in values:
            if isinstance(value, dict) and name in value:
                found.append(value[name])
            found += step(_entries(value)) if _entries(value) else []
        return found

    return step


def _filter(path: str, operator: str | None, text: str | None) -> Step:
    inner = compile_path(path)

    def holds(value: Any) -> bool:
        found = [value]
        for step in inner:
            found = step(found)
        return bool(found) and (operator is None or _compare(found[0], operator, _literal(text or "")))

    return lambda values: [entry for value in values for entry in _entries(value) if holds(entry)]


def _literal(text: str) -> Any:
    if _QUOTED.fullmatch(text):
        return text[1:-1]
    if text in ("true", "false"):
        return text == "true"
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


def _compare(value: Any, operator: str, other: Any) -> bool:
    if operator in ("==", "!="):
        return bool((value == other) == (operator == "=="))
    try:
        return bool({"<": value < other, ">": value > other, "<=": value <= other, ">=": value >= other}[operator])
    except TypeError:
        return False
