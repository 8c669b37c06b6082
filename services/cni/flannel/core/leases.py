"""A node's lease of a pod subnet, told to the others by annotations of its Node (pkg/subnet/kube)."""

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from podwire.proto.kube.families import family_of, of_family
from podwire.proto.kube.network import Node
from podwire.services.cni.flannel.core.stack import V4, Stack

PREFIX: Final = "flannel.alpha.coreos.com"
VXLAN, HOST_GW = "vxlan", "host-gw"


@dataclass(frozen=True, slots=True, order=True)
class Lease:
    """One node's subnet and address of one family; `mac` is its tunnel's ("" with host-gw)."""

    subnet: str
    public_ip: str
    mac: str = ""

    @property
    def tunnel_address(self) -> str:
        """The remote end inside the tunnel: the subnet's own address."""
        return self.subnet.partition("/")[0]


def annotations(public_ip: str, vni: int, mac: str, backend: str = VXLAN, stack: Stack = V4) -> dict[str, str]:
    """By which a node tells the others how to reach it over one family."""
    data = {"VNI": vni, "VtepMAC": mac} if backend == VXLAN else None
    return {
        f"{PREFIX}/{stack.backend_data}": json.dumps(data, separators=(",", ":")),
        f"{PREFIX}/backend-type": backend,
        f"{PREFIX}/kube-subnet-manager": "true",
        f"{PREFIX}/{stack.public_ip}": public_ip,
    }


def subnet_of(node: Node, stack: Stack) -> str:
    """The node's pod range of a family; "" while it has none."""
    return of_family(node.spec.pod_cidrs or [node.spec.pod_cidr], stack.family)


def lease_of(node: Node, backend: str = VXLAN, stack: Stack = V4) -> Lease | None:
    """A node's lease of a family from its annotations; None while it has none, has one of another backend, or tells
    nonsense."""
    told = node.metadata.annotations or {}
    pod_range = subnet_of(node, stack)
    if told.get(f"{PREFIX}/backend-type") != backend or not pod_range:
        return None
    try:
        mac = ""
        if backend == VXLAN:
            data: Mapping[str, Any] = json.loads(told[f"{PREFIX}/{stack.backend_data}"])
            mac = str(data["VtepMAC"])
        public_ip = ipaddress.ip_address(told[f"{PREFIX}/{stack.public_ip}"])
        subnet = str(ipaddress.ip_network(pod_range))
    except (KeyError, TypeError, ValueError):
        return None
    return Lease(subnet, str(public_ip), mac) if family_of(str(public_ip)) == stack.family else None
