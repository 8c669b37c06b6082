"""`/openapi/v2`: everything served, in JSON and in gnostic's protobuf."""

import json
from typing import Any

import pytest
from google.protobuf import unknown_fields
from google.protobuf.empty_pb2 import Empty

ASKED = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
ANSWERED = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"


def references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [name for entry in value for name in references(entry)]
    if not isinstance(value, dict):
        return []
    own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
    return own + [name for entry in value.values() for name in references(entry)]


def test_the_document(server: Any) -> None:
    document = server.get("/openapi/v2")
    definitions = document["definitions"]
    assert document["swagger"] == "2.0"
    assert not [name for name in references(document) if name.removeprefix("#/definitions/") not in definitions]
    containers = definitions["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert (containers["x-kubernetes-patch-merge-key"], containers["type"]) == ("name", "array")
    pod = definitions["io.k8s.api.core.v1.Pod"]["x-kubernetes-group-version-kind"]
    assert pod == [{"group": "", "kind": "Pod", "version": "v1"}]
    patch = document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    assert {"body", "fieldValidation"} <= {parameter["name"] for parameter in patch["parameters"]}
    for name, definition in definitions.items():
        assert definition.get("type", "object") in ("object", "string", "integer"), name


@pytest.mark.parametrize(
    ("accept", "media"),
    [(ASKED, ANSWERED), (f"{ASKED},application/json", ANSWERED), (f"application/json,{ASKED}", "application/json")],
)
def test_its_forms(server: Any, accept: str, media: str) -> None:
    answer = server.decide("GET", "/openapi/v2", accept=accept).response
    assert (answer.code, answer.content_type) == (200, media)
    assert server.request("GET", "/openapi/v2", accept="text/html")[0] == 406


def fields(data: bytes) -> list[tuple[int, Any]]:
    """The fields of a message, read by google.protobuf without a schema."""
    message = Empty()
    message.ParseFromString(data)
    return [(field.field_number, field.data) for field in unknown_fields.UnknownFieldSet(message)]


def one(data: bytes, *numbers: int) -> Any:
    """The first field at a path of field numbers."""
    for number in numbers:
        data = next(value for found, value in fields(data) if found == number)
    return data


def pairs(data: bytes, number: int) -> dict[str, bytes]:
    return {one(entry, 1).decode(): one(entry, 2) for found, entry in fields(data) if found == number}


SCHEMA = {"$ref": 1, "format": 2, "description": 4}
REF, TYPE, ITEMS, ALSO, PROPERTIES, REQUIRED, EXTENSIONS = 1, 22, 23, 21, 25, 19, 31


def schema(data: bytes) -> dict[str, Any]:
    """A gnostic Schema as JSON."""
    found: dict[str, Any] = {}
    numbers = {number for number, _ in fields(data)}
    found |= {key: one(data, number).decode() for key, number in SCHEMA.items() if number in numbers}
    if TYPE in numbers:
        found["type"] = one(data, TYPE, 1).decode()
    if ITEMS in numbers:
        found["items"] = schema(one(data, ITEMS, 1))
    if ALSO in numbers:
        found["additionalProperties"] = schema(one(data, ALSO, 1))
    if PROPERTIES in numbers:
        found["properties"] = {name: schema(value) for name, value in pairs(one(data, PROPERTIES), 1).items()}
    if REQUIRED in numbers:
        found["required"] = [value.decode() for number, value in fields(data) if number == REQUIRED]
    return found | {name: json.loads(one(value, 2)) for name, value in pairs(data, EXTENSIONS).items()}


def test_the_protobuf_says_the_same(server: Any) -> None:
    document = server.get("/openapi/v2")
    data = server.decide("GET", "/openapi/v2", accept=ASKED).response.body
    assert (one(data, 1), one(data, 2, 1)) == (b"2.0", b"Kubernetes")
    given = {name: schema(value) for name, value in pairs(one(data, 9), 1).items()}
    assert given == document["definitions"]
    paths = pairs(one(data, 8), 2)
    assert list(paths) == list(document["paths"])
    patch = one(paths["/api/v1/namespaces/{namespace}/pods/{name}"], 8)
    assert json.loads(one(pairs(patch, 13)["x-kubernetes-group-version-kind"], 2))["kind"] == "Pod"
    queries = [one(value, 1, 2, 3, 4) for number, value in fields(patch) if number == 8 and b"query" in value]
    assert b"fieldValidation" in queries
