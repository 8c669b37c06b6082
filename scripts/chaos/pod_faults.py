"""The chaos object behind `podwire chaos pods`: from labels, zones and amounts to a spec."""

from collections.abc import Mapping
from typing import Any, Final

from podwire.proto.kube.labels import parse_term, split_terms
from podwire.scripts.chaos.amounts import bits_a_second, nanoseconds, share
from podwire.scripts.errors import UserError

type Json = dict[str, Any]

ZONE: Final = "topology.kubernetes.io/zone"
_OPERATORS: Final = {"in": "In", "notin": "NotIn", "exists": "Exists", "absent": "DoesNotExist"}
_BUCKET: Final = {"limit": 20_971_520, "buffer": 10_000}
"""What Chaos Mesh's documentation gives a token bucket: bytes that wait, and that pass at once."""


def selector(labels: str, zone: str, option: str) -> Json:
    """A selector of pods by labels (kubectl's `-l`) and their nodes' zone. Raises UserError."""
    if not labels and not zone:
        raise UserError(f"{option}: labels or a zone are needed, as in app=web")
    made: Json = {}
    if labels:
        made["expressionSelectors"] = [_expression(term, option) for term in split_terms(labels)]
    if zone:
        made["nodeSelectors"] = {ZONE: zone}
    return made


def _expression(term: str, option: str) -> Json:
    found = parse_term(term)
    if found.operator not in _OPERATORS:
        raise UserError(f"{option} {term}: key=value, key!=value, key in (a, b), key or !key is needed")
    values = {"values": list(found.values)} if found.values else {}
    return {"key": found.key, "operator": _OPERATORS[found.operator], **values}


def network(options: Mapping[str, str], partition: bool) -> Json:
    """The action of a NetworkChaos by amounts as `podwire chaos link` takes them. Raises UserError."""
    given = {name: text for name, text in options.items() if text}
    if partition and given:
        raise UserError("--partition: nothing passes, so that no amounts are needed beside it")
    if partition:
        return {"action": "partition"}
    if "rate" in given:
        if len(given) > 1:
            raise UserError("--rate: is an action of its own: make a second object for the others")
        return {"action": "bandwidth", "bandwidth": {"rate": f"{bits_a_second('--rate', given['rate'])}bit", **_BUCKET}}
    return _netem(given)


def _netem(given: Mapping[str, str]) -> Json:
    if not given or ("delay" not in given and ("jitter" in given or "reorder" in given)):
        raise UserError("--partition, --delay, --loss, --duplicate, --corrupt or --rate is needed")
    spec: Json = {"action": "netem"}
    if "delay" in given:
        nanoseconds("--delay", given["delay"])
        spec["delay"] = {"latency": given["delay"]}
    if "jitter" in given:
        nanoseconds("--jitter", given["jitter"])
        spec["delay"]["jitter"] = given["jitter"]
    if "reorder" in given:
        spec["delay"]["reorder"] = {"reorder": _percent("--reorder", given["reorder"]), "gap": 1}
    for name in ("loss", "duplicate", "corrupt"):
        if name in given:
            spec[name] = {name: _percent(f"--{name}", given[name])}
    return spec


def _percent(option: str, text: str) -> str:
    return f"{100 * share(option, text):g}"
