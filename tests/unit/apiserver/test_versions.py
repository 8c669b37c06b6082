"""Which state a read shows (the API concepts page: "Semantics for get and list", "Semantics for watch")."""

from typing import Any

import pytest

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
MERGE = "application/merge-patch+json"
MINUTE = 60 * 1_000_000_000


def add(server: Any, *names: str) -> int:
    for name in names:
        server.create(CONFIG_MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
    revision: int = server.store.revision
    return revision


def names(answer: Any) -> list[str]:
    return [item["metadata"]["name"] for item in answer["items"]]


def test_exactly_an_earlier_revision(server: Any) -> None:
    then = add(server, "a", "b")
    add(server, "c")
    server.request("DELETE", f"{CONFIG_MAPS}/a")
    exact = server.get(CONFIG_MAPS, resourceVersion=str(then), resourceVersionMatch="Exact")
    assert (names(exact), exact["metadata"]["resourceVersion"]) == (["a", "b"], str(then))
    newer = server.get(CONFIG_MAPS, resourceVersion=str(then), resourceVersionMatch="NotOlderThan")
    assert names(newer) == names(server.get(CONFIG_MAPS, resourceVersion=str(then))) == ["b", "c"]
    legacy = server.get(CONFIG_MAPS, resourceVersion=str(then), limit="1")
    assert (names(legacy), legacy["metadata"]["remainingItemCount"]) == (["a"], 1)


def test_a_revision_before_the_floor_is_gone(server: Any) -> None:
    then = add(server, "a")
    add(server, "b")
    server.store.raise_floor(server.store.revision)
    code, answer = server.request("GET", CONFIG_MAPS, resourceVersion=str(then), resourceVersionMatch="Exact")
    assert (code, answer["reason"]) == (410, "Expired")


@pytest.mark.parametrize("path", [CONFIG_MAPS, f"{CONFIG_MAPS}/a"])
@pytest.mark.parametrize("more", [{}, {"watch": "1"}])
def test_a_revision_of_the_future_is_not_there_yet(server: Any, path: str, more: dict[str, str]) -> None:
    ahead = add(server, "a") + 5
    code, answer = server.request("GET", path, resourceVersion=str(ahead), **more)
    assert (code, answer["reason"]) == (504, "Timeout")
    assert answer["message"] == f"Timeout: Too large resource version: {ahead}, current: {ahead - 5}"
    assert answer["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


REFUSED = [
    ({"resourceVersionMatch": "Exact"}, 422, "resourceVersionMatch is forbidden unless resourceVersion is provided"),
    ({"resourceVersionMatch": "Exact", "resourceVersion": "0"}, 422, 'forbidden for resourceVersion "0"'),
    ({"resourceVersionMatch": "Newest", "resourceVersion": "1"}, 422, 'supported values: "Exact", "NotOlderThan"'),
    ({"sendInitialEvents": "true"}, 422, "sendInitialEvents is forbidden for list"),
    ({"resourceVersion": "abc"}, 400, 'parsing "abc": invalid syntax'),
    ({"resourceVersion": "-1"}, 400, "invalid resource version"),
    (
        {"resourceVersion": "1", "continue": "e30="},
        400,
        "specifying resource version is not allowed when using continue",
    ),
    ({"watch": "1", "resourceVersionMatch": "NotOlderThan"}, 422, "forbidden for watch unless sendInitialEvents"),
    ({"watch": "1", "sendInitialEvents": "true"}, 422, "requires setting resourceVersionMatch to NotOlderThan"),
]


@pytest.mark.parametrize(("query", "code", "text"), REFUSED)
def test_what_cannot_be_asked(server: Any, query: dict[str, str], code: int, text: str) -> None:
    found, answer = server.request("GET", CONFIG_MAPS, **query)
    assert (found, text in answer["message"]) == (code, True), answer


def test_a_page_is_held_for_five_minutes_and_then_a_fresh_token_goes_on(server: Any) -> None:
    add(server, "a", "b", "d")
    token = server.get(CONFIG_MAPS, limit="2")["metadata"]["continue"]
    add(server, "c")
    server.now += 5 * MINUTE
    assert names(server.get(CONFIG_MAPS, **{"continue": token})) == ["d"]
    server.now += 1
    code, answer = server.request("GET", CONFIG_MAPS, **{"continue": token})
    assert (code, answer["reason"]) == (410, "Expired")
    rest = server.get(CONFIG_MAPS, limit="1", **{"continue": answer["metadata"]["continue"]})
    assert (names(rest), rest["metadata"]["resourceVersion"]) == (["c"], str(server.store.revision))
    assert names(server.get(CONFIG_MAPS, **{"continue": rest["metadata"]["continue"]})) == ["d"]


def test_a_list_stays_whole_while_much_is_written(server: Any) -> None:
    """History is kept by time, not only by number."""
    server.store._limit = 3
    add(server, "a", "b", "c")
    first = server.get(CONFIG_MAPS, limit="1")
    for number in range(9):
        server.now += 1
        server.request("PATCH", f"{CONFIG_MAPS}/c", {"data": {"n": str(number)}}, content_type=MERGE)
    rest = server.get(CONFIG_MAPS, **{"continue": first["metadata"]["continue"]})
    assert (names(rest), "data" in rest["items"][1]) == (["b", "c"], False)


def test_what_remains_is_not_told_where_a_selector_hides_it(server: Any) -> None:
    add(server, "a", "b", "c")
    meta = server.get(CONFIG_MAPS, limit="1", fieldSelector="metadata.name!=c")["metadata"]
    assert "continue" in meta and "remainingItemCount" not in meta


@pytest.mark.parametrize(
    ("query", "initial", "bookmark"),
    [
        ({}, ["a"], False),
        ({"resourceVersion": "0"}, ["a"], False),
        ({"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}, ["a"], False),
        (
            {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"},
            ["a"],
            True,
        ),
        ({"sendInitialEvents": "false", "resourceVersionMatch": "NotOlderThan"}, [], False),
    ],
)
def test_what_a_watch_begins_with(server: Any, query: dict[str, str], initial: list[str], bookmark: bool) -> None:
    add(server, "a")
    opened = server.decide("GET", CONFIG_MAPS, watch="1", **query)
    assert [value["metadata"]["name"] for value in opened.initial] == initial
    assert opened.initial_bookmark == bookmark


DUPLICATES = [
    (b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"d","name":"d"}}', 'duplicate field "metadata.name"'),
    (b'{"kind":"ConfigMap","apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"d"}}', 'duplicate field "kind"'),
    (b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: d\n  name: d\n", 'line 5: key "name" already set in map'),
]


@pytest.mark.parametrize(("body", "text"), DUPLICATES)
def test_a_field_that_is_there_twice(server: Any, body: bytes, text: str) -> None:
    kind = "application/json" if body[:1] == b"{" else "application/yaml"
    code, answer = server.request("POST", CONFIG_MAPS, body, content_type=kind, fieldValidation="Strict")
    assert (code, text in answer["message"]) == (400, True), answer
    assert server.decide("POST", CONFIG_MAPS, body, content_type=kind, fieldValidation="Ignore").warnings == []
    assert text in server.decide("POST", CONFIG_MAPS, body, content_type=kind).warnings[0]


def test_a_patch_may_not_grow_without_end(server: Any) -> None:
    add(server, "a")
    operations = [{"op": "test", "path": "/kind", "value": "ConfigMap"}] * 10_001
    patch = "application/json-patch+json"
    code, answer = server.request("PATCH", f"{CONFIG_MAPS}/a", operations, content_type=patch)
    assert (code, answer["reason"]) == (413, "RequestEntityTooLarge")
    doubling = [{"op": "add", "path": "/data", "value": {"k": "x" * 100_000}}]
    doubling += [{"op": "copy", "from": "/data", "path": f"/data/{number}"} for number in range(40)]
    code, answer = server.request("PATCH", f"{CONFIG_MAPS}/a", doubling, content_type=patch)
    assert code == 422 and "accumulated copy size" in answer["message"]
