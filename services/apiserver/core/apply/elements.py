"""One step of a field path, kept as FieldsV1 writes it: `f:name`, `k:{"name":"x"}`, `v:"x"`, `i:0`.

Source: sigs.k8s.io/structured-merge-diff `fieldpath/serialize-pe.go`, `fieldpath/element.go`.
"""

import json
from typing import Any, Final

import msgspec

type Path = tuple[str, ...]

_KINDS: Final = "fkvi"
_DIGITS: Final = 9


class MalformedElement(ValueError):
    """Text that is no path element."""


def field(name: str) -> str:
    """A field of an object."""
    return f"f:{name}"


def key(fields: dict[str, Any]) -> str:
    """The entry of a keyed list that has these fields."""
    return "k:" + _compact(dict(sorted(fields.items())))


def member(value: Any) -> str:
    """The entry of a set."""
    return "v:" + _compact(value)


def parse(text: str) -> str:
    """The element in its one spelling; raises MalformedElement."""
    kind, rest = text[:1], text[2:]
    if text[1:2] != ":" or kind not in _KINDS:
        raise MalformedElement(f"unknown path element: {text}")
    if kind == "f":
        return text
    if kind == "i":
        if not rest.isascii() or not rest.isdigit() or len(rest) > _DIGITS:
            raise MalformedElement(f"not an index: {text}")
        return f"i:{int(rest)}"
    value = _decoded(rest)
    if kind == "v":
        return member(value)
    if not isinstance(value, dict):
        raise MalformedElement(f"not an object: {text}")
    return key(value)


def shown(element: str) -> str:
    """As messages name it: `.spec`, `[name="x"]`, `[=1]`, `[0]`."""
    kind, rest = element[0], element[2:]
    if kind == "f":
        return f".{rest}"
    if kind == "i":
        return f"[{rest}]"
    if kind == "v":
        return f"[={rest}]"
    pairs = ",".join(f"{name}={_compact(value)}" for name, value in _decoded(rest).items())
    return f"[{pairs}]"


def shown_path(path: Path) -> str:
    """A whole path as messages name it."""
    return "".join(shown(element) for element in path)


def rank(element: str) -> tuple[int, list[tuple[str, int, Any]]]:
    """The order of elements: fields, keys, values, indices; numbers by their size, before text."""
    kind, rest = _KINDS.index(element[0]), element[2:]
    if element[0] == "f":
        return kind, [(rest, 0, 0)]
    value = _decoded(rest)
    if element[0] == "k":
        return kind, [(name, *_rank_of(entry)) for name, entry in value.items()]
    return kind, [("", *_rank_of(value))]


def _rank_of(value: Any) -> tuple[int, Any]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return (1, value) if isinstance(value, str) else (2, _compact(value))
    return 0, value


def _decoded(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise MalformedElement(f"{error}: {text[:80]}") from None


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
