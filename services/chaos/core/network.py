"""What NetworkChaos objects mean for one pod's network namespace: address sets, rules, queue disciplines.

Source: chaos-mesh `controllers/chaosimpl/networkchaos/{partition,trafficcontrol}/impl.go`,
`controllers/podnetworkchaos/{ipset,iptable,netutils}`. What leaves a pod is impaired, as there.
"""

import hashlib
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from podwire.proto.kube.json_objects import items, section
from podwire.proto.messages.kernel import Qdisc
from podwire.services.chaos.core.amounts import impairment, octets_a_second
from podwire.services.chaos.core.kinds import BadChaos, Json

SOURCE: Final = "."
TARGET: Final = ".Target"
_PARTS: Final = ("delay", "loss", "duplicate", "corrupt", "bandwidth")
"""Actions that need the part of the spec that has their name."""
_SET_NAME: Final = 27
_CHAIN_NAME: Final = 21
_KEPT: Final = 6


@dataclass(frozen=True, slots=True)
class AddressSet:
    """An ipset of networks, of one IP family or both."""

    name: str
    networks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Partition:
    """Nothing passes to (OUTPUT) or from (INPUT) a set's addresses, or anybody's."""

    chain: str
    hook: str
    addresses: str
    owner: str


@dataclass(frozen=True, slots=True)
class Control:
    """What leaves for a set's addresses, or for anybody, goes through a queue discipline (without its place)."""

    qdisc: Qdisc
    addresses: str


@dataclass(frozen=True, slots=True)
class PodNetwork:
    """Everything that is wrong with one pod's network."""

    sets: tuple[AddressSet, ...] = ()
    partitions: tuple[Partition, ...] = ()
    controls: tuple[Control, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether nothing is."""
        return not (self.partitions or self.controls)


def owner_of(chaos: Json) -> str:
    """Whose doing it is, as traces say it."""
    return f"NetworkChaos {chaos['metadata']['namespace']}/{chaos['metadata']['name']}"


def check(spec: Json) -> None:
    """Raises BadChaos for what is missing or makes no sense."""
    action = str(spec.get("action", ""))
    if action in _PARTS and not section(spec, action):
        raise BadChaos(f"spec.{action}: is needed for the action {action}")
    if action == "netem" and not any(section(spec, name) for name in ("delay", "loss", "duplicate", "corrupt")):
        raise BadChaos("spec.delay, loss, duplicate or corrupt: one of them is needed for the action netem")
    if spec.get("direction", "to") != "to" and not (section(spec, "target") or spec.get("externalTargets")):
        raise BadChaos(f"spec.direction {spec['direction']!r}: needs a target; without one it is to")
    if action != "partition":
        _qdisc(spec, "")
    _external(spec)


def wanted(
    pod: str, experiments: Iterable[tuple[Json, list[Json]]], addresses: Mapping[str, tuple[str, ...]]
) -> PodNetwork:
    """What a pod's network should be by the experiments in force, each with its records; `addresses` are those of
    every pod by `namespace/name`. Raises BadChaos."""
    sets: list[AddressSet] = []
    partitions: list[Partition] = []
    controls: list[Control] = []
    for chaos, records in experiments:
        keys = [str(record["selectorKey"]) for record in records if record["id"] == pod]
        for key in keys:
            other = TARGET if key == SOURCE else SOURCE
            ids = [str(record["id"]) for record in records if record["selectorKey"] == other]
            made = _addresses(chaos, key, ids, addresses)
            if made is not None and made not in sets:
                sets.append(made)
            name = "" if made is None else made.name
            if chaos["spec"]["action"] == "partition":
                partitions += _partitions(chaos, key, name)
            elif _controls(chaos["spec"], key):
                controls.append(Control(_qdisc(chaos["spec"], owner_of(chaos)), name))
    return PodNetwork(tuple(sets), tuple(partitions), tuple(controls))


def _controls(spec: Json, key: str) -> bool:
    direction = spec.get("direction", "to")
    return direction in (("to", "both") if key == SOURCE else ("from", "both"))


def _addresses(chaos: Json, key: str, others: list[str], addresses: Mapping[str, tuple[str, ...]]) -> AddressSet | None:
    """The other side's addresses; None where everybody is meant."""
    external = _external(chaos["spec"]) if key == SOURCE else []
    if not others and not external:
        return None
    found = [_network(address) for other in others for address in addresses.get(other, ())]
    suffix = "tgt" if key == SOURCE else "src"
    return AddressSet(_short(chaos, _SET_NAME, suffix), tuple(dict.fromkeys([*found, *external])))


def _external(spec: Json) -> list[str]:
    return [_network(text) for text in items(spec, "externalTargets")]


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise BadChaos(
            f"spec.externalTargets {text!r}: an address or a network is needed (names are not resolved)"
        ) from None


def _partitions(chaos: Json, key: str, addresses: str) -> list[Partition]:
    direction = chaos["spec"].get("direction", "to")
    away, back = ("OUTPUT", "INPUT") if key == SOURCE else ("INPUT", "OUTPUT")
    hooks = {"to": [away], "from": [back], "both": [away, back]}[direction]
    suffix = "tgt" if key == SOURCE else "src"
    return [
        Partition(f"{hook}/{_short(chaos, _CHAIN_NAME, suffix)}", hook, addresses, owner_of(chaos)) for hook in hooks
    ]


def _short(chaos: Json, length: int, suffix: str) -> str:
    """A name of limited length that is the object's own (netutils.CompressName)."""
    meta = chaos["metadata"]
    digest = hashlib.sha1(f"{meta['namespace']}/{meta['name']}".encode()).hexdigest()
    head = meta["name"][:_KEPT]
    return f"{head}_{digest[: length - len(head) - len(suffix) - 2]}_{suffix}"


def _qdisc(spec: Json, owner: str) -> Qdisc:
    if spec.get("action") != "bandwidth":
        return Qdisc(kind="netem", handle="", impairment=impairment(spec), owner=owner)
    limits = section(spec, "bandwidth")
    return Qdisc(
        kind="tbf",
        handle="",
        rate=octets_a_second("spec.bandwidth.rate", limits.get("rate")),
        burst=int(limits.get("buffer") or 0),
        limit=int(limits.get("limit") or 0),
        peak_rate=int(limits.get("peakrate") or 0),
        minimum_burst=int(limits.get("minburst") or 0),
        owner=owner,
    )
