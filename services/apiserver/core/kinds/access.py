"""Who may do what: RBAC objects, and the questions that are answered and not stored."""

from typing import Final

from podwire.services.apiserver.core import names
from podwire.services.apiserver.core.defaults import cluster as cluster_defaults
from podwire.services.apiserver.core.kinds.kind import Kind
from podwire.services.apiserver.core.printers import cluster as cluster_printers
from podwire.services.apiserver.core.printers.table import Printer
from podwire.services.apiserver.core.validation import cluster as cluster_rules

_AUTHORIZATION: Final = "authorization.k8s.io"
_AUTHENTICATION: Final = "authentication.k8s.io"


def _rbac(resource: str, kind: str, printer: Printer, **more: object) -> Kind:
    group = "rbac.authorization.k8s.io"
    definition = f"io.k8s.api.rbac.v1.{kind}"
    return Kind(
        group,
        "v1",
        resource,
        kind,
        definition,
        printer,
        name_rule=names.path_segment,
        **more,  # type: ignore[arg-type]  # rows below
    )


def _question(group: str, resource: str, kind: str, namespaced: bool = False) -> Kind:
    definition = f"io.k8s.api.{group.partition('.')[0]}.v1.{kind}"
    printer = cluster_printers.DEFAULT
    return Kind(group, "v1", resource, kind, definition, printer, namespaced=namespaced, answered=True)


KINDS: Final[tuple[Kind, ...]] = (
    _rbac(
        "clusterrolebindings",
        "ClusterRoleBinding",
        cluster_printers.BINDING,
        namespaced=False,
        defaults=cluster_defaults.role_binding,
        validate=cluster_rules.role_binding,
    ),
    _rbac("clusterroles", "ClusterRole", cluster_printers.ROLE, namespaced=False),
    _rbac(
        "rolebindings",
        "RoleBinding",
        cluster_printers.BINDING,
        defaults=cluster_defaults.role_binding,
        validate=cluster_rules.role_binding,
    ),
    _rbac("roles", "Role", cluster_printers.ROLE),
    _question(_AUTHENTICATION, "selfsubjectreviews", "SelfSubjectReview"),
    _question(_AUTHENTICATION, "tokenreviews", "TokenReview"),
    _question(_AUTHORIZATION, "localsubjectaccessreviews", "LocalSubjectAccessReview", namespaced=True),
    _question(_AUTHORIZATION, "selfsubjectaccessreviews", "SelfSubjectAccessReview"),
    _question(_AUTHORIZATION, "selfsubjectrulesreviews", "SelfSubjectRulesReview"),
    _question(_AUTHORIZATION, "subjectaccessreviews", "SubjectAccessReview"),
)
