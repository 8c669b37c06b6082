"""Which fields differ between two values of a shape. Source: structured-merge-diff `typed/compare.go`."""

from dataclasses import dataclass, field
from typing import Any

from podwire.services.apiserver.core.apply import elements
from podwire.services.apiserver.core.apply.elements import Path
from podwire.services.apiserver.core.apply.field_set import FieldSet
from podwire.services.apiserver.core.apply.shapes import DEDUCED, Shape, Sort, element_of
from podwire.services.apiserver.core.json_types import Json


class _Absent:
    """What is not there, as null may be."""


_ABSENT = _Absent()


@dataclass(slots=True)
class Comparison:
    """Fields that came, changed their value, or went."""

    added: FieldSet = field(default_factory=FieldSet)
    modified: FieldSet = field(default_factory=FieldSet)
    removed: FieldSet = field(default_factory=FieldSet)

    @property
    def changed(self) -> FieldSet:
        """What came or changed."""
        return self.modified.union(self.added)

    def without(self, ignored: FieldSet) -> "Comparison":
        """The comparison as if some fields did not exist."""
        return Comparison(*(part.without(ignored) for part in (self.added, self.modified, self.removed)))


def compare(before: Any, after: Any, shape: Shape) -> Comparison:
    """What changed from one value to the other."""
    found = Comparison()
    _walk(before, after, shape, (), found)
    return found


def _walk(before: Any, after: Any, shape: Shape, path: Path, found: Comparison) -> None:
    if before is _ABSENT:
        found.added.insert(path)
    elif after is _ABSENT:
        found.removed.insert(path)
    resolved = shape.of(before if after is _ABSENT else after)
    other = shape.of(before) if before is not _ABSENT else resolved
    is_empty = not _content(before) and not _content(after)
    if resolved.sort == Sort.SCALAR or resolved.atomic or is_empty or other is not resolved:
        if not (before is _ABSENT or after is _ABSENT) and not _equal(before, after):
            found.modified.insert(path)
    elif resolved.sort == Sort.MAP:
        _walk_maps(_map(before), _map(after), resolved, path, found)
    else:
        _walk_lists(before, after, resolved, path, found)


def _content(value: Any) -> Any:
    return None if value is _ABSENT else value


def _map(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _walk_maps(before: Json, after: Json, shape: Shape, path: Path, found: Comparison) -> None:
    for name in {**before, **after}:
        old, new = before.get(name, _ABSENT), after.get(name, _ABSENT)
        _walk(old, new, shape.of_field(name) or DEDUCED, (*path, elements.field(name)), found)


def _walk_lists(before: Any, after: Any, shape: Shape, path: Path, found: Comparison) -> None:
    old, new = _by_element(before, shape), _by_element(after, shape)
    for element in {**old, **new}:
        ours, theirs = old.get(element, []), new.get(element, [])
        place = (*path, element)
        if len(ours) < 2 and len(theirs) < 2:
            first = ours[0] if ours else _ABSENT
            _walk(first, theirs[0] if theirs else _ABSENT, shape.entry(), place, found)
        elif not ours:
            found.added.insert(place)
        elif not theirs:
            found.removed.insert(place)
        elif not _equal(ours, theirs):
            found.modified.insert(place)


def _by_element(entries: Any, shape: Shape) -> dict[str, list[Any]]:
    result: dict[str, list[Any]] = {}
    for entry in entries if isinstance(entries, list) else ():
        result.setdefault(element_of(shape, entry), []).append(entry)
    return result


def _equal(before: Any, after: Any) -> bool:
    """Equal in JSON: true is not 1."""
    if isinstance(before, bool) or isinstance(after, bool):
        return before is after
    if isinstance(before, dict) and isinstance(after, dict):
        return before.keys() == after.keys() and all(_equal(entry, after[name]) for name, entry in before.items())
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(_equal(one, two) for one, two in zip(before, after, strict=True))
    return bool(before == after)
