"""Create, update, patch, delete: what clients are told, in Kubernetes' own words."""

from typing import Any

import pytest

PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
MERGE = "application/merge-patch+json"


def pod(name: str = "a", **spec: Any) -> dict[str, Any]:
    containers = [{"name": "main", "image": "nginx"}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": containers, **spec}}


def deployment(name: str = "web", **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": "nginx:1"}]}}
    given = {"selector": {"matchLabels": {"app": "web"}}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": given}


def config_map(name: str = "c", **data: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def test_a_new_pod_has_upstreams_defaults(server: Any) -> None:
    made = server.create(PODS, pod())
    spec, container = made["spec"], made["spec"]["containers"][0]
    assert (spec["restartPolicy"], spec["dnsPolicy"], spec["schedulerName"]) == (
        "Always",
        "ClusterFirst",
        "default-scheduler",
    )
    assert (container["imagePullPolicy"], container["terminationMessagePath"]) == ("Always", "/dev/termination-log")
    assert spec["serviceAccountName"] == "default"
    assert [t["key"] for t in spec["tolerations"]] == ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]
    assert [t["tolerationSeconds"] for t in spec["tolerations"]] == [300, 300]
    assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    assert made["metadata"]["generation"] == 1
    assert made["metadata"]["creationTimestamp"] == "2023-11-14T22:13:20Z"


def test_a_new_deployment_has_upstreams_defaults(server: Any) -> None:
    spec = server.create(DEPLOYMENTS, deployment())["spec"]
    assert (spec["replicas"], spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (1, 10, 600)
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}


def test_generated_names_differ(server: Any) -> None:
    body = pod()
    body["metadata"] = {"generateName": "web-"}
    first, second = (server.create(PODS, body)["metadata"]["name"] for _ in range(2))
    assert first != second
    assert first.startswith("web-")
    assert len(first) == 9


REFUSED = [
    pytest.param(PODS, {"kind": "Pod"}, 422, "spec.containers: Required value", id="no apiVersion: the path says it"),
    pytest.param(PODS, {"apiVersion": "v1"}, 422, "spec.containers: Required value", id="no kind: the path says it"),
    pytest.param(
        PODS, {"apiVersion": "v2", "kind": "Pod"}, 400, "does not match the expected API version (v1)", id="version"
    ),
    pytest.param(PODS, {"apiVersion": "v1", "kind": "Node"}, 400, "cannot be handled as a Pod", id="kind"),
    pytest.param(PODS, b"{bad", 400, "json parse error", id="malformed"),
    pytest.param(PODS, b"[1]", 400, "not an object", id="not an object"),
    pytest.param(PODS, b"[" * 100_000, 400, "", id="deep"),
    pytest.param(
        PODS,
        pod() | {"spec": {"containers": 5}},
        400,
        "cannot unmarshal number into Go struct field PodSpec.spec.containers",
        id="type",
    ),
    pytest.param(PODS, pod() | {"spec": {}}, 422, "spec.containers: Required value", id="no containers"),
    pytest.param(PODS, pod("A"), 422, 'metadata.name: Invalid value: "A": a lowercase RFC 1123 subdomain', id="name"),
    pytest.param(PODS, pod(restartPolicy="Maybe"), 422, 'supported values: "Always", "OnFailure", "Never"', id="enum"),
    pytest.param("/api/v1/namespaces/no/pods", pod(), 404, 'namespaces "no" not found', id="no namespace"),
    pytest.param(
        DEPLOYMENTS,
        deployment(replicas=-1),
        422,
        "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
        id="range",
    ),
    pytest.param(DEPLOYMENTS, deployment(selector={}), 422, "empty selector is invalid for deployment", id="selector"),
    pytest.param(
        DEPLOYMENTS,
        deployment(replicas="2"),
        400,
        "cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        id="replicas",
    ),
    pytest.param(
        "/apis/apps/v1/namespaces/default/nothings", {}, 404, "could not find the requested resource", id="resource"
    ),
    pytest.param("/api/v1/pods/x/y/z", {}, 404, "could not find the requested resource", id="path"),
]


@pytest.mark.parametrize(("path", "body", "code", "text"), REFUSED)
def test_bad_input_gets_kubernetes_own_status(server: Any, path: str, body: Any, code: int, text: str) -> None:
    given, status = server.request("POST", path, body)
    assert (given, status["code"], status["kind"], status["status"]) == (code, code, "Status", "Failure")
    assert text in status["message"]


def test_a_refusal_lists_each_field(server: Any) -> None:
    body = deployment(replicas=-1)
    body["spec"]["template"]["spec"]["containers"] = [{"name": "A", "ports": [{"containerPort": 70000}]}]
    _, status = server.request("POST", DEPLOYMENTS, body)
    assert status["message"].startswith('Deployment.apps "web" is invalid: [spec.replicas: ')
    assert [cause["field"] for cause in status["details"]["causes"]] == [
        "spec.replicas",
        "spec.template.spec.containers[0].name",
        "spec.template.spec.containers[0].image",
        "spec.template.spec.containers[0].ports[0].containerPort",
    ]


def test_unknown_fields_by_field_validation(server: Any) -> None:
    body = deployment(foo=1)
    code, status = server.request("POST", DEPLOYMENTS, body, fieldValidation="Strict")
    assert code == 400
    assert 'strict decoding error: unknown field "spec.foo"' in status["message"]
    decision = server.decide("POST", DEPLOYMENTS, body, fieldValidation="Warn")
    assert decision.warnings == ['unknown field "spec.foo"']
    assert "foo" not in decision.result["spec"]
    assert server.decide("POST", DEPLOYMENTS, body, fieldValidation="Ignore").warnings == []
    assert server.request("POST", DEPLOYMENTS, body, fieldValidation="Perhaps")[0] == 400


def test_yaml_and_unknown_bodies(server: Any) -> None:
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: y}\ndata: {when: 2024-01-01T00:00:00Z}\n"
    assert (
        server.request("POST", CONFIG_MAPS, text, content_type="application/yaml")[1]["data"]["when"]
        == "2024-01-01T00:00:00Z"
    )
    bomb = b"a: &a [x]\nb: *a\n"
    assert server.request("POST", CONFIG_MAPS, bomb, content_type="application/yaml")[0] == 400
    code, status = server.request("POST", CONFIG_MAPS, b"x", content_type="application/cbor")
    assert (code, status["reason"]) == (415, "UnsupportedMediaType")
    assert "application/json, application/yaml, application/vnd.kubernetes.protobuf" in status["message"]


def test_a_taken_name(server: Any) -> None:
    server.create(PODS, pod())
    code, status = server.request("POST", PODS, pod())
    assert (code, status["reason"], status["message"]) == (409, "AlreadyExists", 'pods "a" already exists')


def test_a_name_can_be_used_again_after_its_tombstone(server: Any) -> None:
    first = server.create(CONFIG_MAPS, config_map(a="1"))
    server.request("DELETE", f"{CONFIG_MAPS}/c")
    second = server.create(CONFIG_MAPS, config_map(a="2"))
    assert first["metadata"]["uid"] != second["metadata"]["uid"]


def test_a_stale_resource_version(server: Any) -> None:
    old = server.create(CONFIG_MAPS, config_map(a="1"))
    server.request("PUT", f"{CONFIG_MAPS}/c", config_map(a="2"))
    code, status = server.request("PUT", f"{CONFIG_MAPS}/c", old | {"data": {"a": "3"}})
    assert (code, status["reason"]) == (409, "Conflict")
    assert status["message"].startswith('Operation cannot be fulfilled on configmaps "c": the object has been modified')


def test_an_update_that_changes_nothing_writes_nothing(server: Any) -> None:
    server.create(DEPLOYMENTS, deployment())
    revision = server.store.revision
    code, same = server.request("PUT", f"{DEPLOYMENTS}/web", deployment())
    assert (code, server.store.revision) == (200, revision)
    assert same["metadata"]["resourceVersion"] == str(revision)


def test_generation_counts_changes_of_the_spec_only(server: Any) -> None:
    server.create(DEPLOYMENTS, deployment())
    path = f"{DEPLOYMENTS}/web"
    steps = [
        ("", {"spec": {"replicas": 3}}, 2),
        ("", {"metadata": {"labels": {"x": "y"}}}, 2),
        ("/status", {"status": {"replicas": 3}}, 2),
        ("", {"spec": {"paused": True}}, 3),
    ]
    for part, body, generation in steps:
        made = server.request("PATCH", path + part, body, content_type=MERGE)[1]
        assert made["metadata"]["generation"] == generation


def test_status_and_spec_are_written_by_different_doors(server: Any) -> None:
    server.create(DEPLOYMENTS, deployment())
    body = deployment(replicas=5) | {"status": {"replicas": 9}}
    through_status = server.request("PUT", f"{DEPLOYMENTS}/web/status", body)[1]
    assert (through_status["spec"]["replicas"], through_status["status"]["replicas"]) == (1, 9)
    through_spec = server.request("PUT", f"{DEPLOYMENTS}/web", body | {"status": {"replicas": 1}})[1]
    assert (through_spec["spec"]["replicas"], through_spec["status"]["replicas"]) == (5, 9)


IMMUTABLE = [
    (DEPLOYMENTS, deployment(), {"spec": {"selector": {"matchLabels": {"app": "b"}}}}, "spec.selector: Invalid value"),
    (
        PODS,
        pod("web"),
        {"spec": {"hostNetwork": True}},
        "spec: Forbidden: pod updates may not change fields other than",
    ),
    (CONFIG_MAPS, config_map("web", a="1") | {"immutable": True}, {"data": {"a": "2"}}, "field is immutable when"),
]


@pytest.mark.parametrize(("path", "body", "patch", "text"), IMMUTABLE)
def test_what_may_not_change(server: Any, path: str, body: Any, patch: Any, text: str) -> None:
    server.create(path, body)
    code, status = server.request("PATCH", f"{path}/web", patch, content_type=MERGE)
    assert code == 422
    assert text in status["message"]


def test_dry_run_stores_nothing(server: Any) -> None:
    revision = server.store.revision
    code, made = server.request("POST", PODS, pod(), dryRun="All")
    assert (code, made["metadata"]["name"], server.store.revision) == (201, "a", revision)
    assert server.request("POST", PODS, pod(), dryRun="Some")[0] == 400


def _bind(server: Any, name: str = "a", node: str = "node-1") -> tuple[int, Any]:
    body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": {"kind": "Node", "name": node}}
    answer: tuple[int, Any] = server.request("POST", f"{PODS}/{name}/binding", body)
    return answer


def test_binding_happens_once(server: Any) -> None:
    server.create(PODS, pod())
    assert _bind(server)[0] == 201
    bound = server.get(f"{PODS}/a")
    assert bound["spec"]["nodeName"] == "node-1"
    assert bound["status"]["conditions"][0]["type"] == "PodScheduled"
    code, status = _bind(server, node="node-2")
    assert code == 409
    assert 'pod a is already assigned to node "node-1"' in status["message"]


def test_a_bound_pod_is_deleted_in_two_steps(server: Any) -> None:
    server.create(PODS, pod())
    _bind(server)
    _, going = server.request("DELETE", f"{PODS}/a")
    assert going["metadata"]["deletionGracePeriodSeconds"] == 30
    assert going["metadata"]["deletionTimestamp"] == "2023-11-14T22:13:50Z"
    assert server.get(f"{PODS}/a")["metadata"]["generation"] == 2
    server.request("DELETE", f"{PODS}/a", {"gracePeriodSeconds": 0, "preconditions": {"uid": going["metadata"]["uid"]}})
    assert server.request("GET", f"{PODS}/a")[0] == 404


def test_an_unbound_pod_is_deleted_at_once(server: Any) -> None:
    server.create(PODS, pod())
    server.request("DELETE", f"{PODS}/a")
    assert server.request("GET", f"{PODS}/a")[0] == 404


def test_deletion_by_uid_spares_a_successor(server: Any) -> None:
    server.create(PODS, pod())
    code, status = server.request("DELETE", f"{PODS}/a", {"preconditions": {"uid": "another"}})
    assert (code, status["reason"]) == (409, "Conflict")


def test_finalizers_hold_an_object(server: Any) -> None:
    body = config_map()
    body["metadata"]["finalizers"] = ["example.com/keep"]
    server.create(CONFIG_MAPS, body)
    server.request("DELETE", f"{CONFIG_MAPS}/c")
    assert server.get(f"{CONFIG_MAPS}/c")["metadata"]["deletionTimestamp"]
    refused = server.request(
        "PATCH", f"{CONFIG_MAPS}/c", {"metadata": {"finalizers": ["a/b", "example.com/keep"]}}, content_type=MERGE
    )
    assert refused[0] == 422
    server.request("PATCH", f"{CONFIG_MAPS}/c", {"metadata": {"finalizers": None}}, content_type=MERGE)
    assert server.request("GET", f"{CONFIG_MAPS}/c")[0] == 404


@pytest.mark.parametrize(("policy", "finalizer"), [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")])
def test_propagation_policies_leave_the_rest_to_the_collector(server: Any, policy: str, finalizer: str) -> None:
    server.create(DEPLOYMENTS, deployment())
    server.request("DELETE", f"{DEPLOYMENTS}/web", {"propagationPolicy": policy})
    assert server.get(f"{DEPLOYMENTS}/web")["metadata"]["finalizers"] == [finalizer]


def test_a_namespace_ends_after_its_finalizer(server: Any) -> None:
    server.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
    path = "/api/v1/namespaces/team"
    assert server.get(path)["metadata"]["labels"] == {"kubernetes.io/metadata.name": "team"}
    _, going = server.request("DELETE", path)
    assert going["status"]["phase"] == "Terminating"
    code, status = server.request("POST", f"{path}/configmaps", config_map())
    assert code == 403
    assert status["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}, "spec": {"finalizers": []}}
    assert server.request("PUT", f"{path}/finalize", body)[0] == 200
    assert server.request("GET", path)[0] == 404


def test_a_collection_is_deleted_by_selector(server: Any) -> None:
    for name in ("a", "b"):
        body = config_map(name)
        body["metadata"]["labels"] = {"name": name}
        server.create(CONFIG_MAPS, body)
    server.request("DELETE", CONFIG_MAPS, labelSelector="name=a")
    assert [value["metadata"]["name"] for value in server.get(CONFIG_MAPS)["items"]] == ["b"]


def test_scale(server: Any) -> None:
    server.create(DEPLOYMENTS, deployment())
    scale = server.get(f"{DEPLOYMENTS}/web/scale")
    assert (scale["kind"], scale["spec"], scale["status"]) == (
        "Scale",
        {"replicas": 1},
        {"replicas": 0, "selector": "app=web"},
    )
    server.request("PATCH", f"{DEPLOYMENTS}/web/scale", {"spec": {"replicas": 4}}, content_type=MERGE)
    assert server.get(f"{DEPLOYMENTS}/web")["spec"]["replicas"] == 4
    assert server.request("PUT", f"{DEPLOYMENTS}/web/scale", scale | {"spec": {"replicas": 9}})[0] == 409
    assert server.request("PATCH", f"{DEPLOYMENTS}/web/scale", {"spec": {"replicas": -4}}, content_type=MERGE)[0] == 422


def test_events_are_one_storage_under_two_groups(server: Any) -> None:
    body = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "e"},
        "regarding": {"kind": "Pod", "name": "a", "namespace": "default"},
        "note": "hello",
        "reason": "Said",
        "type": "Normal",
        "reportingController": "me",
    }
    server.create("/apis/events.k8s.io/v1/namespaces/default/events", body)
    core = server.get("/api/v1/namespaces/default/events", fieldSelector="involvedObject.name=a")["items"][0]
    assert (core["apiVersion"], core["message"], core["reportingComponent"]) == ("v1", "hello", "me")
    new = server.get("/apis/events.k8s.io/v1/namespaces/default/events/e")
    assert (new["apiVersion"], new["note"]) == ("events.k8s.io/v1", "hello")


def test_a_secrets_strings_become_data(server: Any) -> None:
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "b"}}
    made = server.create("/api/v1/namespaces/default/secrets", body)
    assert (made["data"], made["type"]) == ({"a": "Yg=="}, "Opaque")
