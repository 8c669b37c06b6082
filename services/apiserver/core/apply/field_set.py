"""Sets of field paths, as a trie; written as FieldsV1.

Source: sigs.k8s.io/structured-merge-diff `fieldpath/set.go`, `fieldpath/serialize.go`.
"""

from collections.abc import Iterator
from typing import Any

from podwire.services.apiserver.core.apply import elements
from podwire.services.apiserver.core.apply.elements import MalformedElement, Path
from podwire.services.apiserver.core.apply.shapes import Shape
from podwire.services.apiserver.core.json_types import Json


class FieldSet:
    """Paths below one place: elements that are in the set themselves, and what is in it below them."""

    __slots__ = ("children", "members")

    def __init__(self, members: dict[str, None] | None = None, children: dict[str, "FieldSet"] | None = None) -> None:
        self.members = {} if members is None else members
        self.children = {} if children is None else children

    def __bool__(self) -> bool:
        """Whether there is a path in it."""
        return bool(self.members or self.children)

    def __eq__(self, other: object) -> bool:
        """Whether the same paths are in both."""
        if not isinstance(other, FieldSet):
            return NotImplemented
        return self.members.keys() == other.members.keys() and self.children == other.children

    __hash__ = None  # type: ignore[assignment]  # it can be changed

    def __contains__(self, path: Path) -> bool:
        """Whether a path is in it."""
        node = self
        for element in path[:-1]:
            if element not in node.children:
                return False
            node = node.children[element]
        return path[-1] in node.members

    def insert(self, path: Path) -> None:
        """Adds a path; the place itself (no element) is never in a set."""
        if not path:
            return
        node = self
        for element in path[:-1]:
            node = node.children.setdefault(element, FieldSet())
        node.members[path[-1]] = None

    def below(self, element: str) -> "FieldSet":
        """What is in it below an element."""
        return self.children.get(element, _EMPTY)

    def paths(self, prefix: Path = ()) -> Iterator[Path]:
        """Every path, in upstream's order: the members of a place, then what is below them."""
        for element in sorted(self.members, key=elements.rank):
            yield (*prefix, element)
        for element in sorted(self.children, key=elements.rank):
            yield from self.children[element].paths((*prefix, element))

    def union(self, other: "FieldSet") -> "FieldSet":
        """What is in either."""
        children = dict(self.children)
        for element, below in other.children.items():
            children[element] = children[element].union(below) if element in children else below
        return FieldSet(self.members | other.members, children)

    def intersection(self, other: "FieldSet") -> "FieldSet":
        """What is in both."""
        members = {element: None for element in self.members if element in other.members}
        shared = {e: below.intersection(other.children[e]) for e, below in self.children.items() if e in other.children}
        return FieldSet(members, {element: below for element, below in shared.items() if below})

    def difference(self, other: "FieldSet") -> "FieldSet":
        """What is here and not there."""
        members = {element: None for element in self.members if element not in other.members}
        rest = {element: below.difference(other.below(element)) for element, below in self.children.items()}
        return FieldSet(members, {element: below for element, below in rest.items() if below})

    def without(self, other: "FieldSet") -> "FieldSet":
        """The difference, without what is below a path of the other either (RecursiveDifference)."""
        members = {element: None for element in self.members if element not in other.members}
        rest = {
            element: below.without(other.below(element))
            for element, below in self.children.items()
            if element not in other.members
        }
        return FieldSet(members, {element: below for element, below in rest.items() if below})

    def with_named_fields(self, shape: Shape) -> "FieldSet":
        """With every declared field that has something below it (EnsureNamedFieldsAreMembers)."""
        members = dict(self.members)
        children = {}
        for element, below in self.children.items():
            if element.startswith("f:") and element[2:] in shape.fields:
                members[element] = None
            children[element] = below.with_named_fields(shape.inside(element))
        return FieldSet(members, children)


_EMPTY = FieldSet()


def of_paths(*paths: Path) -> FieldSet:
    """The set of these paths."""
    result = FieldSet()
    for path in paths:
        result.insert(path)
    return result


def encode(paths: FieldSet) -> Json:
    """The set as FieldsV1."""
    written: Json = {}
    for element in sorted({**paths.members, **paths.children}, key=elements.rank):
        below = encode(paths.below(element))
        written[element] = {".": {}} | below if below and element in paths.members else below
    return written


def decode(written: Any) -> FieldSet:
    """The set that FieldsV1 holds; raises MalformedElement."""
    if not isinstance(written, dict):
        raise MalformedElement("fields are no object")
    result = FieldSet()
    for text, below in written.items():
        if text == ".":
            continue
        element, inside = elements.parse(text), decode(below)
        if not inside or "." in below:
            result.members[element] = None
        if inside:
            result.children[element] = inside
    return result
