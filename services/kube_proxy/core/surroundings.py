"""What rules depend on beside Services: the node, the pod network, kube-proxy's own settings."""

from dataclasses import dataclass
from typing import Final

from podwire.services.kube_proxy.core.family import Family

MASQUERADE_MARK: Final = 0x4000
"""masqueradeBit 14."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """For one family. Without `cluster_cidr` pods' traffic cannot be told from other: rules that would are left out.

    `node_port_addresses`: node ports answer on these, or (None) on every local address. `service_cidrs` are those of
    the ServiceCIDR objects, where upstream's nftables mode drops what no Service has.
    """

    family: Family = "ipv4"
    node_ip: str = ""
    cluster_cidr: str = ""
    service_cidrs: tuple[str, ...] = ()
    node_port_addresses: tuple[str, ...] | None = None
    masquerade_all: bool = False
    masquerade_mark: int = MASQUERADE_MARK
    localhost_node_ports: bool = True
    scheduler: str = "rr"
    strict_arp: bool = False
    """Whether the node answers ARP only for addresses of the device that heard (ipvs mode)."""

    @property
    def mark(self) -> str:
        """The masquerade mark as rules write it."""
        return hex(self.masquerade_mark)
