"""Pod CIDRs: range 0 for the control plane (10.244.0.0/24), range n for worker n (10.244.<n>.0/24).

A range is claimed by an IPAddress object that is named after its first address and refers to the node, before the node
gets it: two nodes can never have the same one, whoever decides, and a node keeps its range until it is deleted. A
worker whose name ends in a number gets the range of that number when it is free, so that nodes that join at the same
time, in any order, get theirs in order of their names.

Source: kubernetes `pkg/controller/nodeipam/ipam/range_allocator.go`.
"""

import re
from collections.abc import Callable
from typing import Final

from podwire.proto.kube.json_objects import section
from podwire.proto.kube.resources import IP_ADDRESSES, NODES
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.chance import RandomBits
from podwire.services.controllers.core.cluster import Cluster, is_going
from podwire.services.controllers.core.pod_ranges import PodRanges
from podwire.services.controllers.core.writes import Create, Delete, Json, Patch, Plan

CONTROL_PLANE: Final = "node-role.kubernetes.io/control-plane"
_ORDINAL: Final = re.compile(r"(?:^|[^0-9])([1-9][0-9]{0,2})$")


def node_ipam(cluster_cidr: str) -> Callable[[ObjectKey, Cluster, int, RandomBits], Plan]:
    """The decision for a cluster with these pod networks."""
    ranges = PodRanges(cluster_cidr)
    return lambda key, cluster, now, random: _decide(cluster, ranges)


def _decide(cluster: Cluster, ranges: PodRanges) -> Plan:
    """The writes that all nodes' ranges need."""
    plan = Plan()
    claims = _claims(cluster, ranges)
    held = {_node(claim): number for number, claim in claims.items()}
    _release(cluster, claims, plan)
    taken = dict.fromkeys(claims)
    for node in cluster[NODES].all():
        cidr = section(node, "spec").get("podCIDR")
        if cidr and (number := ranges.number(str(cidr))) is not None:
            taken.setdefault(number)
    for node in cluster[NODES].all():
        name = node["metadata"]["name"]
        if section(node, "spec").get("podCIDR") or is_going(node):
            continue
        if name in held:
            plan.writes.append(_assign(node, ranges.of(held[name]), cluster))
        elif (number := _choose(node, taken, ranges.count)) is not None:
            taken[number] = None
            plan.writes.append(_claim(node, ranges.address(number)))
    return plan


def _claims(cluster: Cluster, ranges: PodRanges) -> dict[int, Json]:
    """The claims of nodes by their numbers; those of Services are others'."""
    numbered = [(ranges.number(claim["metadata"]["name"]), claim) for claim in cluster[IP_ADDRESSES].all()]
    return {number: claim for number, claim in numbered if number is not None and _node(claim)}


def _node(claim: Json) -> str:
    """The node of a claim; "" for the claims of Services."""
    parent = section(claim, "spec", "parentRef")
    return str(parent.get("name", "")) if parent.get("resource") == "nodes" else ""


def _choose(node: Json, taken: dict[int, None], count: int) -> int | None:
    meta = node["metadata"]
    is_control_plane = CONTROL_PLANE in section(meta, "labels")
    ordinal: re.Match[str] | None = _ORDINAL.search(meta["name"])
    preferred: list[int] = [0] if is_control_plane else [int(ordinal[1])] if ordinal else []
    free = (number for number in [*preferred, *range(1, count)] if number < count and number not in taken)
    return next(free, None)


def _claim(node: Json, name: str) -> Create:
    body = {
        "metadata": {"name": name, "labels": {"ipaddress.kubernetes.io/managed-by": "node-ipam"}},
        "spec": {"parentRef": {"group": "", "resource": "nodes", "name": node["metadata"]["name"]}},
    }
    return Create(IP_ADDRESSES, body)


def _assign(node: Json, cidrs: list[str], cluster: Cluster) -> Patch:
    body = {"spec": {"podCIDR": cidrs[0], "podCIDRs": cidrs}}
    return Patch(NODES, "", node["metadata"]["name"], body, revision=cluster[NODES].revision(node))


def _release(cluster: Cluster, claims: dict[int, Json], plan: Plan) -> None:
    for number in sorted(claims):
        claim = claims[number]
        if cluster[NODES].get("", _node(claim)) is None:
            meta = claim["metadata"]
            plan.writes.append(Delete(IP_ADDRESSES, "", meta["name"], meta["uid"]))
