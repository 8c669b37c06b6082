"""A node's lease of a pod subnet, told to the others by annotations of its Node (pkg/subnet/kube)."""

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from podwire.proto.kube.network import Node

PREFIX: Final = "flannel.alpha.coreos.com"
VXLAN, HOST_GW = "vxlan", "host-gw"


@dataclass(frozen=True, slots=True, order=True)
class Lease:
    """One node's subnet and address; `mac` is its tunnel's ("" with host-gw)."""

    subnet: str
    public_ip: str
    mac: str = ""

    @property
    def tunnel_address(self) -> str:
        """The remote end inside the tunnel: the subnet's own address."""
        return self.subnet.partition("/")[0]


def annotations(public_ip: str, vni: int, mac: str, backend: str = VXLAN) -> dict[str, str]:
    """By which a node tells the others how to reach it."""
    data = {"VNI": vni, "VtepMAC": mac} if backend == VXLAN else None
    return {
        f"{PREFIX}/backend-data": json.dumps(data, separators=(",", ":")),
        f"{PREFIX}/backend-type": backend,
        f"{PREFIX}/kube-subnet-manager": "true",
        f"{PREFIX}/public-ip": public_ip,
    }


def lease_of(node: Node, backend: str = VXLAN) -> Lease | None:
    """A node's lease from its annotations; None while it has none, has one of another backend, or tells nonsense."""
    told = node.metadata.annotations or {}
    if told.get(f"{PREFIX}/backend-type") != backend or not node.spec.pod_cidr:
        return None
    try:
        mac = ""
        if backend == VXLAN:
            data: Mapping[str, Any] = json.loads(told[f"{PREFIX}/backend-data"])
            mac = str(data["VtepMAC"])
        public_ip = str(ipaddress.IPv4Address(told[f"{PREFIX}/public-ip"]))
        subnet = str(ipaddress.IPv4Network(node.spec.pod_cidr))
    except (KeyError, TypeError, ValueError):
        return None
    return Lease(subnet, public_ip, mac)
