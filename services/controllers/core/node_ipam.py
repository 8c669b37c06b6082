"""Pod CIDRs: 10.244.0.0/24 for the control plane, 10.244.<n>.0/24 for the workers.

A range is claimed by an IPAddress object that is named after it and refers to the node, before the node gets it: two
nodes can never have the same one, whoever decides, and a node keeps its range until it is deleted. A worker whose name
ends in a number gets the range of that number when it is free, so that nodes that join at the same time, in any order,
get theirs in order of their names.

Source: kubernetes `pkg/controller/nodeipam/ipam/range_allocator.go`.
"""

import re
from typing import Final

from podwire.proto.kube.resources import IP_ADDRESSES, NODES
from podwire.proto.kube.selection import section
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.chance import RandomBits
from podwire.services.controllers.core.cluster import Cluster, is_going
from podwire.services.controllers.core.writes import Create, Delete, Json, Patch, Plan

CONTROL_PLANE: Final = "node-role.kubernetes.io/control-plane"
_ORDINAL: Final = re.compile(r"(?:^|[^0-9])([1-9][0-9]{0,2})$")
_RANGES: Final = 256


def decide(key: ObjectKey, cluster: Cluster, now: int, random: RandomBits) -> Plan:
    """The writes that all nodes' ranges need."""
    plan = Plan()
    claims = {_number(claim): claim for claim in cluster[IP_ADDRESSES].all() if _node(claim)}
    held: dict[str, int] = {_node(claim): number for number, claim in claims.items()}
    _release(cluster, claims, plan)
    taken = dict.fromkeys(claims)
    for node in cluster[NODES].all():
        cidr = section(node, "spec").get("podCIDR")
        if cidr and (number := _number_of(str(cidr))) is not None:
            taken.setdefault(number)
    for node in cluster[NODES].all():
        name = node["metadata"]["name"]
        if section(node, "spec").get("podCIDR") or is_going(node):
            continue
        if name in held:
            plan.writes.append(_assign(node, held[name], cluster))
        elif (number := _choose(node, taken)) is not None:
            taken[number] = None
            plan.writes.append(_claim(node, number))
    return plan


def _number_of(text: str) -> int | None:
    parts = text.partition("/")[0].split(".")
    fits = len(parts) == 4 and parts[:2] == ["10", "244"] and parts[3] == "0"
    return int(parts[2]) if fits and parts[2].isdecimal() and len(parts[2]) < 4 else None


def _node(claim: Json) -> str:
    """The node of a claim; "" for the claims of Services."""
    parent = section(claim, "spec", "parentRef")
    is_range = _number_of(claim["metadata"]["name"]) is not None
    return str(parent.get("name", "")) if parent.get("resource") == "nodes" and is_range else ""


def _number(claim: Json) -> int:
    return _number_of(claim["metadata"]["name"]) or 0


def _choose(node: Json, taken: dict[int, None]) -> int | None:
    meta = node["metadata"]
    is_control_plane = CONTROL_PLANE in section(meta, "labels")
    ordinal: re.Match[str] | None = _ORDINAL.search(meta["name"])
    preferred: list[int] = [0] if is_control_plane else [int(ordinal[1])] if ordinal else []
    free = (number for number in [*preferred, *range(1, _RANGES)] if number < _RANGES and number not in taken)
    return next(free, None)


def _claim(node: Json, number: int) -> Create:
    body = {
        "metadata": {"name": f"10.244.{number}.0", "labels": {"ipaddress.kubernetes.io/managed-by": "node-ipam"}},
        "spec": {"parentRef": {"group": "", "resource": "nodes", "name": node["metadata"]["name"]}},
    }
    return Create(IP_ADDRESSES, body)


def _assign(node: Json, number: int, cluster: Cluster) -> Patch:
    cidr = f"10.244.{number}.0/24"
    body = {"spec": {"podCIDR": cidr, "podCIDRs": [cidr]}}
    return Patch(NODES, "", node["metadata"]["name"], body, revision=cluster[NODES].revision(node))


def _release(cluster: Cluster, claims: dict[int, Json], plan: Plan) -> None:
    for number in sorted(claims):
        claim = claims[number]
        if cluster[NODES].get("", _node(claim)) is None:
            meta = claim["metadata"]
            plan.writes.append(Delete(IP_ADDRESSES, "", meta["name"], meta["uid"]))
