"""What a pod asks for and a node offers (kubernetes `component-helpers/resource`), in thousandths of a unit."""

from typing import Any

from podwire.proto.kube.json_objects import items, section
from podwire.proto.kube.quantity import QuantityError
from podwire.proto.kube.quantity import thousandths as exact

type Json = dict[str, Any]
type Amounts = dict[str, int]


def thousandths(value: object) -> int:
    """A quantity in thousandths; 0 for text that is none (the API server lets none through)."""
    try:
        return exact(value)
    except QuantityError:
        return 0


def _requests(container: Json) -> Amounts:
    return {name: thousandths(amount) for name, amount in section(container, "resources", "requests").items()}


def requested(pod: Json) -> Amounts:
    """The sum over containers, or the largest init container where that is more, and the overhead."""
    spec = section(pod, "spec")
    total: Amounts = {}
    for container in items(spec, "containers"):
        _add(total, _requests(container))
    for container in items(spec, "initContainers"):
        for name, amount in _requests(container).items():
            total[name] = max(total.get(name, 0), amount)
    _add(total, {name: thousandths(amount) for name, amount in section(spec, "overhead").items()})
    return total


def _add(total: Amounts, more: Amounts) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, 0) + amount


def used(pods: list[Json]) -> Amounts:
    """What pods ask for together."""
    total: Amounts = {}
    for pod in pods:
        _add(total, requested(pod))
    return total


def allocatable(node: Json) -> Amounts:
    """What a node offers."""
    status = section(node, "status")
    offered = section(status, "allocatable") or section(status, "capacity")
    return {name: thousandths(amount) for name, amount in offered.items()}
