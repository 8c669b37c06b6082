"""The patches: the RFCs' own examples, and strategic merge by the definitions' keys."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podwire.services.apiserver.core.errors import ApiError
from podwire.services.apiserver.core.patch import json_patch, merge_patch, strategic_merge

POD = "io.k8s.api.core.v1.Pod"

MERGE = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("document", "patch", "expected"), MERGE)
def test_merge_patch_rfc_7386_appendix_a(document: Any, patch: Any, expected: Any) -> None:
    assert merge_patch(document, patch) == expected


OPERATIONS = [
    ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}], {"baz": "qux", "foo": "bar"}),
    ({"foo": ["a", "c"]}, [{"op": "add", "path": "/foo/1", "value": "b"}], {"foo": ["a", "b", "c"]}),
    ({"foo": ["a"]}, [{"op": "add", "path": "/foo/-", "value": "b"}], {"foo": ["a", "b"]}),
    ({"baz": 1, "foo": 2}, [{"op": "remove", "path": "/baz"}], {"foo": 2}),
    ({"foo": ["a", "b"]}, [{"op": "remove", "path": "/foo/1"}], {"foo": ["a"]}),
    ({"baz": "q"}, [{"op": "replace", "path": "/baz", "value": "boo"}], {"baz": "boo"}),
    ({"a": {"b": 1}, "c": {}}, [{"op": "move", "from": "/a/b", "path": "/c/d"}], {"a": {}, "c": {"d": 1}}),
    ({"a": {"b": 1}}, [{"op": "copy", "from": "/a", "path": "/c"}], {"a": {"b": 1}, "c": {"b": 1}}),
    ({"a/b": {"~": 1}}, [{"op": "replace", "path": "/a~1b/~0", "value": 2}], {"a/b": {"~": 2}}),
    ({"a": 1}, [{"op": "test", "path": "/a", "value": 1}, {"op": "remove", "path": "/a"}], {}),
]


@pytest.mark.parametrize(("document", "patch", "expected"), OPERATIONS)
def test_json_patch_rfc_6902_appendix_a(document: Any, patch: Any, expected: Any) -> None:
    assert json_patch(document, patch) == expected


@pytest.mark.parametrize(
    ("patch", "code"),
    [
        ({"op": "add"}, 400),
        ([{"op": "fly", "path": "/a"}], 400),
        ([{"path": 1}], 400),
        ([{"op": "add", "path": "a", "value": 1}], 400),
        ([{"op": "remove", "path": "/nope"}], 422),
        ([{"op": "replace", "path": "/list/9", "value": 1}], 422),
        ([{"op": "remove", "path": "/list/-"}], 422),
        ([{"op": "test", "path": "/list", "value": 1}], 422),
        ([{"op": "remove", "path": ""}], 422),
        ([{"op": "replace", "path": "", "value": 1}], 422),
        ([{"op": "add", "path": "/list/\u00b2", "value": 1}], 422),
    ],
)
def test_a_json_patch_that_does_not_apply_is_refused(patch: Any, code: int) -> None:
    with pytest.raises(ApiError) as refused:
        json_patch({"list": [1]}, patch)
    assert refused.value.code == code


def _pod(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"spec": {"containers": list(containers), **spec}}


STRATEGIC = [
    pytest.param(
        _pod({"name": "a", "image": "1"}, {"name": "b", "image": "1"}),
        _pod({"name": "b", "image": "2"}),
        _pod({"name": "a", "image": "1"}, {"name": "b", "image": "2"}),
        id="lists merge by key",
    ),
    pytest.param(
        _pod({"name": "a"}, {"name": "b"}),
        _pod({"name": "a", "$patch": "delete"}),
        _pod({"name": "b"}),
        id="an element is deleted",
    ),
    pytest.param(
        _pod({"name": "a"}, {"name": "b"}),
        {"spec": {"containers": [{"$patch": "replace"}, {"name": "c"}]}},
        _pod({"name": "c"}),
        id="a list is replaced",
    ),
    pytest.param(
        _pod({"name": "a", "args": ["x", "y"]}),
        _pod({"name": "a", "args": ["z"]}),
        _pod({"name": "a", "args": ["z"]}),
        id="an atomic list is replaced",
    ),
    pytest.param(
        _pod({"name": "a"}, {"name": "b"}),
        {
            "spec": {
                "$setElementOrder/containers": [{"name": "c"}, {"name": "b"}, {"name": "a"}],
                "containers": [{"name": "c"}],
            }
        },
        _pod({"name": "c"}, {"name": "b"}, {"name": "a"}),
        id="order is set",
    ),
    pytest.param(
        {"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}},
        {"spec": {"volumes": [{"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/x"}}]}},
        {"spec": {"volumes": [{"name": "v", "hostPath": {"path": "/x"}}]}},
        id="a union's other member goes",
    ),
    pytest.param(
        {"metadata": {"finalizers": ["a", "b"]}},
        {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c"]}},
        {"metadata": {"finalizers": ["b", "c"]}},
        id="primitives are removed and added",
    ),
    pytest.param(
        {"metadata": {"labels": {"a": "1", "b": "2"}}},
        {"metadata": {"labels": {"a": None, "c": "3"}}},
        {"metadata": {"labels": {"b": "2", "c": "3"}}},
        id="maps merge, null deletes",
    ),
]


@pytest.mark.parametrize(("document", "patch", "expected"), STRATEGIC)
def test_strategic_merge(document: Any, patch: Any, expected: Any) -> None:
    assert strategic_merge(document, patch, POD) == expected


def test_a_list_element_without_its_merge_key_is_refused() -> None:
    with pytest.raises(ApiError, match="merge key: name"):
        strategic_merge(_pod({"name": "a"}), _pod({"image": "x"}), POD)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("abcd"), JSON, max_size=4)


@given(OBJECTS, OBJECTS)
def test_a_merge_patch_applied_twice_is_applied_once(document: Any, patch: Any) -> None:
    once = merge_patch(document, patch)
    assert merge_patch(once, patch) == once


@given(
    OBJECTS, st.lists(st.dictionaries(st.sampled_from(["op", "path", "from", "value"]), JSON, max_size=4), max_size=3)
)
def test_no_json_patch_breaks_the_server(document: Any, patch: Any) -> None:
    try:
        json_patch(document, patch)
    except ApiError:
        pass
