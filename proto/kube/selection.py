"""Who is meant: label selectors, taints and tolerations, node affinity, over plain JSON objects.

Source: apimachinery `labels/selector.go`; kubernetes `component-helpers/scheduling/corev1`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from podwire.proto.kube.json_objects import items, section

type Json = dict[str, Any]

HARD_EFFECTS: Final = ("NoSchedule", "NoExecute")


def matches_map(wanted: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether labels have every wanted value."""
    return all(labels.get(key) == value for key, value in wanted.items())


def matches_selector(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """A metav1.LabelSelector; an empty one matches everything."""
    if not matches_map(section(selector, "matchLabels"), labels):
        return False
    return all(_matches_expression(term, labels) for term in items(selector, "matchExpressions"))


def _matches_expression(term: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, values, operator = labels.get(term.get("key", "")), items(term, "values"), term.get("operator")
    if operator == "In":
        return value is not None and value in values
    if operator == "NotIn":
        return value is None or value not in values
    if operator == "Exists":
        return value is not None
    if operator == "DoesNotExist":
        return value is None
    return operator in ("Gt", "Lt") and _compares(operator, value, values)


def _compares(operator: str, value: str | None, values: list[Any]) -> bool:
    try:
        left, right = int(value or ""), int(values[0])
    except (ValueError, IndexError, TypeError):
        return False
    return left > right if operator == "Gt" else left < right


def tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    """Whether one toleration covers one taint."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint.get("key"):
        return False
    if toleration.get("operator") == "Exists":
        return True
    return bool(toleration.get("key")) and toleration.get("value", "") == taint.get("value", "")


def untolerated(
    taints: Iterable[Json], tolerations: list[Json], effects: tuple[str, ...] = HARD_EFFECTS
) -> Json | None:
    """The first taint of these effects that no toleration covers."""
    for taint in taints:
        if taint.get("effect") in effects and not any(tolerates(entry, taint) for entry in tolerations):
            return taint
    return None


def matches_node(pod_spec: Mapping[str, Any], node: Mapping[str, Any]) -> bool:
    """nodeSelector and the required terms of node affinity."""
    labels = section(node, "metadata", "labels")
    if not matches_map(section(pod_spec, "nodeSelector"), labels):
        return False
    required = section(pod_spec, "affinity", "nodeAffinity").get("requiredDuringSchedulingIgnoredDuringExecution")
    if not isinstance(required, dict):
        return True
    return any(_matches_term(term, node, labels) for term in items(required, "nodeSelectorTerms"))


def _matches_term(term: Mapping[str, Any], node: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    expressions, fields = items(term, "matchExpressions"), items(term, "matchFields")
    if not expressions and not fields:
        return False
    name = {"metadata.name": str(section(node, "metadata").get("name", ""))}
    return all(_matches_expression(entry, labels) for entry in expressions) and all(
        _matches_expression(entry, name) for entry in fields
    )
