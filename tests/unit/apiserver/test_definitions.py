"""CustomResourceDefinitions: what they must be, how their names are accepted, how they end."""

from typing import Any

import pytest
from crontabs import CRDS, TABS, definition, settle, tab, version

from podwire.services.apiserver.core.custom.json_path import PathProblem, find

Json = dict[str, Any]
NAME = "crontabs.stable.example.com"


def conditions(server: Any, name: str = NAME) -> dict[str, tuple[str, str]]:
    listed = server.get(f"{CRDS}/{name}")["status"]["conditions"]
    return {entry["type"]: (entry["status"], entry["reason"]) for entry in listed}


def said(server: Any, body: Json) -> str:
    code, answer = server.request("POST", CRDS, body)
    assert code == 422, answer
    return str(answer["message"])


def of_schema(schema: Json) -> Json:
    return definition(version(schema={"openAPIV3Schema": schema}))


def test_a_definition_is_served_once_its_names_are_accepted(server: Any) -> None:
    made = server.create(CRDS, definition())
    assert made["status"]["storedVersions"] == ["v1"]
    assert made["spec"]["names"]["listKind"] == "CronTabList"
    assert made["spec"]["conversion"] == {"strategy": "None"}
    assert server.request("GET", TABS)[0] == 404
    settle(server)
    assert conditions(server) == {
        "NamesAccepted": ("True", "NoConflicts"),
        "Established": ("True", "InitialNamesAccepted"),
    }
    assert server.get(TABS)["kind"] == "CronTabList"


def test_a_name_that_is_taken_waits_for_its_owner_to_go(server: Any) -> None:
    server.create(CRDS, definition())
    names = {"plural": "tables", "singular": "table", "kind": "Table", "shortNames": ["ct"]}
    other = definition(names=names) | {"metadata": {"name": "tables.stable.example.com"}}
    server.create(CRDS, other)
    settle(server)
    found = conditions(server, "tables.stable.example.com")
    assert found == {"NamesAccepted": ("False", "ShortNamesConflict"), "Established": ("False", "NotAccepted")}
    server.request("DELETE", f"{CRDS}/{NAME}")
    settle(server)
    assert conditions(server, "tables.stable.example.com")["Established"][0] == "True"


def test_deletion_takes_the_objects_along(server: Any) -> None:
    server.create(CRDS, definition())
    settle(server)
    server.create(TABS, tab())
    held = tab("held") | {"metadata": {"name": "held", "finalizers": ["example.com/hold"]}}
    server.create(TABS, held)
    _, going = server.request("DELETE", f"{CRDS}/{NAME}")
    assert going["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    assert conditions(server)["Terminating"] == ("True", "InstanceDeletionPending")
    code, answer = server.request("POST", TABS, tab("late"))
    assert (code, answer["message"]) == (405, "create not allowed while custom resource definition is terminating")
    settle(server)
    assert [value["metadata"]["name"] for value in server.get(TABS)["items"]] == ["held"]
    patch = {"metadata": {"finalizers": None}}
    server.request("PATCH", f"{TABS}/held", patch, content_type="application/merge-patch+json")
    settle(server)
    assert server.request("GET", f"{CRDS}/{NAME}")[0] == 404
    assert server.request("GET", TABS)[0] == 404


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            definition(scope="Global"),
            'spec.scope: Unsupported value: "Global": supported values: "Cluster", "Namespaced"',
        ),
        (definition(version(storage=False)), "must have exactly one version marked as storage version"),
        (definition(version(), version(storage=False)), "must contain unique version names"),
        (definition(version("V1")), "a DNS-1035 label must consist of lower case"),
        (
            definition(group="stable"),
            'metadata.name: Invalid value: "crontabs.stable.example.com": must be spec.names.plural+"."+spec.group',
        ),
        (
            definition(version(schema={})),
            "spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required",
        ),
        (of_schema({}), "schema.openAPIV3Schema.type: Required value: must not be empty at the root"),
        (
            of_schema({"type": "object", "properties": {"spec": {}}}),
            "openAPIV3Schema.properties[spec].type: Required value: must not be empty for specified object fields",
        ),
        (
            of_schema({"type": "object", "properties": {"spec": {"type": "array"}}}),
            "openAPIV3Schema.properties[spec].items: Required value: must be specified",
        ),
        (
            of_schema({"type": "object", "properties": {"spec": {"type": "string", "pattern": "("}}}),
            'properties[spec].pattern: Invalid value: "(": must be a valid regular expression, but isn\'t',
        ),
        (
            of_schema({"type": "object", "properties": {"spec": {"type": "integer", "default": "x"}}}),
            'must be of type integer: "string"',
        ),
        (
            of_schema({"type": "object", "x-kubernetes-validations": [{"rule": "true"}]}),
            "openAPIV3Schema.x-kubernetes-validations: Forbidden: podwire does not evaluate CEL rules",
        ),
        (
            definition(conversion={"strategy": "Webhook"}),
            "spec.conversion.strategy: Forbidden: podwire calls no conversion webhooks: use None",
        ),
        (
            definition(version(additionalPrinterColumns=[{"name": "A", "type": "string", "jsonPath": ".a["}])),
            "additionalPrinterColumns[0].jsonPath: Invalid value",
        ),
    ],
)
def test_what_a_definition_must_be(server: Any, body: Json, text: str) -> None:
    assert text in said(server, body)


def test_what_is_stored_by_may_not_change(server: Any) -> None:
    server.create(CRDS, definition())
    settle(server)
    crd = server.get(f"{CRDS}/{NAME}")
    changed = crd | {"spec": crd["spec"] | {"scope": "Cluster"}}
    code, answer = server.request("PUT", f"{CRDS}/{NAME}", changed)
    assert code == 422
    assert answer["message"].endswith('spec.scope: Invalid value: "Cluster": field is immutable')


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".a.b", [1]),
        ("{.a.b}", [1]),
        (".list[0].name", ["x"]),
        (".list[-1].name", ["y"]),
        (".list[*].name", ["x", "y"]),
        ('.list[?(@.name=="y")].n', [2]),
        (".list[?(@.n>1)].name", ["y"]),
        (r".labels.app\.kubernetes\.io/name", ["z"]),
        (".labels['app.kubernetes.io/name']", ["z"]),
        (".nothing.at.all", []),
        ("..name", ["x", "y"]),
    ],
)
def test_json_paths(path: str, found: list[Any]) -> None:
    value = {
        "a": {"b": 1},
        "list": [{"name": "x", "n": 1}, {"name": "y", "n": 2}],
        "labels": {"app.kubernetes.io/name": "z"},
    }
    assert find(path, value) == found


def test_a_path_that_is_none_is_refused() -> None:
    for path in (".a[", ".a[b]", "a"):
        with pytest.raises(PathProblem):
            find(path, {})
