"""Server-side apply as a client sees it (KEP-555; apiserver `endpoints/handlers/patch.go`)."""

import json
from typing import Any, Final

import pytest

from podwire.services.apiserver.core.authorization import Requester

APPLY: Final = "application/apply-patch+yaml"
MERGE: Final = "application/merge-patch+json"
DEPLOYMENTS: Final = "/apis/apps/v1/namespaces/default/deployments"
MAPS: Final = "/api/v1/namespaces/default/configmaps"
PODS: Final = "/api/v1/namespaces/default/pods"
SERVICES: Final = "/api/v1/namespaces/default/services"
WEB: Final = f"{DEPLOYMENTS}/web"
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"


def config_map(**data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data}


def deployment(**spec: Any) -> dict[str, Any]:
    container = {"name": "web", "image": "nginx:1.27", "ports": [{"containerPort": 80}]}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


def scale(replicas: int) -> dict[str, Any]:
    return {"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": {"replicas": replicas}}


def apply(server: Any, path: str, body: Any, manager: str = "one", **more: Any) -> tuple[int, Any]:
    found: tuple[int, Any] = server.request("PATCH", path, body, content_type=APPLY, fieldManager=manager, **more)
    return found


def applied(server: Any, path: str, body: Any, manager: str = "one", **more: Any) -> Any:
    code, answer = apply(server, path, body, manager, **more)
    assert code in (200, 201), answer
    return answer


def patched(server: Any, path: str, body: Any, **more: Any) -> Any:
    code, answer = server.request("PATCH", path, body, content_type=MERGE, **more)
    assert code == 200, answer
    return answer


def owners(value: Any) -> dict[str, Any]:
    """The fields of each entry, by its name and what it wrote through."""
    return {
        "/".join(part for part in (entry["manager"], entry["operation"], entry.get("subresource", "")) if part): entry[
            "fieldsV1"
        ]
        for entry in value["metadata"].get("managedFields", [])
    }


def test_what_is_not_there_is_created_with_its_owner(server: Any) -> None:
    code, made = apply(server, WEB, deployment(replicas=2))
    assert code == 201
    assert made["spec"]["strategy"]["type"] == "RollingUpdate"
    [entry] = made["metadata"]["managedFields"]
    assert {name: entry[name] for name in entry if name != "fieldsV1"} == {
        "manager": "one",
        "operation": "Apply",
        "apiVersion": "apps/v1",
        "time": "2023-11-14T22:13:20Z",
        "fieldsType": "FieldsV1",
    }
    container = {
        ".": {},
        "f:image": {},
        "f:name": {},
        "f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}},
    }
    assert entry["fieldsV1"]["f:spec"] == {
        "f:replicas": {},
        "f:selector": {},
        "f:template": {
            "f:metadata": {"f:labels": {"f:app": {}}},
            "f:spec": {"f:containers": {'k:{"name":"web"}': container}},
        },
    }


def test_what_is_no_longer_applied_goes_and_defaults_come_back(server: Any) -> None:
    applied(server, WEB, deployment(replicas=4, paused=True))
    left = applied(server, WEB, deployment())
    assert left["spec"]["replicas"] == 1
    assert "paused" not in left["spec"]


def test_applying_the_same_again_writes_nothing(server: Any) -> None:
    made = applied(server, WEB, deployment(replicas=2))
    revision = server.store.revision
    server.now += 3_600_000_000_000
    assert applied(server, WEB, deployment(replicas=2)) == made
    assert server.store.revision == revision


def test_a_second_applier_conflicts_until_it_forces(server: Any) -> None:
    applied(server, WEB, deployment(replicas=2))
    code, status = apply(server, WEB, deployment(replicas=3), "two")
    assert code == 409
    assert status["reason"] == "Conflict"
    assert status["message"] == 'Apply failed with 1 conflict: conflict with "one": .spec.replicas'
    cause = {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".spec.replicas"}
    assert status["details"] == {"causes": [cause]}
    forced = applied(server, WEB, deployment(replicas=3), "two", force="true")
    assert forced["spec"]["replicas"] == 3
    assert "f:replicas" not in owners(forced)["one/Apply"]["f:spec"]
    assert "f:replicas" in owners(forced)["two/Apply"]["f:spec"]


