"""The ClusterRoles and bindings that every cluster begins with.

Source: kubernetes `plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go` (the user-facing ones; podwire's own
components are authorized by the table in `authorization`).
"""

from typing import Final

from podwire.services.apiserver.core.json_types import Json

_LABELS: Final = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_READ: Final = ["get", "list", "watch"]
_WRITE: Final = ["create", "delete", "deletecollection", "patch", "update"]
_DISCOVERY: Final = ["/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz"]
_VERSION: Final = ["/version", "/version/"]
_VIEWED: Final[tuple[tuple[str, list[str]], ...]] = (
    (
        "",
        [
            "configmaps",
            "endpoints",
            "events",
            "limitranges",
            "namespaces",
            "namespaces/status",
            "persistentvolumeclaims",
            "persistentvolumeclaims/status",
            "pods",
            "pods/log",
            "pods/status",
            "resourcequotas",
            "resourcequotas/status",
            "serviceaccounts",
            "services",
            "services/status",
        ],
    ),
    ("apps", ["controllerrevisions", "daemonsets", "daemonsets/status", "deployments", "deployments/scale"]),
    ("apps", ["deployments/status", "replicasets", "replicasets/scale", "replicasets/status"]),
    ("apps", ["statefulsets", "statefulsets/scale", "statefulsets/status"]),
    ("autoscaling", ["horizontalpodautoscalers", "horizontalpodautoscalers/status"]),
    ("batch", ["cronjobs", "cronjobs/status", "jobs", "jobs/status"]),
    ("discovery.k8s.io", ["endpointslices"]),
    ("networking.k8s.io", ["ingresses", "ingresses/status", "networkpolicies"]),
    ("policy", ["poddisruptionbudgets", "poddisruptionbudgets/status"]),
)
_EDITED: Final[tuple[tuple[str, list[str]], ...]] = (
    ("", ["configmaps", "events", "persistentvolumeclaims", "pods", "pods/attach", "pods/exec", "pods/portforward"]),
    ("", ["secrets", "serviceaccounts", "services"]),
    ("apps", ["daemonsets", "deployments", "deployments/scale", "replicasets", "replicasets/scale"]),
    ("apps", ["statefulsets", "statefulsets/scale"]),
    ("autoscaling", ["horizontalpodautoscalers"]),
    ("batch", ["cronjobs", "jobs"]),
    ("discovery.k8s.io", ["endpointslices"]),
    ("networking.k8s.io", ["ingresses", "networkpolicies"]),
    ("policy", ["poddisruptionbudgets"]),
)


def _rule(group: str, resources: list[str], verbs: list[str]) -> Json:
    return {"apiGroups": [group], "resources": resources, "verbs": verbs}


def _role(name: str, rules: list[Json]) -> Json:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name, "labels": dict(_LABELS)},
        "rules": rules,
    }


def _binding(name: str, role: str, groups: list[str]) -> Json:
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name, "labels": dict(_LABELS)},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": group, "kind": "Group", "name": entry} for entry in groups],
    }


def _view() -> list[Json]:
    return [_rule(group, resources, _READ) for group, resources in _VIEWED]


def _edit() -> list[Json]:
    reads = [_rule("", ["pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "secrets"], _READ)]
    evict = [_rule("", ["pods/eviction"], ["create"])]
    return [*reads, *evict, *(_rule(group, resources, _WRITE) for group, resources in _EDITED), *_view()]


def _admin() -> list[Json]:
    access = _rule("authorization.k8s.io", ["localsubjectaccessreviews"], ["create"])
    roles = _rule("rbac.authorization.k8s.io", ["rolebindings", "roles"], [*_WRITE, *_READ])
    return [access, roles, _rule("", ["serviceaccounts/token"], ["create"]), *_edit()]


def _everything() -> list[Json]:
    return [
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
        {"nonResourceURLs": ["*"], "verbs": ["*"]},
    ]


def _basic_user() -> list[Json]:
    asked = ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]
    return [
        _rule("authorization.k8s.io", asked, ["create"]),
        _rule("authentication.k8s.io", ["selfsubjectreviews"], ["create"]),
    ]


def cluster_roles() -> list[Json]:
    """The ClusterRoles, by name."""
    return [
        _role("admin", _admin()),
        _role("cluster-admin", _everything()),
        _role("edit", _edit()),
        _role("system:basic-user", _basic_user()),
        _role("system:discovery", [{"nonResourceURLs": [*_DISCOVERY, *_VERSION], "verbs": ["get"]}]),
        _role("view", _view()),
    ]


def cluster_role_bindings() -> list[Json]:
    """The ClusterRoleBindings, by name."""
    return [
        _binding("cluster-admin", "cluster-admin", ["system:masters"]),
        _binding("system:basic-user", "system:basic-user", ["system:authenticated"]),
        _binding("system:discovery", "system:discovery", ["system:authenticated"]),
    ]
