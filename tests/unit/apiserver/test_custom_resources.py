"""Objects of kinds that a CustomResourceDefinition makes; what is refused is refused in upstream's words."""

from typing import Any

import pytest
from crontabs import CRDS, SCHEMA, TABS, definition, settle, tab, version

Json = dict[str, Any]
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


@pytest.fixture
def tabs(server: Any) -> Any:
    """A server that serves CronTabs."""
    server.create(CRDS, definition())
    settle(server)
    return server


def refused(server: Any, body: Json, method: str = "POST", path: str = TABS, **more: Any) -> str:
    code, answer = server.request(method, path, body, **more)
    assert code >= 400, answer
    return str(answer["message"])


def test_defaults_are_filled_in_and_unknown_fields_pruned(tabs: Any) -> None:
    made = tabs.create(TABS, tab(random=1, free={"any": ["thing"]}, labels={"a": "b"}, limit="10%"))
    assert made["spec"] == {
        "image": "cron",
        "cronSpec": "5 0 * * *",
        "replicas": 1,
        "free": {"any": ["thing"]},
        "labels": {"a": "b"},
        "limit": "10%",
    }
    assert tabs.warnings == [] or 'unknown field "spec.random"' in tabs.warnings
    assert made["metadata"]["generation"] == 1
    assert made["metadata"]["uid"]


def test_a_strict_client_hears_of_unknown_fields(tabs: Any) -> None:
    assert 'strict decoding error: unknown field "spec.random"' in refused(
        tabs, tab(random=1), fieldValidation="Strict"
    )


def test_a_null_is_kept_where_it_may_be_and_is_absent_elsewhere(tabs: Any) -> None:
    made = tabs.create(TABS, tab(since=None, policy=None, replicas=None))
    assert made["spec"]["since"] is None
    assert "policy" not in made["spec"]
    assert made["spec"]["replicas"] == 1


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (
            {"replicas": "two"},
            'spec.replicas: Invalid value: "string": spec.replicas in body must be of type integer: "string"',
        ),
        (
            {"replicas": 11},
            "spec.replicas: Invalid value: 11: spec.replicas in body should be less than or equal to 10",
        ),
        (
            {"replicas": 0},
            "spec.replicas: Invalid value: 0: spec.replicas in body should be greater than or equal to 1",
        ),
        ({"image": "c"}, 'spec.image: Invalid value: "c": spec.image in body should be at least 2 chars long'),
        ({"policy": "Never"}, 'spec.policy: Unsupported value: "Never": supported values: "Allow", "Forbid"'),
        (
            {"limit": True},
            'spec.limit: Invalid value: "boolean": spec.limit in body must be of type integer,string: "boolean"',
        ),
        ({"since": "now"}, 'spec.since: Invalid value: "now": spec.since in body must be of type date-time: "now"'),
        ({"ports": [{"port": 1}, {"port": 2}, {"port": 3}]}, "spec.ports: Too many: 3: must have at most 2 items"),
        ({"ports": [{"port": 1}, {"port": 1}]}, 'spec.ports[1]: Duplicate value: {"port":1,"protocol":"TCP"}'),
        ({"ports": [{"name": "x"}]}, "spec.ports[0].port: Required value"),
        (
            {"labels": {"a": 1}},
            'spec.labels.a: Invalid value: "integer": spec.labels.a in body must be of type string: "integer"',
        ),
    ],
)
def test_a_value_that_breaks_the_schema_is_refused(tabs: Any, spec: Json, said: str) -> None:
    assert refused(tabs, tab(**spec)) == f'CronTab.stable.example.com "one" is invalid: {said}'


def test_a_pattern_is_gos(tabs: Any) -> None:
    text = refused(tabs, tab(cronSpec="daily"))
    assert text.endswith(r"spec.cronSpec in body should match '^(\d+|\*)(\s+(\d+|\*)){4}$'")


def test_what_is_required_is_asked_for(tabs: Any) -> None:
    body = tab()
    del body["spec"]["image"]
    assert refused(tabs, body) == 'CronTab.stable.example.com "one" is invalid: spec.image: Required value'


def test_the_status_has_a_writer_of_its_own(tabs: Any) -> None:
    made = tabs.create(TABS, tab() | {"status": {"replicas": 7}})
    assert "status" not in made
    _, done = tabs.request("PUT", f"{TABS}/one/status", made | {"status": {"replicas": 2}, "spec": {"image": "other"}})
    assert (done["status"], done["spec"]["image"]) == ({"replicas": 2}, "cron")
    assert done["metadata"]["generation"] == 1
    _, done = tabs.request("PATCH", f"{TABS}/one", {"spec": {"replicas": 3}}, content_type=MERGE)
    assert (done["metadata"]["generation"], done["status"]) == (2, {"replicas": 2})


def test_the_scale_is_where_the_definition_says(tabs: Any) -> None:
    made = tabs.create(TABS, tab(replicas=4))
    tabs.request("PUT", f"{TABS}/one/status", made | {"status": {"replicas": 2, "labelSelector": "app=cron"}})
    scale = tabs.get(f"{TABS}/one/scale")
    assert (scale["spec"], scale["status"]) == ({"replicas": 4}, {"replicas": 2, "selector": "app=cron"})
    code, scale = tabs.request("PUT", f"{TABS}/one/scale", scale | {"spec": {"replicas": 6}})
    assert (code, scale["spec"]["replicas"]) == (200, 6)
    assert tabs.get(f"{TABS}/one")["spec"]["replicas"] == 6


