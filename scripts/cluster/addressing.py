"""Which networks a cluster has: of its machines, its pods and its Services, by `--ip-family`.

The ranges are those of kind (pkg/apis/config/v1alpha4/default.go, pkg/cluster/internal/providers/docker/network.go).
"""

import ipaddress
from dataclasses import dataclass
from typing import Final


class AddressingError(ValueError):
    """An IP family that there is not; names the option, its value and what would be right."""


@dataclass(frozen=True, slots=True)
class Ranges:
    """One family's networks."""

    machines: str
    pods: str
    services: str
    balancers: str
    """Of the machines' segment, for Services of type LoadBalancer."""

    def machine(self, number: int) -> str:
        """The address of the segment's host of a number, with its prefix length."""
        network = ipaddress.ip_network(self.machines)
        return f"{network[number]}/{network.prefixlen}"

    def service(self, number: int) -> str:
        """The ClusterIP of a number."""
        return str(ipaddress.ip_network(self.services)[number])


_IPV4: Final = Ranges("172.18.0.0/16", "10.244.0.0/16", "10.96.0.0/16", "172.18.200.0/24")
_IPV6: Final = Ranges("fc00:f853:ccd:e793::/64", "fd00:10:244::/56", "fd00:10:96::/112", "fc00:f853:ccd:e793::c8:0/112")
_GATEWAY, _API, _DNS = 1, 1, 10


@dataclass(frozen=True, slots=True)
class Addressing:
    """A cluster's networks: one family's, or both, the primary family's first."""

    families: tuple[Ranges, ...]

    @property
    def pods(self) -> str:
        """As --cluster-cidr of kube-controller-manager."""
        return ",".join(ranges.pods for ranges in self.families)

    @property
    def services(self) -> str:
        """As --service-cluster-ip-range of kube-apiserver."""
        return ",".join(ranges.services for ranges in self.families)

    @property
    def balancers(self) -> str:
        """The load balancers' networks, with commas."""
        return ",".join(ranges.balancers for ranges in self.families)

    @property
    def gateways(self) -> tuple[str, ...]:
        """The addresses of the host outside, which routes for the machines."""
        return tuple(address.partition("/")[0] for address in self.outside)

    @property
    def outside(self) -> tuple[str, ...]:
        """The gateways, with their prefix lengths."""
        return self.machine(_GATEWAY)

    @property
    def api(self) -> tuple[str, ...]:
        """What the `kubernetes` Service may be addressed by."""
        return tuple(ranges.service(_API) for ranges in self.families)

    @property
    def dns(self) -> str:
        """The kube-dns Service's address: the primary family's, as kubeadm chooses it."""
        return self.families[0].service(_DNS)

    def machine(self, number: int) -> tuple[str, ...]:
        """A machine's addresses, with their prefix lengths."""
        return tuple(ranges.machine(number) for ranges in self.families)


ADDRESSING: Final = {
    "ipv4": Addressing((_IPV4,)),
    "dual": Addressing((_IPV4, _IPV6)),
    "ipv6": Addressing((_IPV6,)),
}


def addressing(ip_family: str) -> Addressing:
    """The networks of an `--ip-family`. Raises AddressingError."""
    found = ADDRESSING.get(ip_family)
    if found is None:
        raise AddressingError(f"--ip-family {ip_family}: ipv4, dual or ipv6 is needed")
    return found