def test_several_conflicts_are_listed_by_manager(server: Any) -> None:
    applied(server, f"{MAPS}/a", config_map(x="1", y="1"))
    patched(server, f"{MAPS}/a", {"data": {"z": "1"}}, fieldManager="edit")
    code, status = apply(server, f"{MAPS}/a", config_map(x="2", y="2", z="2"), "two")
    assert code == 409
    assert status["message"] == (
        'Apply failed with 3 conflicts: conflicts with "edit" using v1:\n- .data.z\n'
        'conflicts with "one":\n- .data.x\n- .data.y'
    )


def test_equal_values_belong_to_both(server: Any) -> None:
    applied(server, f"{MAPS}/a", config_map(x="1"))
    applied(server, f"{MAPS}/a", config_map(x="1"), "two")
    assert applied(server, f"{MAPS}/a", config_map())["data"] == {"x": "1"}
    assert "data" not in applied(server, f"{MAPS}/a", config_map(), "two")


def test_keyed_lists_merge_by_their_defaulted_keys(server: Any) -> None:
    ports = [{"name": "http", "port": 80}]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": ports}}
    applied(server, f"{SERVICES}/a", service)
    other = service | {"spec": {"ports": [{"name": "dns", "port": 80, "protocol": "UDP"}]}}
    both = applied(server, f"{SERVICES}/a", other, "two")
    assert [(port["port"], port["protocol"], port["name"]) for port in both["spec"]["ports"]] == [
        (80, "TCP", "http"),
        (80, "UDP", "dns"),
    ]
    again = service | {"spec": {"ports": [{"name": "web", "port": 80, "protocol": "TCP"}, *both["spec"]["ports"][1:]]}}
    assert applied(server, f"{SERVICES}/a", again)["spec"]["ports"][0]["name"] == "web"


def test_nobody_is_kept_of_what_was_never_applied(server: Any) -> None:
    made = server.create(MAPS, config_map(x="1"))
    assert "managedFields" not in made["metadata"]
    assert "managedFields" not in patched(server, f"{MAPS}/a", {"data": {"y": "2"}})["metadata"]


def test_the_first_apply_leaves_the_rest_to_what_was_before(server: Any) -> None:
    server.create(MAPS, config_map(x="1", y="1"))
    code, status = apply(server, f"{MAPS}/a", config_map(x="2"))
    assert code == 409
    assert status["message"] == 'Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.x'
    both = applied(server, f"{MAPS}/a", config_map(x="1"))
    assert owners(both)["before-first-apply/Update"] == {"f:data": {".": {}, "f:x": {}, "f:y": {}}}
    assert owners(both)["one/Apply"] == {"f:data": {"f:x": {}}}


WRITERS = [
    ({"fieldManager": "edit", "agent": "kubectl/v1.33.0 (linux/amd64)"}, "edit"),
    ({"agent": "kubectl/v1.33.0 (linux/amd64)"}, "kubectl"),
    ({"agent": "wg\x07et"}, "wget"),
    ({"agent": "x" * 200}, "x" * 128),
    ({}, "admin"),
]


@pytest.mark.parametrize(("how", "name"), WRITERS)
def test_whose_an_update_is(server: Any, how: Any, name: str) -> None:
    applied(server, f"{MAPS}/a", config_map(x="1"))
    changed = patched(server, f"{MAPS}/a", {"data": {"x": "2"}}, **how)
    assert owners(changed) == {f"{name}/Update": {"f:data": {"f:x": {}}}}


def test_put_is_followed_too(server: Any) -> None:
    applied(server, f"{MAPS}/a", config_map(x="1", y="1"))
    code, put = server.request("PUT", f"{MAPS}/a", config_map(x="2", z="1"), fieldManager="put")
    assert code == 200
    assert owners(put) == {"put/Update": {"f:data": {"f:x": {}, "f:z": {}}}}