def test_columns_are_the_definitions(tabs: Any) -> None:
    tabs.create(TABS, tab(replicas=4))
    table = tabs.get(TABS, accept="application/json;as=Table;g=meta.k8s.io;v=v1")
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Spec", "Replicas", "Age"]
    assert table["columnDefinitions"][1]["description"] == "The cron spec"
    assert table["rows"][0]["cells"] == ["one", "5 0 * * *", 4, "0s"]


def test_server_side_apply_merges_by_the_schema(tabs: Any) -> None:
    first = tab(ports=[{"port": 80, "name": "a"}])
    second = {**tab(), "spec": {"ports": [{"port": 443, "name": "b"}]}}
    code, _ = tabs.request("PATCH", f"{TABS}/one", first, content_type=APPLY, fieldManager="one")
    assert code == 201
    code, done = tabs.request("PATCH", f"{TABS}/one", second, content_type=APPLY, fieldManager="two")
    assert code == 200
    assert [port["name"] for port in done["spec"]["ports"]] == ["a", "b"]
    third = {**tab(), "spec": {"image": "other"}}
    assert 'conflict with "one"' in refused(tabs, third, "PATCH", f"{TABS}/one", content_type=APPLY, fieldManager="two")
    assert ".spec.nothing: field not declared in schema" in refused(
        tabs, {**tab(), "spec": {"nothing": 1}}, "PATCH", f"{TABS}/one", content_type=APPLY, fieldManager="two"
    )


def test_a_strategic_merge_patch_is_not_for_custom_kinds(tabs: Any) -> None:
    tabs.create(TABS, tab())
    patch = {"spec": {"replicas": 2}}
    code, answer = tabs.request("PATCH", f"{TABS}/one", patch, content_type="application/strategic-merge-patch+json")
    assert code == 415
    assert "application/apply-patch+yaml" in answer["message"]


def test_discovery_and_openapi_know_the_kind(tabs: Any) -> None:
    group = tabs.get("/apis/stable.example.com")
    assert group["preferredVersion"]["groupVersion"] == "stable.example.com/v1"
    listed = {entry["name"]: entry for entry in tabs.get("/apis/stable.example.com/v1")["resources"]}
    assert list(listed) == ["crontabs", "crontabs/status", "crontabs/scale"]
    assert (listed["crontabs"]["shortNames"], listed["crontabs"]["categories"]) == (["ct"], ["all"])
    url = tabs.get("/openapi/v3")["paths"]["apis/stable.example.com/v1"]["serverRelativeURL"]
    document = tabs.get(url.partition("?")[0])
    shown = document["components"]["schemas"]["com.example.stable.v1.CronTab"]
    assert shown["properties"]["spec"]["properties"]["image"]["description"] == "What runs."
    assert shown["x-kubernetes-group-version-kind"] == [
        {"group": "stable.example.com", "version": "v1", "kind": "CronTab"}
    ]
    tabs.request(
        "PATCH", f"{CRDS}/crontabs.stable.example.com", {"spec": {"names": {"shortNames": ["tab"]}}}, content_type=MERGE
    )
    settle(tabs)
    assert tabs.get("/apis/stable.example.com/v1")["resources"][0]["shortNames"] == ["tab"]


def test_the_v2_document_has_the_kind_without_what_old_kubectls_misread(tabs: Any) -> None:
    shown = tabs.get("/openapi/v2")["definitions"]["com.example.stable.v1.CronTab"]["properties"]["spec"]
    assert shown["properties"]["free"] == {"x-kubernetes-preserve-unknown-fields": True}
    assert "nullable" not in shown["properties"]["since"]


def test_every_version_shows_the_same_objects(server: Any) -> None:
    older = version("v1beta1", storage=False)
    server.create(CRDS, definition(older, version("v1"), version("v2alpha1", storage=False, served=False)))
    settle(server)
    assert [entry["version"] for entry in server.get("/apis/stable.example.com")["versions"]] == ["v1", "v1beta1"]
    beta = TABS.replace("/v1/", "/v1beta1/")
    server.create(beta, tab(api_version="stable.example.com/v1beta1"))
    assert server.get(f"{TABS}/one")["apiVersion"] == "stable.example.com/v1"
    assert server.get(f"{beta}/one")["apiVersion"] == "stable.example.com/v1beta1"
    assert server.request("GET", TABS.replace("/v1/", "/v2alpha1/"))[0] == 404


def test_a_default_that_comes_later_shows_in_objects_that_are_there(server: Any) -> None:
    server.create(CRDS, definition())
    settle(server)
    server.create(TABS, tab())
    wider = {**SCHEMA["properties"]["spec"]["properties"], "grace": {"type": "integer", "default": 30}}
    spec = SCHEMA["properties"]["spec"] | {"properties": wider}
    schema = SCHEMA | {"properties": SCHEMA["properties"] | {"spec": spec}}
    crd = server.get(f"{CRDS}/crontabs.stable.example.com")
    crd["spec"]["versions"][0]["schema"] = {"openAPIV3Schema": schema}
    assert server.request("PUT", f"{CRDS}/crontabs.stable.example.com", crd)[0] == 200
    assert server.get(f"{TABS}/one")["spec"]["grace"] == 30


def test_selectable_fields(server: Any) -> None:
    server.create(CRDS, definition(version(selectableFields=[{"jsonPath": ".spec.image"}])))
    settle(server)
    for name, image in (("one", "cron"), ("two", "other")):
        server.create(TABS, tab(name, image=image))
    found = server.get(TABS, fieldSelector="spec.image=other")["items"]
    assert [value["metadata"]["name"] for value in found] == ["two"]
