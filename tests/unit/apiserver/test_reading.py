"""Get, list, watch, tables, discovery, OpenAPI, health, authorization."""

import json
from typing import Any

import pytest

from podwire.proto.messages import codec
from podwire.proto.messages.api import WatchOpened
from podwire.services.apiserver.core.authorization import Requester
from podwire.services.apiserver.core.errors import ApiError
from podwire.services.apiserver.core.reading import event_object, watch_event

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
MERGE = "application/merge-patch+json"


def add(server: Any, *names: str) -> None:
    for name in names:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"name": name}}}
        server.create(CONFIG_MAPS, body)


def names(answer: Any) -> list[str]:
    return [value["metadata"]["name"] for value in answer["items"]]


def test_lists_are_in_order_and_selected(server: Any) -> None:
    add(server, "b", "c", "a")
    assert names(server.get(CONFIG_MAPS)) == ["a", "b", "c"]
    assert names(server.get("/api/v1/configmaps", labelSelector="name in (a,c)")) == ["a", "c"]
    assert names(server.get(CONFIG_MAPS, fieldSelector="metadata.name!=a")) == ["b", "c"]
    assert server.get(CONFIG_MAPS)["metadata"]["resourceVersion"] == str(server.store.revision)


def test_pages_are_of_one_revision(server: Any) -> None:
    add(server, "a", "b", "d", "e")
    first = server.get(CONFIG_MAPS, limit="2")
    assert (names(first), first["metadata"]["remainingItemCount"]) == (["a", "b"], 2)
    add(server, "c")
    server.request("DELETE", f"{CONFIG_MAPS}/e")
    second = server.get(CONFIG_MAPS, **{"limit": "2", "continue": first["metadata"]["continue"]})
    assert names(second) == ["d", "e"]
    assert second["metadata"] == {"resourceVersion": first["metadata"]["resourceVersion"]}
    assert server.request("GET", CONFIG_MAPS, **{"continue": "rubbish"})[0] == 400
    server.store.raise_floor(server.store.revision)
    assert server.request("GET", CONFIG_MAPS, **{"continue": first["metadata"]["continue"]})[0] == 410


def test_a_watch_with_a_selector_tells_when_an_object_enters_and_leaves(server: Any) -> None:
    opened = server.decide("GET", CONFIG_MAPS, watch="1", labelSelector="name=a")
    start = server.store.revision
    add(server, "a", "b")
    for labels in ({"name": "x"}, {"name": "y"}, {"name": "a"}, {"extra": "1"}):
        server.request("PATCH", f"{CONFIG_MAPS}/a", {"metadata": {"labels": labels}}, content_type=MERGE)
    server.request("DELETE", f"{CONFIG_MAPS}/a")
    events = [event for changed in server.store.since(start) if (event := watch_event(opened, changed))]
    assert [kind for kind, _ in events] == ["ADDED", "DELETED", "ADDED", "MODIFIED", "DELETED"]
    left = events[1][1]["metadata"]
    assert left["labels"] == {"name": "a"}, "as it was while it was selected"
    revisions = [int(value["metadata"]["resourceVersion"]) for _, value in events]
    assert revisions == sorted(set(revisions))


def test_a_watch_from_before_the_floor_is_gone(server: Any) -> None:
    add(server, "a", "b")
    server.store.raise_floor(server.store.revision)
    code, status = server.request("GET", CONFIG_MAPS, watch="1", resourceVersion="1")
    assert (code, status["reason"]) == (410, "Expired")
    assert server.request("GET", CONFIG_MAPS, watch="1", resourceVersion="x")[0] == 400


def test_a_component_opens_a_watch_and_reads_the_log_itself(server: Any) -> None:
    answer = server.decide("GET", "/api/v1/pods", watch="1", podwire="stream").response
    opened = codec.decode(WatchOpened, answer.body)
    assert opened.subjects == ["kube.events._.pods.*.*"]
    assert opened.revision == server.store.revision