def test_status_and_scale_have_their_own_owners(server: Any) -> None:
    applied(server, WEB, deployment(replicas=2) | {"status": {"replicas": 9}})
    conditions = [{"type": "Available", "status": "True"}]
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "spec": {"replicas": 9},
        "status": {"conditions": conditions},
    }
    after = applied(server, f"{WEB}/status", body, "two")
    assert (after["spec"]["replicas"], after["status"]["conditions"][0]["type"]) == (2, "Available")
    assert "f:status" not in owners(after)["one/Apply"]
    condition = {".": {}, "f:status": {}, "f:type": {}}
    assert owners(after)["two/Apply/status"] == {"f:status": {"f:conditions": {'k:{"type":"Available"}': condition}}}
    patched(server, f"{WEB}/status", {"status": {"replicas": 2}}, fieldManager="controller")
    patched(server, f"{WEB}/scale", {"spec": {"replicas": 5}}, fieldManager="kubectl")
    found = server.get(WEB)
    assert owners(found)["controller/Update/status"] == {"f:status": {"f:replicas": {}}}
    assert owners(found)["kubectl/Update/scale"] == {"f:spec": {"f:replicas": {}}}
    code, status = apply(server, WEB, deployment(replicas=2))
    assert code == 409
    assert '"kubectl" with subresource "scale" using apps/v1: .spec.replicas' in status["message"]


def test_a_scale_is_applied(server: Any) -> None:
    applied(server, WEB, deployment())
    code, status = apply(server, f"{WEB}/scale", scale(3) | {"metadata": {"resourceVersion": "1"}}, "two")
    assert (code, status["reason"]) == (409, "Conflict")
    assert applied(server, f"{WEB}/scale", scale(3), "two")["spec"] == {"replicas": 3}
    assert owners(server.get(WEB))["two/Apply/scale"] == {"f:spec": {"f:replicas": {}}}
    code, status = apply(server, f"{WEB}/scale", scale(4), "three")
    assert code == 409
    assert 'conflict with "two" with subresource "scale": .spec.replicas' in status["message"]
    assert apply(server, f"{WEB}/scale", scale(-1), "two")[0] == 422


def test_only_what_is_there_has_a_status_or_a_scale(server: Any) -> None:
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "status": {}}
    assert apply(server, f"{WEB}/status", body)[0] == 404
    assert apply(server, f"{WEB}/scale", scale(1))[0] == 404


RESETS: Final[list[list[Any]]] = [[], [{}]]


@pytest.mark.parametrize("given", RESETS)
def test_an_empty_list_ends_the_tracking(server: Any, given: list[Any]) -> None:
    applied(server, f"{MAPS}/a", config_map(x="1"))
    assert "managedFields" not in patched(server, f"{MAPS}/a", {"metadata": {"managedFields": given}})["metadata"]
    assert "managedFields" not in patched(server, f"{MAPS}/a", {"data": {"x": "2"}})["metadata"]


def test_a_put_without_managers_keeps_them(server: Any) -> None:
    made = applied(server, f"{MAPS}/a", config_map(x="1"))
    server.request("PUT", f"{MAPS}/a", config_map(x="1") | {"metadata": {"name": "a", "labels": {"l": "1"}}})
    assert owners(server.get(f"{MAPS}/a"))["one/Apply"] == owners(made)["one/Apply"]


def test_managers_are_replaced_by_those_of_an_update_but_not_by_bad_ones_or_through_status(server: Any) -> None:
    made = applied(server, WEB, deployment(replicas=2))
    [entry] = made["metadata"]["managedFields"]
    renamed = [entry | {"manager": "renamed"}]
    bad = [entry | {"operation": "Steal"}]
    for entries in (bad, [entry | {"fieldsV1": {"x": {}}}], [entry | {"fieldsType": "V9"}]):
        kept = patched(server, WEB, {"metadata": {"managedFields": entries}})
        assert kept["metadata"]["managedFields"] == [entry]
    assert patched(server, f"{WEB}/status", {"metadata": {"managedFields": renamed}})["metadata"] == made["metadata"]
    assert owners(patched(server, WEB, {"metadata": {"managedFields": renamed}})).keys() == {"renamed/Apply"}


