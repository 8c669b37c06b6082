"""Which pods an experiment is about.

Source: chaos-mesh `pkg/selector/pod/selector.go`, `pkg/selector/generic/{field,label,namespace,node,mode}.go`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from podwire.proto.kube.json_objects import items, section
from podwire.proto.kube.selection import matches_map, matches_selector
from podwire.services.chaos.core.kinds import BadChaos, Json
from podwire.services.chassis.chance import RandomBits, below

_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "metadata.name": ("metadata", "name"),
    "metadata.namespace": ("metadata", "namespace"),
    "spec.nodeName": ("spec", "nodeName"),
    "spec.restartPolicy": ("spec", "restartPolicy"),
    "spec.schedulerName": ("spec", "schedulerName"),
    "spec.serviceAccountName": ("spec", "serviceAccountName"),
    "status.phase": ("status", "phase"),
    "status.podIP": ("status", "podIP"),
    "status.nominatedNodeName": ("status", "nominatedNodeName"),
}
_PHASES: Final = ("Pending", "Running", "Succeeded", "Failed", "Unknown")


def pod_id(pod: Json) -> str:
    """`namespace/name`."""
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def select(
    spec: Json, namespace: str, pods: Iterable[Json], nodes: Mapping[str, Json], random: RandomBits
) -> list[Json]:
    """The pods that a selector, mode and value choose. Raises BadChaos where they choose none or make no sense."""
    found = [pod for pod in pods if _fits(section(spec, "selector"), namespace, nodes)(pod)]
    if not found:
        raise BadChaos("no pod is selected")
    return _chosen(sorted(found, key=pod_id), str(spec.get("mode", "")), str(spec.get("value", "")), random)


def _fits(selector: Json, namespace: str, nodes: Mapping[str, Json]) -> Callable[[Json], bool]:
    named = section(selector, "pods")
    if named:
        return lambda pod: pod["metadata"]["name"] in items(named, pod["metadata"]["namespace"])
    _check(selector)
    namespaces = items(selector, "namespaces") or [namespace]
    tests: list[Callable[[Json], bool]] = [lambda pod: pod["metadata"]["namespace"] in namespaces]
    labels = section(selector, "labelSelectors")
    terms = {"matchLabels": labels, "matchExpressions": items(selector, "expressionSelectors")}
    tests.append(lambda pod: matches_selector(terms, section(pod, "metadata", "labels")))
    annotations = section(selector, "annotationSelectors")
    tests.append(lambda pod: matches_map(annotations, section(pod, "metadata", "annotations")))
    for name, value in section(selector, "fieldSelectors").items():
        tests.append(_field(name, value))
    if phases := items(selector, "podPhaseSelectors"):
        tests.append(lambda pod: section(pod, "status").get("phase") in phases)
    if selector.get("nodes") or selector.get("nodeSelectors"):
        allowed = _nodes(selector, nodes)
        tests.append(lambda pod: section(pod, "spec").get("nodeName") in allowed)
    return lambda pod: all(test(pod) for test in tests)


def _check(selector: Json) -> None:
    for name in section(selector, "fieldSelectors"):
        if name not in _FIELDS:
            raise BadChaos(f"selector.fieldSelectors {name!r}: one of {', '.join(_FIELDS)} is needed")
    for phase in items(selector, "podPhaseSelectors"):
        if phase not in _PHASES:
            raise BadChaos(f"selector.podPhaseSelectors {phase!r}: one of {', '.join(_PHASES)} is needed")


def _field(name: str, value: str) -> Callable[[Json], bool]:
    *path, last = _FIELDS[name]
    return lambda pod: str(section(pod, *path).get(last, "")) == value


def _nodes(selector: Json, nodes: Mapping[str, Json]) -> list[str]:
    wanted = section(selector, "nodeSelectors")
    labelled = [
        name for name, node in nodes.items() if wanted and matches_map(wanted, section(node, "metadata", "labels"))
    ]
    return [*items(selector, "nodes"), *labelled]


def _chosen(pods: list[Json], mode: str, value: str, random: RandomBits) -> list[Json]:
    if mode == "all":
        return pods
    count = _count(len(pods), mode, value, random)
    if count <= 0:
        raise BadChaos("cannot select any pod as value below or equal 0")
    left = list(pods)
    taken: list[Json] = []
    while left and len(taken) < count:
        taken.append(left.pop(below(random, len(left))))
    return sorted(taken, key=pod_id)


def _count(most: int, mode: str, value: str, random: RandomBits) -> int:
    if mode == "one":
        return 1
    if mode == "fixed":
        return _number(mode, value, None)
    if mode == "fixed-percent":
        return most * _number(mode, value, 100) // 100
    if mode == "random-max-percent":
        return most * below(random, _number(mode, value, 100) + 1) // 100
    raise BadChaos(f"mode {mode!r}: one of one, all, fixed, fixed-percent, random-max-percent is needed")


def _number(mode: str, value: str, most: int | None) -> int:
    wanted = "a number" if most is None else f"a number from 0 to {most}"
    if not value.isascii() or not value.isdigit() or len(value) > 9 or (most is not None and int(value) > most):
        raise BadChaos(f"value {value!r}: mode {mode} needs {wanted}")
    return int(value)