def test_tables(server: Any) -> None:
    add(server, "a")
    body = server.get(CONFIG_MAPS, accept=TABLE)
    assert body["kind"] == "Table"
    assert [column["name"] for column in body["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert body["rows"][0]["cells"] == ["a", "0", "0s"]
    assert body["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    opened = server.decide("GET", CONFIG_MAPS, watch="1", accept=TABLE)
    value = server.store.objects(("", "configmaps"))[0]
    assert event_object(opened, value, server.now, True)["columnDefinitions"]
    assert event_object(opened, value, server.now, False)["columnDefinitions"] is None


def test_what_cannot_be_accepted(server: Any) -> None:
    for accept in ("application/cbor", "text/html", "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io"):
        code, status = server.request("GET", CONFIG_MAPS, accept=accept)
        assert (code, status["reason"]) == (406, "NotAcceptable")
        assert server.request("GET", CONFIG_MAPS, accept=f"{accept},application/json")[0] == 200
        assert server.request("DELETE", CONFIG_MAPS, accept=accept)[0] == 406


def test_discovery_plain_and_aggregated(server: Any) -> None:
    assert server.get("/api")["versions"] == ["v1"]
    assert "apps" in [group["name"] for group in server.get("/apis")["groups"]]
    resources = {entry["name"]: entry for entry in server.get("/api/v1")["resources"]}
    assert resources["services"]["shortNames"] == ["svc"]
    assert "pods/exec" in resources
    for version in ("v2", "v2beta1"):
        accept = f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList,application/json"
        answer = server.decide("GET", "/apis", accept=accept).response
        assert answer.content_type == f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
        assert json.loads(answer.body)["apiVersion"] == f"apidiscovery.k8s.io/{version}"


def test_every_listed_resource_can_be_listed(server: Any) -> None:
    for group in server.get("/apis")["groups"]:
        path = f"/apis/{group['preferredVersion']['groupVersion']}"
        for entry in server.get(path)["resources"]:
            if "list" in entry["verbs"]:
                assert server.get(f"{path}/{entry['name']}")["kind"] == f"{entry['kind']}List"


def test_open_api_lists_field_validation_and_merge_keys(server: Any) -> None:
    for name, entry in server.get("/openapi/v3")["paths"].items():
        assert entry["serverRelativeURL"].startswith(f"/openapi/v3/{name}")
    document = server.get("/openapi/v3/apis/apps/v1")
    patch = document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    assert "fieldValidation" in [parameter["name"] for parameter in patch["parameters"]]
    assert patch["x-kubernetes-group-version-kind"] == {"group": "apps", "version": "v1", "kind": "Deployment"}
    schemas = document["components"]["schemas"]
    containers = schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert (containers["x-kubernetes-patch-merge-key"], containers["type"]) == ("name", "array")
    assert not [name for name in _references(document) if name not in schemas]


def _references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [name for entry in value for name in _references(entry)]
    if not isinstance(value, dict):
        return []
    own = [value["$ref"].rpartition("/")[2]] if "$ref" in value and isinstance(value["$ref"], str) else []
    return own + [name for entry in value.values() for name in _references(entry)]


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz", "/version"])
def test_anonymous_users_see_health_and_version_only(server: Any, path: str) -> None:
    assert server.request("GET", path, who=None)[0] == 200
    assert server.request("GET", "/api/v1/pods", who=None)[1]["reason"] == "Unauthorized"


def node_pod(node: str) -> dict[str, Any]:
    spec = {"nodeName": node, "containers": [{"name": "a", "image": "a"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}


ALLOWED = [
    ("system:kube-proxy:node-1", "GET", "/api/v1/services", None, True),
    ("system:kube-proxy:node-1", "GET", "/api/v1/secrets", None, False),
    ("system:kube-proxy:node-1", "DELETE", "/api/v1/namespaces/default/pods/on-1", None, False),
    ("system:kube-controllers", "DELETE", "/api/v1/namespaces/default/pods/on-1", None, True),
    ("system:node:node-1", "PATCH", "/api/v1/nodes/node-1/status", {}, True),
    ("system:node:node-1", "PATCH", "/api/v1/nodes/node-2/status", {}, False),
    ("system:node:node-1", "PATCH", "/api/v1/namespaces/default/pods/on-1/status", {}, True),
    ("system:node:node-2", "PATCH", "/api/v1/namespaces/default/pods/on-1/status", {}, False),
    ("system:node:node-1", "POST", "/api/v1/namespaces/default/pods", node_pod("node-1"), True),
    ("system:node:node-1", "POST", "/api/v1/namespaces/default/pods", node_pod("node-2"), False),
    ("system:kube-scheduler", "POST", "/api/v1/namespaces/default/pods/on-1/binding", {}, True),
    ("system:kube-scheduler", "POST", "/api/v1/namespaces/default/pods", node_pod("x"), False),
    ("system:coredns", "POST", "/api/v1/namespaces/default/configmaps", {}, False),
    ("mallory", "GET", "/api/v1/pods", None, False),
    ("system:unknown", "GET", "/api/v1/pods", None, False),
]


@pytest.mark.parametrize(("user", "method", "path", "body", "allowed"), ALLOWED)
def test_who_may_do_what(server: Any, user: str, method: str, path: str, body: Any, allowed: bool) -> None:
    server.create("/api/v1/namespaces/default/pods", node_pod("node-1") | {"metadata": {"name": "on-1"}})
    code, status = server.request(
        method, path, body, who=Requester(user), content_type=MERGE if method == "PATCH" else "application/json"
    )
    assert (code != 403) == allowed
    if not allowed:
        assert f'User "{user}" cannot ' in status["message"]


def test_the_body_limit(server: Any) -> None:
    with pytest.raises(ApiError) as refused:
        server.decide("POST", CONFIG_MAPS, b" " * (3 * 1024 * 1024 + 1))
    assert refused.value.code == 413