def test_dry_run_answers_and_stores_nothing(server: Any) -> None:
    revision = server.store.revision
    code, made = apply(server, WEB, deployment(replicas=2), dryRun="All")
    assert (code, made["spec"]["replicas"], server.store.revision) == (201, 2, revision)
    applied(server, WEB, deployment(replicas=2))
    revision = server.store.revision
    assert applied(server, WEB, deployment(replicas=3), dryRun="All")["spec"]["replicas"] == 3
    assert apply(server, WEB, deployment(replicas=3), "two", dryRun="All")[0] == 409
    assert server.store.revision == revision


def test_a_resource_version_is_a_condition(server: Any) -> None:
    made = applied(server, f"{MAPS}/a", config_map(x="1"))
    body = config_map(x="2")
    body["metadata"]["resourceVersion"] = made["metadata"]["resourceVersion"]
    assert applied(server, f"{MAPS}/a", body)["data"] == {"x": "2"}
    code, status = apply(server, f"{MAPS}/a", body | {"data": {"x": "3"}})
    assert (code, status["reason"]) == (409, "Conflict")
    assert "the object has been modified" in status["message"]


REFUSED = [
    (
        {},
        deployment(),
        422,
        'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply',
    ),
    ({"fieldManager": "x" * 129}, deployment(), 422, "fieldManager: Too long: may not be more than 128 bytes"),
    ({"fieldManager": "a\nb"}, deployment(), 422, "should only contain printable characters"),
    ({"fieldManager": "a"}, config_map(), 400, "invalid object type: /v1, Kind=ConfigMap"),
    ({"fieldManager": "a"}, {"metadata": {"name": "web"}}, 400, "invalid object type: "),
    ({"fieldManager": "a"}, [], 400, "the configuration is not an object"),
    ({"fieldManager": "a"}, b"a: [", 400, "error decoding YAML"),
    ({"fieldManager": "a"}, b"{a: [", 400, "error decoding YAML"),
    ({"fieldManager": "a"}, b"", 400, "the configuration is not an object"),
    ({"fieldManager": "a"}, b"[" * 5000, 400, "exceeded max depth"),
    (
        {"fieldManager": "a"},
        deployment() | {"metadata": {"name": "web", "managedFields": []}},
        400,
        "metadata.managedFields must be nil",
    ),
    (
        {"fieldManager": "a"},
        deployment(replica=1),
        500,
        "failed to create typed patch object (/web; apps/v1, Kind=Deployment): .spec.replica: "
        "field not declared in schema",
    ),
    (
        {"fieldManager": "a"},
        deployment(replicas="1"),
        500,
        ".spec.replicas: expected numeric (int or float), got string",
    ),
    ({"fieldManager": "a"}, deployment() | {"metadata": 1}, 500, ".metadata: expected map, got &{1}"),
    ({"fieldManager": "a"}, deployment() | {"metadata": {"name": "b"}}, 400, "does not match the name on the URL"),
    ({"fieldManager": "a"}, deployment() | {"metadata": {"namespace": "b"}}, 400, "does not match the namespace"),
    ({"fieldManager": "a"}, deployment(replicas=-1), 422, "spec.replicas: Invalid value: -1"),
    ({"fieldManager": "a"}, deployment() | {"metadata": {"uid": "b"}}, 409, "uid mismatch: the provided object"),
    ({"fieldManager": "a", "dryRun": "x"}, deployment(), 400, "supported values"),
]


@pytest.mark.parametrize(("query", "body", "code", "text"), REFUSED)
def test_what_is_refused(server: Any, query: Any, body: Any, code: int, text: str) -> None:
    given, status = server.request("PATCH", WEB, body, content_type=APPLY, **query)
    assert (given, text in status["message"]) == (code, True), status
    assert server.request("GET", WEB)[0] == 404


