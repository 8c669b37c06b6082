"""Role-based access control: which rules a user has, and whether they allow what is asked.

Source: kubernetes `plugin/pkg/auth/authorizer/rbac/rbac.go`, `pkg/registry/rbac/validation/rule.go`,
`pkg/apis/rbac/v1/evaluation_helpers.go`. A role without its binding grants nothing; a binding to a role that
does not exist grants nothing. That a user may only grant what they hold (escalation) is not checked here.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from podwire.proto.kube.json_objects import items, section
from podwire.proto.subjects import ObjectKey
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.store import Store

GROUP: Final = "rbac.authorization.k8s.io"
_SERVICE_ACCOUNT: Final = "system:serviceaccount:"


class Subject(NamedTuple):
    """A user and its groups."""

    user: str
    groups: tuple[str, ...]


class Question(NamedTuple):
    """What is asked: a verb on a resource, or on a path when `path` is set."""

    verb: str
    group: str = ""
    resource: str = ""
    name: str = ""
    path: str = ""


class Grant(NamedTuple):
    """One rule and the binding that gives it."""

    rule: Json
    binding: str
    role: str

    @property
    def reason(self) -> str:
        """Why it is allowed, in upstream's words."""
        return f"RBAC: allowed by {self.binding}"


def grants(subject: Subject, namespace: str, store: Store) -> Iterator[Grant]:
    """The rules of a subject, cluster-wide first and then those of a namespace ("": only cluster-wide)."""
    for binding in store.objects((GROUP, "clusterrolebindings")):
        title = f'ClusterRoleBinding "{binding["metadata"]["name"]}"'
        yield from _of_binding(binding, subject, "", title, store)
    if not namespace:
        return
    for binding in store.objects((GROUP, "rolebindings"), namespace):
        title = f'RoleBinding "{binding["metadata"]["name"]}/{namespace}"'
        yield from _of_binding(binding, subject, namespace, title, store)


def _of_binding(binding: Json, subject: Subject, namespace: str, title: str, store: Store) -> Iterator[Grant]:
    applying = [entry for entry in items(binding, "subjects") if _applies(entry, subject, namespace)]
    if not applying:
        return
    reference = section(binding, "roleRef")
    kind, name = reference.get("kind", ""), reference.get("name", "")
    key = ObjectKey(GROUP, "roles", namespace, name) if kind == "Role" else ObjectKey(GROUP, "clusterroles", "", name)
    for rule in items(store.get(key) or {}, "rules"):
        yield Grant(rule, f'{title} of {kind} "{name}" to {_title(applying[0])}', name)


def _title(subject: Json) -> str:
    kind, name = subject.get("kind", ""), subject.get("name", "")
    return f'{kind} "{name}/{subject.get("namespace", "")}"' if kind == "ServiceAccount" else f'{kind} "{name}"'


def _applies(entry: Json, subject: Subject, namespace: str) -> bool:
    kind, name = entry.get("kind"), str(entry.get("name", ""))
    if kind == "User":
        return name == subject.user
    if kind == "Group":
        return name in subject.groups
    place = entry.get("namespace") or namespace
    return kind == "ServiceAccount" and subject.user == f"{_SERVICE_ACCOUNT}{place}:{name}"


def allows(rule: Json, question: Question) -> bool:
    """Whether one rule allows what is asked."""
    if not _has(items(rule, "verbs"), question.verb):
        return False
    if question.path:
        return any(_path_matches(pattern, question.path) for pattern in items(rule, "nonResourceURLs"))
    names = items(rule, "resourceNames")
    return (
        _has(items(rule, "apiGroups"), question.group)
        and _resource_matches(items(rule, "resources"), question.resource)
        and (not names or (question.name != "" and question.name in names))
    )


def decide(subject: Subject, namespace: str, question: Question, store: Store) -> Grant | None:
    """The first grant that allows what is asked."""
    return next((grant for grant in grants(subject, namespace, store) if allows(grant.rule, question)), None)


def _has(allowed: list[str], wanted: str) -> bool:
    return "*" in allowed or wanted in allowed


def _resource_matches(allowed: list[str], wanted: str) -> bool:
    part = wanted.partition("/")[2]
    return _has(allowed, wanted) or bool(part and f"*/{part}" in allowed)


def _path_matches(pattern: str, path: str) -> bool:
    return pattern in ("*", path) or (pattern.endswith("*") and path.startswith(pattern[:-1]))
