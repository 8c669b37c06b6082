"""Whatever is sent, the answer is a Status, never a traceback; what is stored can be printed and selected."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from podwire.services.apiserver.core.errors import ApiError
from podwire.services.apiserver.core.json_types import unpack
from podwire.services.apiserver.core.kinds import BUILT_IN, Kind
from podwire.services.apiserver.core.schema import definitions

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.text(max_size=5)
    | st.floats(allow_nan=False, allow_infinity=False)
)
QUIET = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def of_schema(part: dict[str, Any], depth: int) -> st.SearchStrategy[Any]:
    """Values that follow a definition most of the time."""
    if "$ref" in part:
        part = definitions()[part["$ref"].rpartition("/")[2]]
    kinds = part.get("type", "string")
    kind = kinds if isinstance(kinds, str) else kinds[0]
    if depth == 0:
        return SCALARS
    if "properties" in part:
        fields = {name: of_schema(entry, depth - 1) for name, entry in sorted(part["properties"].items())}
        return st.fixed_dictionaries({}, optional=fields)
    if kind == "object":
        return st.dictionaries(st.text(max_size=3), SCALARS, max_size=2)
    if kind == "array":
        return st.lists(of_schema(part.get("items", {}), depth - 1), max_size=2)
    plain: dict[str, st.SearchStrategy[Any]] = {
        "string": st.text(max_size=5),
        "integer": st.integers(-2, 70000),
        "boolean": st.booleans(),
    }
    return plain.get(kind, SCALARS)


def path_of(kind: Kind) -> str:
    root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    return f"{root}/namespaces/default/{kind.resource}" if kind.namespaced else f"{root}/{kind.resource}"


@pytest.mark.parametrize("kind", BUILT_IN, ids=lambda kind: f"{kind.resource}.{kind.group}")
@QUIET
@given(data=st.data())
def test_objects_that_almost_fit(server: Any, kind: Kind, data: Any) -> None:
    depth = data.draw(st.integers(1, 4))
    body = data.draw(of_schema({"$ref": kind.definition}, depth))
    if not isinstance(body, dict):
        body = {}
    name = f"n{server.store.revision}"
    meta = {"name": name} if kind.resource != "ipaddresses" else {"name": "10.96.1.1"}
    body |= {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta}
    refused, decision = 0, None
    try:
        decision = server.decide("POST", path_of(kind), body)
    except ApiError as error:
        refused = error.code
    assert refused in (0, 400, 403, 409, 422)
    if decision is None or kind.answered:
        return
    stored = unpack(decision.main.event.object)
    kind.printer.cells(stored, server.now)
    for reader in kind.selectable().values():
        assert isinstance(reader(stored), str)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"a": "\\ud800"}'),
        ("application/json", b"\xff"),
        ("application/json", b"null"),
        ("application/json", b""),
        ("application/json", b"1e999"),
        ("application/yaml", b'a: "\\ud800"'),
        ("application/yaml", b"a: .nan"),
        ("application/yaml", b"? [a]\n: b"),
        ("application/yaml", b"a: !!python/object:os.system {}"),
        ("application/yaml", b"[" * 5000),
        ("application/yaml", b"- " * 50_000),
        ("application/yaml", b"[" * 50_000 + b"]" * 50_000),
        ("application/json", b"[" * 100_000 + b"]" * 100_000),
        ("application/yaml", b"a: 1\n---\nb: 2"),
        ("application/yaml", b"\x00"),
    ],
)
def test_bodies_that_are_no_objects(server: Any, content_type: str, body: bytes) -> None:
    code, status = server.request("POST", "/api/v1/namespaces", body, content_type=content_type)
    assert (code, status["kind"]) == (400, "Status")


@QUIET
@given(
    path=st.lists(
        st.sampled_from(
            ["api", "apis", "v1", "apps", "namespaces", "default", "pods", "a", "log", "scale", "", "%2F", "..", "é"]
        ),
        max_size=8,
    ),
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW"]),
    query=st.dictionaries(
        st.sampled_from(["watch", "labelSelector", "fieldSelector", "limit", "continue", "resourceVersion"]),
        st.text(max_size=6),
        max_size=3,
    ),
    body=st.binary(max_size=20),
)
def test_any_request(server: Any, path: list[str], method: str, query: dict[str, str], body: bytes) -> None:
    decision = (
        server.request(method, "/" + "/".join(path), body, **query)
        if query.get("watch") not in ("1", "true")
        else (404, {})
    )
    assert 200 <= decision[0] < 500