def test_force_is_for_apply_alone(server: Any) -> None:
    server.create(MAPS, config_map())
    code, status = server.request("PATCH", f"{MAPS}/a", {}, content_type=MERGE, force="true")
    assert (code, "force: Forbidden: may not be specified for non-apply patch" in status["message"]) == (422, True)


VALIDATIONS = [("Strict", 400, False), ("Warn", 201, True), ("Ignore", 201, False)]


@pytest.mark.parametrize(("validation", "code", "warns"), VALIDATIONS)
@pytest.mark.parametrize("body", [b"data: {x: a}\ndata: {y: b}\n", b'{"data": {"x": "a"}, "data": {"y": "b"}}'])
def test_fields_named_twice(server: Any, body: bytes, validation: str, code: int, warns: bool) -> None:
    head = (
        b'"apiVersion": "v1", "kind": "ConfigMap", ' if body.startswith(b"{") else b"apiVersion: v1\nkind: ConfigMap\n"
    )
    whole = body[:1] + head + body[1:] if body.startswith(b"{") else head + body
    decision = server.decide("PATCH", f"{MAPS}/a", whole, content_type=APPLY, fieldManager="a") if warns else None
    given, status = apply(server, f"{MAPS}/a", whole, fieldValidation=validation)
    assert given == code, status
    if decision is not None:
        assert "data" in decision.warnings[0]


def test_who_may_not_create_may_not_apply_what_is_not_there(server: Any) -> None:
    role = {"rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["patch"]}], "metadata": {"name": "p"}}
    server.create("/apis/rbac.authorization.k8s.io/v1/clusterroles", role)
    subjects = [{"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"}]
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "p"}
    binding = {"metadata": {"name": "p"}, "subjects": subjects, "roleRef": reference}
    server.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)
    jane = Requester("jane", ("system:authenticated",))
    code, status = apply(server, f"{MAPS}/a", config_map(), who=jane)
    assert (code, "cannot create resource" in status["message"]) == (403, True)
    server.create(MAPS, config_map(x="1"))
    assert apply(server, f"{MAPS}/a", config_map(y="1"), who=jane)[0] == 200


def test_kubectl_takes_over_what_client_side_apply_wrote(server: Any) -> None:
    body = config_map(x="1", y="1")
    marked = body | {"metadata": {"name": "a", "annotations": {LAST_APPLIED: json.dumps(body)}}}
    server.create(MAPS, marked)
    patched(server, f"{MAPS}/a", {"data": {"y": "2"}})
    assert apply(server, f"{MAPS}/a", config_map(x="5"), "flux")[0] == 409
    taken = applied(server, f"{MAPS}/a", config_map(x="5"), "kubectl")
    assert taken["data"] == {"x": "5", "y": "2"}
    assert json.loads(taken["metadata"]["annotations"][LAST_APPLIED]) == config_map(x="5")
    code, status = apply(server, f"{MAPS}/a", config_map(x="6", y="6"), "kubectl")
    assert (code, status["message"].partition(": ")[2]) == (409, 'conflict with "before-first-apply" using v1: .data.y')


BROKEN = ["", "[]", "{", '{"apiVersion":"v9"}', '{"apiVersion":"v1","data":[]}', "[" * 5000]


@pytest.mark.parametrize("text", BROKEN)
def test_an_annotation_that_is_no_configuration_takes_nothing_over(server: Any, text: str) -> None:
    server.create(MAPS, config_map(x="1") | {"metadata": {"name": "a", "annotations": {LAST_APPLIED: text}}})
    assert apply(server, f"{MAPS}/a", config_map(x="5"), "kubectl")[0] == 409


