"""Merging and ownership by shape, in the manner of structured-merge-diff's own tests.

Source of the cases: sigs.k8s.io/structured-merge-diff `merge/{leaf,set,key,nested,multiple_appliers,conflict}_test.go`.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podwire.services.apiserver.core.apply import elements, field_set, managers
from podwire.services.apiserver.core.apply.compare import compare
from podwire.services.apiserver.core.apply.field_set import FieldSet, of_paths
from podwire.services.apiserver.core.apply.managers import Managed, Owned, Writer, applier, updater
from podwire.services.apiserver.core.apply.merge import merge
from podwire.services.apiserver.core.apply.shapes import Shape, shape_of
from podwire.services.apiserver.core.apply.typed import fields_of, problems
from podwire.services.apiserver.core.apply.updater import Conflicts, Form, Updater

NUMBER: Final = {"type": "integer"}
TEXT: Final = {"type": "string"}
ENTRY: Final = {"type": "object", "properties": {"name": TEXT, "value": NUMBER, "other": NUMBER}}
KEYED: Final = {
    "type": "array",
    "items": ENTRY,
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name"],
}
SCHEMA: Final = {
    "type": "object",
    "properties": {
        "number": NUMBER,
        "text": TEXT,
        "flag": {"type": "boolean"},
        "set": {"type": "array", "items": TEXT, "x-kubernetes-list-type": "set"},
        "keyed": KEYED,
        "whole": {"type": "array", "items": TEXT, "x-kubernetes-list-type": "atomic"},
        "unsaid": {"type": "array", "items": TEXT},
        "wholeMap": {"type": "object", "additionalProperties": TEXT, "x-kubernetes-map-type": "atomic"},
        "map": {"type": "object", "additionalProperties": TEXT},
        "struct": {"type": "object", "properties": {"number": NUMBER, "keyed": KEYED}},
    },
}
SHAPE: Final[Shape] = shape_of(SCHEMA)


def same(value: Any) -> Any:
    return value


UPDATER: Final = Updater("v1", {"v1": Form(SHAPE, same, same)}, FieldSet())


@dataclass
class State:
    """An object and its managers."""

    live: Any = field(default_factory=dict)
    managed: Managed = field(default_factory=dict)
    time: int = 0

    def now(self) -> str:
        self.time += 1
        return f"2026-01-01T00:00:{self.time:02}Z"

    def apply(self, name: str, config: Any, force: bool = False) -> None:
        assert problems(config, SHAPE) == []
        self.live, self.managed = UPDATER.apply(self.live, config, self.managed, applier(name), self.now(), force)

    def update(self, name: str, value: Any) -> None:
        self.managed = UPDATER.update(self.live, value, self.managed, updater(name, "v1"), self.now())
        self.live = value

    def conflicts(self, name: str, config: Any) -> list[str]:
        with pytest.raises(Conflicts) as found:
            UPDATER.apply(self.live, config, self.managed, applier(name), self.now(), False)
        return [f"{conflict.writer} {elements.shown_path(conflict.path)}" for conflict in found.value.found]

    def owns(self, name: str) -> list[str]:
        return [
            elements.shown_path(path)
            for writer, owned in self.managed.items()
            if writer.name == name
            for path in owned.fields.paths()
        ]


def entry(name: str, **more: int) -> dict[str, Any]:
    return {"name": name, **more}


# What one applier's two configurations, one after the other, leave of the object.
TWICE = [
    ("a leaf changes", {"number": 1}, {"number": 2}, {"number": 2}),
    ("a leaf goes", {"number": 1, "text": "a"}, {"text": "a"}, {"text": "a"}),
    ("a set grows in the applied order", {"set": ["a", "c"]}, {"set": ["a", "b", "c"]}, {"set": ["a", "b", "c"]}),
    ("a set loses a member", {"set": ["a", "b", "c"]}, {"set": ["a", "c"]}, {"set": ["a", "c"]}),
    ("a set is sorted anew", {"set": ["a", "b", "c"]}, {"set": ["c", "b", "a"]}, {"set": ["c", "b", "a"]}),
    ("a whole list is replaced", {"whole": ["a", "b"]}, {"whole": ["c"]}, {"whole": ["c"]}),
    ("a list of which nothing is said is whole", {"unsaid": ["a", "b"]}, {"unsaid": ["c"]}, {"unsaid": ["c"]}),
    ("a whole map is replaced", {"wholeMap": {"a": "1"}}, {"wholeMap": {"b": "2"}}, {"wholeMap": {"b": "2"}}),
    ("a map loses a key", {"map": {"a": "1", "b": "2"}}, {"map": {"b": "2"}}, {"map": {"b": "2"}}),
    ("a keyed entry goes", {"keyed": [entry("a"), entry("b")]}, {"keyed": [entry("b")]}, {"keyed": [entry("b")]}),
    (
        "a field of an entry goes",
        {"keyed": [entry("a", value=1, other=2)]},
        {"keyed": [entry("a", value=1)]},
        {"keyed": [entry("a", value=1)]},
    ),
    (
        "a nested list goes with its struct",
        {"number": 1, "struct": {"keyed": [entry("a", value=1)]}},
        {"number": 1},
        {"number": 1},
    ),
    ("everything goes", {"number": 1, "map": {"a": "1"}}, {}, {}),
]


@pytest.mark.parametrize(("first", "second", "left"), [case[1:] for case in TWICE], ids=[case[0] for case in TWICE])
def test_what_is_no_longer_applied_goes(first: Any, second: Any, left: Any) -> None:
    state = State()
    state.apply("one", first)
    assert state.live == first
    state.apply("one", second)
    assert state.live == left


# What another writer has done before, what one applies then, and what comes of it.
BESIDE = [
    ("leaves of others stay", {"number": 1}, {"text": "a"}, {"number": 1, "text": "a"}),
    ("members of others stay in place", {"set": ["a", "b", "d"]}, {"set": ["c", "d"]}, {"set": ["a", "b", "c", "d"]}),
    ("new members come last", {"set": ["a"]}, {"set": ["b"]}, {"set": ["a", "b"]}),
    (
        "entries of others stay",
        {"keyed": [entry("a", value=1)]},
        {"keyed": [entry("b", value=2)]},
        {"keyed": [entry("a", value=1), entry("b", value=2)]},
    ),
    (
        "fields of others in a shared entry stay",
        {"keyed": [entry("a", value=1)]},
        {"keyed": [entry("a", other=2)]},
        {"keyed": [entry("a", value=1, other=2)]},
    ),
    ("keys of others stay", {"map": {"a": "1"}}, {"map": {"b": "2"}}, {"map": {"a": "1", "b": "2"}}),
    ("an empty map takes nothing", {"map": {"a": "1"}}, {"map": {}}, {"map": {"a": "1"}}),
]


@pytest.mark.parametrize("how", ["apply", "update"])
@pytest.mark.parametrize(("before", "config", "left"), [case[1:] for case in BESIDE], ids=[case[0] for case in BESIDE])
def test_what_others_have_stays(before: Any, config: Any, left: Any, how: str) -> None:
    state = State()
    getattr(state, how)("other", before)
    state.apply("one", config)
    assert state.live == left
    state.apply("one", {})
    assert state.live == before


CONFLICTS = [
    ("a leaf", {"number": 1}, {"number": 2}, [".number"]),
    ("two leaves", {"number": 1, "text": "a"}, {"text": "b", "number": 2}, [".number", ".text"]),
    ("true is not 1", {"flag": True}, {"flag": False}, [".flag"]),
    ("a whole list", {"whole": ["a"]}, {"whole": ["a", "b"]}, [".whole"]),
    ("a whole map", {"wholeMap": {"a": "1"}}, {"wholeMap": {"b": "1"}}, [".wholeMap"]),
    ("a key of a map", {"map": {"a": "1"}}, {"map": {"a": "2", "b": "1"}}, [".map.a"]),
    (
        "an entry's field",
        {"keyed": [entry("a", value=1)]},
        {"keyed": [entry("a", value=2)]},
        ['.keyed[name="a"].value'],
    ),
]


@pytest.mark.parametrize(("operation", "suffix"), [("apply", ""), ("update", " using v1")])
@pytest.mark.parametrize(
    ("before", "config", "paths"), [case[1:] for case in CONFLICTS], ids=[case[0] for case in CONFLICTS]
)
def test_conflicts_and_force(before: Any, config: Any, paths: list[str], operation: str, suffix: str) -> None:
    state = State()
    getattr(state, operation)("other", before)
    assert state.conflicts("one", config) == [f'"other"{suffix} {path}' for path in paths]
    assert state.live == before
    state.apply("one", config, force=True)
    assert compare(state.live, merge(before, config, SHAPE), SHAPE).changed == FieldSet()
    assert not set(paths) & set(state.owns("other"))
    assert set(paths) <= set(state.owns("one"))


def test_conflicts_name_every_writer_in_order() -> None:
    state = State()
    state.update("b", {"number": 1})
    state.apply("a", {"text": "x"})
    state.managed[Writer("c", "Update", "v1", "status")] = Owned(of_paths(("f:number",)), "v1")
    config = {"number": 2, "text": "y"}
    assert state.conflicts("one", config) == [
        '"a" .text',
        '"b" using v1 .number',
        '"c" with subresource "status" using v1 .number',
    ]


def test_equal_values_are_owned_together_and_stay_until_the_last_goes() -> None:
    state = State()
    state.apply("one", {"number": 1, "set": ["a"], "keyed": [entry("a", value=1)]})
    state.apply("two", {"number": 1, "set": ["a"], "keyed": [entry("a", value=1)]})
    before = state.live
    state.apply("one", {})
    assert state.live == before
    state.apply("two", {})
    assert state.live == {}


def test_what_another_has_changed_since_stays() -> None:
    state = State()
    state.apply("one", {"number": 1, "text": "a"})
    state.update("two", {"number": 2, "text": "a"})
    assert state.owns("one") == [".text"]
    state.apply("one", {"text": "a"})
    assert state.live == {"number": 2, "text": "a"}


def test_an_update_takes_what_it_changes_and_frees_what_it_removes() -> None:
    state = State()
    state.apply("one", {"number": 1, "text": "a", "keyed": [entry("a", value=1)]})
    state.update("two", {"number": 3, "keyed": [entry("a", value=1)], "map": {"k": "v"}})
    assert state.owns("one") == ['.keyed[name="a"]', '.keyed[name="a"].name', '.keyed[name="a"].value']
    assert state.owns("two") == [".map", ".number", ".map.k"]
    state.update("three", {"keyed": [entry("a", value=1)]})
    assert state.owns("two") == []


def test_an_apply_that_changes_nothing_keeps_its_time() -> None:
    state = State()
    state.apply("one", {"number": 1})
    first = dict(state.managed)
    state.apply("one", {"number": 1})
    assert state.managed == first
    state.apply("one", {"number": 2})
    assert state.managed[applier("one")].time > first[applier("one")].time


def test_keys_that_are_there_twice_are_replaced() -> None:
    live = {"keyed": [entry("a", value=1), entry("b", value=2), entry("a", value=3)]}
    assert merge(live, {"keyed": [entry("a", value=5)]}, SHAPE) == {"keyed": [entry("a", value=5), entry("b", value=2)]}
    assert merge(live, {"keyed": [entry("b", other=5)]}, SHAPE)["keyed"][0] == entry("a", value=1)


def test_no_more_than_ten_updaters() -> None:
    state = State()
    for number in range(14):
        state.update(f"u{number:02}", {"map": {f"k{count}": "v" for count in range(number + 1)}})
    names = [writer.name for writer in state.managed]
    assert len(names) == managers.MOST_UPDATERS
    assert sorted(names) == ["ancient-changes", *(f"u{number:02}" for number in range(5, 14))]
    assert state.owns("ancient-changes") == [".map", *(f".map.k{number}" for number in range(5))]


PROBLEMS = [
    ({"nothing": 1}, [".nothing: field not declared in schema"]),
    ({"struct": {"x": 1}}, [".struct.x: field not declared in schema"]),
    ({"number": "a"}, [".number: expected numeric (int or float), got string"]),
    ({"number": True}, [".number: expected numeric (int or float), got bool"]),
    ({"text": 8080}, [".text: expected string, got &value.valueUnstructured{Value:8080}"]),
    ({"flag": 1}, [".flag: expected boolean, got int64"]),
    ({"set": {"a": "b"}}, [".set: expected list, got &{map[a:b]}"]),
    ({"map": ["a"]}, [".map: expected map, got &{[a]}"]),
    ({"set": ["a", "a"]}, ['.set: duplicate entries for key [="a"]']),
    ({"whole": ["a", "a"]}, []),
    ({"keyed": [{"name": "a"}, {"name": "a"}]}, ['.keyed: duplicate entries for key [name="a"]']),
    (
        {"keyed": [{"value": 1}]},
        [
            '.keyed: element 0: associative list with keys has an element that omits key field "name" '
            "(and doesn't have default value)"
        ],
    ),
    ({"keyed": [{"name": "a", "x": 1}]}, ['.keyed[name="a"].x: field not declared in schema']),
    ({"number": None, "map": None, "set": None}, []),
]


@pytest.mark.parametrize(("value", "found"), PROBLEMS)
def test_what_is_not_of_the_shape(value: Any, found: list[str]) -> None:
    assert problems(value, SHAPE) == found


FIELDS = [
    ({"number": 1}, {"f:number": {}}),
    ({"map": {"a": "b"}}, {"f:map": {"f:a": {}}}),
    ({"map": {}}, {"f:map": {}}),
    ({"set": ["b", "a"]}, {"f:set": {'v:"a"': {}, 'v:"b"': {}}}),
    ({"whole": ["b"], "wholeMap": {"a": "b"}}, {"f:whole": {}, "f:wholeMap": {}}),
    ({"keyed": [{"name": "x", "value": 1}]}, {"f:keyed": {'k:{"name":"x"}': {".": {}, "f:name": {}, "f:value": {}}}}),
]


@pytest.mark.parametrize(("value", "written"), FIELDS)
def test_fields_v1(value: Any, written: Any) -> None:
    assert field_set.encode(fields_of(value, SHAPE)) == written
    assert field_set.decode(written) == fields_of(value, SHAPE)


MALFORMED = [{"x:a": {}}, {"f": {}}, {"k:[1]": {}}, {"k:{": {}}, {"i:-1": {}}, {"i:x": {}}, {"v:": {}}, {"f:a": 1}, []]


@pytest.mark.parametrize("written", MALFORMED)
def test_fields_that_are_none(written: Any) -> None:
    with pytest.raises(elements.MalformedElement):
        field_set.decode(written)


names = st.text(alphabet='abcd"\\é<.', min_size=1, max_size=3)
scalars = st.one_of(st.integers(-9, 9), names, st.booleans())
steps = st.one_of(
    names.map(elements.field),
    st.dictionaries(names, scalars, min_size=1, max_size=2).map(elements.key),
    scalars.map(elements.member),
    st.integers(0, 9).map(lambda index: f"i:{index}"),
)
path_sets = st.lists(st.lists(steps, min_size=1, max_size=4).map(tuple), max_size=8).map(lambda paths: of_paths(*paths))


@given(path_sets)
def test_fields_v1_round_trip(paths: FieldSet) -> None:
    assert field_set.decode(field_set.encode(paths)) == paths


@given(path_sets, path_sets)
def test_sets_of_paths_are_sets(one: FieldSet, two: FieldSet) -> None:
    left, right = set(one.paths()), set(two.paths())
    assert set(one.union(two).paths()) == left | right
    assert set(one.intersection(two).paths()) == left & right
    assert set(one.difference(two).paths()) == left - right
    covered = {path for path in left for end in range(1, len(path) + 1) if path[:end] in right}
    assert set(one.without(two).paths()) == left - covered
    assert bool(one.intersection(two)) == bool(left & right)


texts = st.sampled_from("abc")
entries = st.fixed_dictionaries({}, optional={"value": st.integers(0, 2), "other": st.integers(0, 2)})
configurations = st.fixed_dictionaries(
    {},
    optional={
        "number": st.integers(0, 2),
        "flag": st.booleans(),
        "set": st.lists(texts, unique=True, min_size=1),
        "whole": st.lists(texts, min_size=1),
        "map": st.dictionaries(texts, texts, min_size=1),
        "wholeMap": st.dictionaries(texts, texts, min_size=1),
        "keyed": st.dictionaries(texts, entries, min_size=1).map(
            lambda found: [{"name": name, **rest} for name, rest in found.items()]
        ),
    },
)


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.booleans(), configurations), max_size=4), configurations)
def test_applying_twice_changes_nothing(history: list[tuple[str, bool, Any]], config: Any) -> None:
    state = State()
    for name, applies, value in history:
        if applies:
            state.apply(name, value, force=True)
        else:
            state.update(name, value)
    state.apply("one", config, force=True)
    live, managed = state.live, state.managed
    assert merge(live, config, SHAPE) == live
    state.apply("one", config)
    assert (state.live, state.managed) == (live, managed)


@given(configurations, configurations)
def test_what_is_applied_is_there_and_goes_again(before: Any, config: Any) -> None:
    state = State()
    state.apply("other", before)
    state.apply("one", config, force=True)
    assert not compare(state.live, merge(state.live, config, SHAPE), SHAPE).changed
    assert set(state.owns("one")) == {elements.shown_path(path) for path in fields_of(config, SHAPE).paths()}
    state.apply("one", {})
    kept = fields_of(state.live, SHAPE)
    assert not kept.difference(fields_of(before, SHAPE))


def _disjoint(one: Any, two: Any) -> bool:
    """No leaf of one is a leaf of the other (keys of entries may be shared: they are equal)."""
    return not compare(merge(one, two, SHAPE), merge(two, one, SHAPE), SHAPE).changed


@given(configurations, configurations)
def test_managers_of_disjoint_fields_never_conflict_in_any_order(one: Any, two: Any) -> None:
    if not _disjoint(one, two):
        return
    first, second = State(), State()
    first.apply("one", one)
    first.apply("two", two)
    second.apply("two", two)
    second.apply("one", one)
    difference = compare(first.live, second.live, SHAPE)
    assert difference.changed.union(difference.removed) == FieldSet()
    assert {w: o.fields for w, o in first.managed.items()} == {w: o.fields for w, o in second.managed.items()}


@given(configurations, configurations)
def test_two_appliers_conflict_exactly_where_their_values_differ(one: Any, two: Any) -> None:
    state = State()
    state.apply("one", one)
    differing = compare(one, two, SHAPE).modified
    try:
        state.apply("two", two)
        found: list[Any] = []
    except Conflicts as conflicts:
        found = [conflict.path for conflict in conflicts.found]
    assert found == list(differing.paths())
