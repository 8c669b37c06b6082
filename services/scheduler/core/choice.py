"""The choice among nodes that fit: spread an owner's pods, then prefer the emptier node, then chance.

Source: kubernetes' default plugins PodTopologySpread (system default constraints), TaintToleration, NodeResourcesFit
(LeastAllocated), reduced to an order of preference.
"""

from typing import NamedTuple

from podwire.proto.kube.json_objects import items, section
from podwire.proto.kube.selection import untolerated
from podwire.services.chassis.chance import RandomBits
from podwire.services.scheduler.core.filters import Objection, objection, unavailable_text
from podwire.services.scheduler.core.resources import Json, allocatable, requested, used
from podwire.services.scheduler.core.volumes import CONFLICT, NO_STORAGE, Needs, Storage, fits, needs


class Chosen(NamedTuple):
    """The node for a pod, or ("") why there is none; its claims that wait for the choice."""

    node: str
    message: str = ""
    waiting: tuple[Json, ...] = ()


def choose(
    pod: Json,
    nodes: list[Json],
    pods_on: dict[str, list[Json]],
    random: RandomBits,
    storage: Storage = NO_STORAGE,
) -> Chosen:
    """The node for one pod, given the pods on each node and what is known of storage."""
    wanted = needs(pod, storage)
    if wanted.objection:
        return Chosen("", unavailable_text([Objection((wanted.objection,))] * len(nodes), wanted.objection))
    fitting: list[Json] = []
    objections: list[Objection] = []
    for node in nodes:
        against = _objection(pod, node, pods_on.get(_name(node), []), wanted)
        if against is None:
            fitting.append(node)
        else:
            objections.append(against)
    if not fitting:
        return Chosen("", unavailable_text(objections))
    ranked = [
        (*_rank(pod, node, pods_on.get(_name(node), [])), random.getrandbits(32), _name(node)) for node in fitting
    ]
    return Chosen(min(ranked)[-1], "", wanted.waiting)


def _objection(pod: Json, node: Json, present: list[Json], wanted: Needs) -> Objection | None:
    against = objection(pod, node, present)
    return Objection((CONFLICT,)) if against is None and not fits(wanted, node) else against


def _name(node: Json) -> str:
    return str(node["metadata"]["name"])


def _rank(pod: Json, node: Json, present: list[Json]) -> tuple[int, int, int, int]:
    taints = items(section(node, "spec"), "taints")
    avoided = untolerated(taints, items(section(pod, "spec"), "tolerations"), ("PreferNoSchedule",))
    siblings = sum(_same_owner(pod, other) for other in present)
    return (0 if avoided is None else 1), siblings, _fullness(pod, node, present), len(present)


def _same_owner(pod: Json, other: Json) -> bool:
    mine, theirs = _controller(pod), _controller(other)
    return bool(mine) and mine == theirs


def _controller(pod: Json) -> str:
    for owner in items(section(pod, "metadata"), "ownerReferences"):
        if owner.get("controller"):
            return str(owner.get("uid", ""))
    return ""


def _fullness(pod: Json, node: Json, present: list[Json]) -> int:
    """The mean share of cpu and memory in use with the pod, in tenths."""
    offered, taken, asked = allocatable(node), used(present), requested(pod)
    shares = [
        10 * (taken.get(name, 0) + asked.get(name, 0)) // offered[name]
        for name in ("cpu", "memory")
        if offered.get(name, 0) > 0
    ]
    return sum(shares) // len(shares) if shares else 0


def is_pending(pod: Json, scheduler: str) -> bool:
    """Whether a pod waits for this scheduler."""
    spec, meta = section(pod, "spec"), section(pod, "metadata")
    return (
        not spec.get("nodeName")
        and not meta.get("deletionTimestamp")
        and not items(spec, "schedulingGates")
        and spec.get("schedulerName", "default-scheduler") == scheduler
        and section(pod, "status").get("phase", "Pending") not in ("Succeeded", "Failed")
    )


def queue_order(pod: Json) -> tuple[int, str, str, str]:
    """Higher priority first, then older first (PrioritySort)."""
    meta = pod["metadata"]
    priority = int(section(pod, "spec").get("priority") or 0)
    return -priority, str(meta.get("creationTimestamp", "")), str(meta.get("namespace", "")), str(meta["name"])


def takes_room(pod: Json) -> bool:
    """Whether a bound pod still uses its node."""
    return section(pod, "status").get("phase") not in ("Succeeded", "Failed")
