"""awk's values: numbers, strings, and strings that look like numbers (POSIX.1-2017, awk, Expressions). Pure."""

import math
import re
from typing import Final

_LEADING: Final = re.compile(r"\s*[-+]?(\d{1,300}(\.\d{0,300})?|\.\d{1,300})([eE][-+]?\d{1,3})?")


class Input(str):
    """A string that came from outside: it compares as a number if it looks like one."""

    __slots__ = ()


Value = float | str


def number(value: Value) -> float:
    """The number that a value begins with, 0 if none."""
    if isinstance(value, float):
        return value
    match = _LEADING.match(value)
    return float(match.group()) if match else 0.0


def looks_numeric(value: Value) -> bool:
    """Whether a comparison takes it as a number."""
    if isinstance(value, float):
        return True
    if not isinstance(value, Input):
        return False
    match = _LEADING.match(value)
    return match is not None and not value[match.end() :].strip()


def text(value: Value, form: str = "%.6g") -> str:
    """A value as a string; whole numbers without a point."""
    if isinstance(value, str):
        return str(value)
    if math.isfinite(value) and value == int(value) and abs(value) < 1e16:
        return str(int(value))
    return format_number(form, value)


def format_number(form: str, value: float) -> str:
    """CONVFMT or OFMT; one that is no format counts as %.6g."""
    try:
        return str(form % value)
    except (TypeError, ValueError):
        return f"{value:.6g}"


def truth(value: Value) -> bool:
    """Whether a condition holds."""
    return number(value) != 0 if looks_numeric(value) else value != ""


def compare(left: Value, right: Value, form: str) -> int:
    """-1, 0 or 1; as numbers if both look like numbers (an uninitialized value is an empty Input)."""
    if _numeric(left) and _numeric(right):
        one, two = number(left), number(right)
        return (one > two) - (one < two)
    first, second = text(left, form), text(right, form)
    return (first > second) - (first < second)


def _numeric(value: Value) -> bool:
    return looks_numeric(value) or isinstance(value, Unset)


class Unset(Input):
    """What a variable is before it is set: "" and 0."""

    __slots__ = ()