def test_one_object_in_two_versions(server: Any) -> None:
    """A manager's fields are of the version in which it wrote them; the other version's conflicts are found there."""
    group = "/apis/autoscaling"
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    old = {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "a"}}
    old["spec"] = {"scaleTargetRef": target, "maxReplicas": 5, "targetCPUUtilizationPercentage": 50}
    path = "namespaces/default/horizontalpodautoscalers/a"
    applied(server, f"{group}/v1/{path}", old)
    new = old | {"apiVersion": "autoscaling/v2", "spec": {"scaleTargetRef": target, "maxReplicas": 6}}
    code, status = apply(server, f"{group}/v2/{path}", new, "two")
    assert (code, status["message"].partition(": ")[2]) == (409, 'conflict with "one": .spec.maxReplicas')
    both = applied(server, f"{group}/v2/{path}", new, "two", force="true")
    assert {entry["manager"]: entry["apiVersion"] for entry in both["metadata"]["managedFields"]} == {
        "one": "autoscaling/v1",
        "two": "autoscaling/v2",
    }
    assert both["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 50


def test_a_version_that_is_gone_is_forgotten(server: Any) -> None:
    made = applied(server, f"{MAPS}/a", config_map(x="1"))
    [entry] = made["metadata"]["managedFields"]
    both = [entry, entry | {"manager": "gone", "operation": "Update", "apiVersion": "v1beta9"}]
    patched(server, f"{MAPS}/a", {"metadata": {"managedFields": both}})
    assert owners(applied(server, f"{MAPS}/a", config_map(x="2"))).keys() == {"one/Apply"}


def test_an_update_that_breaks_its_keys_is_refused_by_its_rules(server: Any) -> None:
    applied(server, WEB, deployment())
    containers = [{"name": "web", "image": "nginx", "env": [{"value": "1"}]}]
    code, status = server.request(
        "PATCH", WEB, {"spec": {"template": {"spec": {"containers": containers}}}}, content_type=MERGE
    )
    assert (code, "env[0].name" in status["message"]) == (422, True)


def test_ephemeral_containers_are_applied_at_their_subresource(server: Any) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}
    server.create(PODS, pod | {"spec": {"containers": [{"name": "c", "image": "busybox"}]}})
    debug = pod | {"spec": {"ephemeralContainers": [{"name": "debug", "image": "busybox"}]}}
    made = applied(server, f"{PODS}/a/ephemeralcontainers", debug)
    assert [container["name"] for container in made["spec"]["ephemeralContainers"]] == ["debug"]
    assert "one/Apply/ephemeralcontainers" in owners(made)


def test_the_answer_and_the_stored_object_are_one(server: Any) -> None:
    made = applied(server, WEB, deployment(replicas=2))
    assert server.get(WEB) == made
    table = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    assert server.get(WEB, accept=table)["metadata"]["managedFields"] == made["metadata"]["managedFields"]


def test_a_conflict_over_a_scale_names_its_version(server: Any) -> None:
    applied(server, WEB, deployment())
    patched(server, WEB, {"spec": {"replicas": 4}}, fieldManager="two")
    code, status = apply(server, f"{WEB}/scale", scale(5), "three")
    assert code == 409
    says = 'Apply failed with 1 conflict: conflict with "two" using autoscaling/v1: .spec.replicas'
    assert status["message"] == says


def test_who_creates_with_managers_has_what_is_there(server: Any) -> None:
    entry = {"manager": "one", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1"}
    fields = {"f:data": {"f:a": {}, "f:gone": {}}}
    body = config_map(a="1")
    body["metadata"]["managedFields"] = [entry | {"fieldsV1": fields}]
    code, made = server.request("POST", MAPS, body, fieldManager="maker")
    assert code == 201
    assert owners(made) == {
        "one/Apply": {"f:data": {"f:gone": {}}},
        "maker/Update": {"f:data": {".": {}, "f:a": {}}},
    }


@pytest.mark.parametrize("given", [[], [{}], [{"manager": "a", "operation": "Nothing"}]])
def test_a_creation_that_names_no_managers_is_not_tracked(server: Any, given: Any) -> None:
    body = config_map(a="1")
    body["metadata"]["managedFields"] = given
    code, made = server.request("POST", MAPS, body)
    assert code == 201 and "managedFields" not in made["metadata"]
