"""Rules of Namespaces, Nodes, ConfigMaps, Secrets, Events, Leases, PriorityClasses and RBAC objects."""

from typing import Final

from podwire.proto.kube.json_objects import items, section
from podwire.services.apiserver.core import names
from podwire.services.apiserver.core.errors import FieldErrors
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.validation.metadata import one_of

_DATA_LIMIT: Final = 1024 * 1024
HIGHEST_USER_PRIORITY: Final = 1_000_000_000
SYSTEM_PRIORITIES: Final = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


def nothing(value: Json, old: Json | None, errors: FieldErrors) -> None:
    """A kind without rules of its own."""


def node(value: Json, old: Json | None, errors: FieldErrors) -> None:
    """A Node: its podCIDR is set once; its taints are well formed."""
    spec = section(value, "spec")
    if old is not None:
        before = section(old, "spec").get("podCIDR")
        if before and spec.get("podCIDR") != before:
            errors.forbidden("spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid')
    seen: list[tuple[object, object]] = []
    for index, taint in enumerate(items(spec, "taints")):
        path, identity = f"spec.taints[{index}]", (taint.get("key"), taint.get("effect"))
        for problem in names.label_key(taint.get("key", "")):
            errors.invalid(f"{path}.key", taint.get("key", ""), problem)
        if not taint.get("effect"):
            errors.required(f"{path}.effect")
        one_of(taint, "effect", ["NoSchedule", "PreferNoSchedule", "NoExecute"], path, errors)
        if identity in seen:
            errors.duplicate(path, taint)
        seen.append(identity)


def config_map(value: Json, old: Json | None, errors: FieldErrors) -> None:
    """A ConfigMap: keys, no key twice, size, immutability."""
    data, binary = section(value, "data"), section(value, "binaryData")
    for kind, entries in (("data", data), ("binaryData", binary)):
        for key in entries:
            for problem in names.config_key(key):
                errors.invalid(f"{kind}[{key}]", key, problem)
    for key in data:
        if key in binary:
            errors.invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
    if sum(len(text.encode()) for text in data.values()) > _DATA_LIMIT:
        errors.too_long("", _DATA_LIMIT)
    _immutable(value, old, ("data", "binaryData"), errors)


def secret(value: Json, old: Json | None, errors: FieldErrors) -> None:
    """A Secret: keys, immutability of its type."""
    for key in section(value, "data"):
        for problem in names.config_key(key):
            errors.invalid(f"data[{key}]", key, problem)
    if old is not None and old.get("type") != value.get("type"):
        errors.invalid("type", value.get("type", ""), "field is immutable")
    _immutable(value, old, ("data",), errors)


def _immutable(value: Json, old: Json | None, fields: tuple[str, ...], errors: FieldErrors) -> None:
    if old is None or not old.get("immutable"):
        return
    if not value.get("immutable"):
        errors.forbidden("immutable", "field is immutable when `immutable` is set")
    for name in fields:
        if old.get(name) != value.get(name):
            errors.forbidden(name, "field is immutable when `immutable` is set")


def event(value: Json, old: Json | None, errors: FieldErrors) -> None:
    """An Event is in the namespace of what it is about (cluster-scoped objects: default)."""
    namespace = section(value, "metadata").get("namespace", "")
    given = section(value, "involvedObject").get("namespace", "")
    if given != namespace and not (not given and namespace in ("default", "kube-system")):
        errors.invalid("involvedObject.namespace", given, "does not match event.namespace")


def lease(value: Json, old: Json | None, errors: FieldErrors) -> None:
    """A Lease: positive duration."""
    duration = section(value, "spec").get("leaseDurationSeconds")
    if duration is not None and duration <= 0:
        errors.invalid("spec.leaseDurationSeconds", duration, "must be greater than 0")


def role_binding(value: Json, old: Json | None, errors: FieldErrors) -> None:
    """A RoleBinding or ClusterRoleBinding: its role never changes."""
    reference = section(value, "roleRef")
    if not reference.get("name"):
        errors.required("roleRef.name")
    one_of(reference, "kind", ["Role", "ClusterRole"], "roleRef", errors)
    if old is not None and section(old, "roleRef") != reference:
        errors.invalid("roleRef", reference, "cannot change roleRef")


def ip_address(value: Json, old: Json | None, errors: FieldErrors) -> None:
    """An IPAddress: refers to a parent, which never changes."""
    parent = section(value, "spec").get("parentRef")
    if parent is None:
        errors.required("spec.parentRef")
    if old is not None and section(old, "spec").get("parentRef") != parent:
        errors.invalid("spec.parentRef", parent, "field is immutable")


def priority_class(value: Json, old: Json | None, errors: FieldErrors) -> None:
    """A PriorityClass (`pkg/apis/scheduling/validation/validation.go`): the `system-` names are the system's."""
    name, number = str(section(value, "metadata").get("name", "")), value.get("value", 0)
    if name.startswith("system-") and name not in SYSTEM_PRIORITIES:
        text = "priority class names with 'system-' prefix are reserved for system use only"
        errors.forbidden("metadata.name", f"{text}. error: {name} is not a known system priority class")
    elif name in SYSTEM_PRIORITIES and number != SYSTEM_PRIORITIES[name]:
        errors.forbidden("metadata.name", f"value of {name} PriorityClass must be {SYSTEM_PRIORITIES[name]}")
    elif name not in SYSTEM_PRIORITIES and number > HIGHEST_USER_PRIORITY:
        errors.forbidden("value", f"maximum allowed value of a user defined priority is {HIGHEST_USER_PRIORITY}")
    one_of(value, "preemptionPolicy", ["PreemptLowerPriority", "Never"], "", errors)
    if old is not None and old.get("value", 0) != number:
        errors.forbidden("value", "may not be changed in an update.")
