"""RBAC decides for everybody who is no component; the questions about it are answered (`kubectl auth can-i`)."""

from typing import Any

import pytest

from podwire.services.apiserver.core import bootstrap_roles
from podwire.services.apiserver.core.authorization import Requester

RBAC = "/apis/rbac.authorization.k8s.io/v1"
ASK = "/apis/authorization.k8s.io/v1"
ROLE_REF = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}


@pytest.fixture
def granted(server: Any) -> Any:
    """`ann`, the group `dev` and the service account default/robot may read pods in `default`; boss may do all."""
    for role in bootstrap_roles.cluster_roles():
        server.create(f"{RBAC}/clusterroles", role)
    for binding in bootstrap_roles.cluster_role_bindings():
        server.create(f"{RBAC}/clusterrolebindings", binding)
    rules = [
        {"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["one"], "verbs": ["get"]},
    ]
    server.create(f"{RBAC}/namespaces/default/roles", named("Role", "reader") | {"rules": rules})
    subjects = [
        {"kind": "User", "name": "ann"},
        {"kind": "Group", "name": "dev"},
        {"kind": "ServiceAccount", "name": "robot", "namespace": "default"},
    ]
    binding = named("RoleBinding", "readers") | {"roleRef": ROLE_REF, "subjects": subjects}
    server.create(f"{RBAC}/namespaces/default/rolebindings", binding)
    everything = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    boss = {"roleRef": everything, "subjects": [{"kind": "User", "name": "boss"}]}
    server.create(f"{RBAC}/clusterrolebindings", named("ClusterRoleBinding", "boss") | boss)
    return server


def named(kind: str, name: str) -> dict[str, Any]:
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": name}}


ANN, DEV, BOSS = Requester("ann"), Requester("eve", ("dev",)), Requester("boss")
ROBOT = Requester("system:serviceaccount:default:robot", ("system:serviceaccounts",))
STRANGER = Requester("eve")
CASES = [
    (ANN, "list", "", "pods", "", "default", "", True),
    (ANN, "get", "", "pods", "log", "default", "a", True),
    (ANN, "get", "", "pods", "exec", "default", "a", False),
    (ANN, "delete", "", "pods", "", "default", "a", False),
    (ANN, "list", "", "pods", "", "kube-system", "", False),
    (ANN, "list", "", "pods", "", "", "", False),
    (ANN, "list", "apps", "pods", "", "default", "", False),
    (ANN, "get", "", "configmaps", "", "default", "one", True),
    (ANN, "get", "", "configmaps", "", "default", "two", False),
    (ANN, "list", "", "configmaps", "", "default", "", False),
    (DEV, "list", "", "pods", "", "default", "", True),
    (ROBOT, "list", "", "pods", "", "default", "", True),
    (STRANGER, "list", "", "pods", "", "default", "", False),
    (BOSS, "delete", "apps", "deployments", "", "kube-system", "x", True),
]


@pytest.mark.parametrize(("who", "verb", "group", "resource", "part", "namespace", "name", "allowed"), CASES)
def test_what_rbac_allows_is_what_can_i_says_and_what_happens(
    granted: Any,
    who: Requester,
    verb: str,
    group: str,
    resource: str,
    part: str,
    namespace: str,
    name: str,
    allowed: bool,
) -> None:
    asked = {
        "verb": verb,
        "group": group,
        "resource": resource,
        "subresource": part,
        "namespace": namespace,
        "name": name,
    }
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview"}
    spec = {"user": who.user, "groups": list(who.groups), "resourceAttributes": asked}
    status = granted.request("POST", f"{ASK}/subjectaccessreviews", body | {"spec": spec})[1]["status"]
    assert status["allowed"] == allowed
    assert ("reason" in status) == allowed
    if verb in ("get", "list") and not group:
        scope = f"/namespaces/{namespace}" if namespace else ""
        path = "/".join(filter(None, (f"/api/v1{scope}/{resource}", name, part)))
        assert (granted.request("GET", path, who=who)[0] != 403) == allowed


def test_why(granted: Any) -> None:
    spec = {"resourceAttributes": {"verb": "list", "resource": "pods", "namespace": "default"}}
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec}
    who = Requester("ann", ("system:authenticated",))
    code, answer = granted.request("POST", f"{ASK}/selfsubjectaccessreviews", body, who=who)
    reason = 'RBAC: allowed by RoleBinding "readers/default" of Role "reader" to User "ann"'
    assert (code, answer["status"]) == (201, {"allowed": True, "reason": reason})


def test_everything_that_a_user_may_do(granted: Any) -> None:
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": "default"}}
    who = Requester("ann", ("system:authenticated",))
    _, answer = granted.request("POST", f"{ASK}/selfsubjectrulesreviews", body, who=who)
    assert ["pods", "pods/log"] in [rule["resources"] for rule in answer["status"]["resourceRules"]]
    assert answer["status"]["nonResourceRules"][0]["verbs"] == ["get"]


def test_who_am_i(granted: Any) -> None:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    who = Requester("ann", ("system:authenticated",))
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    code, answer = granted.request("POST", path, body, who=who)
    assert (code, answer["status"]["userInfo"]) == (201, {"username": "ann", "groups": ["system:authenticated"]})
    who = Requester("joe", ("system:authenticated",), "u-1", (("scopes", ("a", "b")), ("team", ("x",))))
    told = granted.request("POST", path, body, who=who)[1]["status"]["userInfo"]
    assert (told["username"], told["uid"]) == ("joe", "u-1")
    assert told["extra"] == {"scopes": ["a", "b"], "team": ["x"]}


@pytest.mark.parametrize("spec", [{}, {"resourceAttributes": {}, "nonResourceAttributes": {}}])
def test_questions_that_ask_nothing(granted: Any, spec: dict[str, Any]) -> None:
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec}
    code, answer = granted.request("POST", f"{ASK}/selfsubjectaccessreviews", body)
    assert code == 422 and "exactly one of" in answer["message"]


def test_questions_are_never_stored(granted: Any) -> None:
    assert granted.request("GET", f"{ASK}/selfsubjectaccessreviews")[0] == 405
