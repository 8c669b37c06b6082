"""Defaults of Namespaces, Nodes, Secrets, RBAC objects, Events and PriorityClasses."""

import base64

from podwire.proto.kube.json_objects import items, section
from podwire.services.apiserver.core.json_types import Json


def nothing(value: Json) -> None:
    """A kind without defaults."""


def namespace(value: Json) -> None:
    """The finalizer, the phase and the name label."""
    meta = value["metadata"]
    spec = value.setdefault("spec", {})
    status = value.setdefault("status", {})
    status.setdefault("phase", "Active")
    if meta.get("name"):
        meta.setdefault("labels", {})["kubernetes.io/metadata.name"] = meta["name"]
    if not meta.get("uid"):
        spec.setdefault("finalizers", ["kubernetes"])


def node(value: Json) -> None:
    """A status whose daemon endpoint is named; podCIDRs follow podCIDR."""
    spec = value.setdefault("spec", {})
    if spec.get("podCIDR") and not spec.get("podCIDRs"):
        spec["podCIDRs"] = [spec["podCIDR"]]
    status = value.setdefault("status", {})
    status.setdefault("daemonEndpoints", {}).setdefault("kubeletEndpoint", {"Port": 0})


def secret(value: Json) -> None:
    """Type Opaque; stringData is written into data."""
    value.setdefault("type", "Opaque")
    strings = value.pop("stringData", None)
    if isinstance(strings, dict):
        data = value.setdefault("data", {})
        data.update({key: base64.b64encode(text.encode()).decode() for key, text in strings.items()})


def role_binding(value: Json) -> None:
    """API groups of the role and the subjects."""
    group = "rbac.authorization.k8s.io"
    section(value, "roleRef").setdefault("apiGroup", group)
    for subject in items(value, "subjects"):
        if subject.get("kind") in ("User", "Group"):
            subject.setdefault("apiGroup", group)


def event(value: Json) -> None:
    """A source, if an empty one."""
    value.setdefault("source", {})


def priority_class(value: Json) -> None:
    """Preempts what is lower."""
    value.setdefault("preemptionPolicy", "PreemptLowerPriority")
