"""Resource quantities and what a pod asks for (kubernetes `component-helpers/resource`), in thousandths of a unit."""

import re
from decimal import Decimal
from typing import Any, Final

from podwire.proto.kube.selection import items, section

type Json = dict[str, Any]
type Amounts = dict[str, int]

_FORM: Final = re.compile(r"^([+-]?(?:\d+(?:\.\d*)?|\.\d+))(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E|[eE][+-]?\d{1,3})?$")
_BINARY: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}


def thousandths(value: object) -> int:
    """A quantity in thousandths, rounded up; 0 for text that is none (the API server lets none through)."""
    match = _FORM.match(str(value))
    if match is None:
        return 0
    suffix = match[2] or ""
    if suffix in _BINARY:
        factor = Decimal(1 << _BINARY[suffix])
    else:
        factor = Decimal(10) ** (_DECIMAL[suffix] if suffix in _DECIMAL else int(suffix[1:]))
    return int((Decimal(match[1]) * factor * 1000).to_integral_value(rounding="ROUND_CEILING"))


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
