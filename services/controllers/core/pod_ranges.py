"""The pods' networks, cut into ranges for nodes: a node's number says which ranges it has, one of each family.

Masks are upstream's defaults (`pkg/controller/nodeipam`): 24 for IPv4, 64 for IPv6.
"""

import ipaddress
from typing import Final

from podwire.proto.kube.families import Network, networks

_MASKS: Final = {4: 24, 6: 64}


class PodRanges:
    """The ranges of one cluster; of two networks the first is the primary family's. Raises ValueError."""

    def __init__(self, cluster_cidr: str) -> None:
        self._networks = networks(cluster_cidr)
        for network in self._networks:
            if network.prefixlen > _MASKS[network.version]:
                raise ValueError(f"{network} has no room for a node: a node's range is a /{_MASKS[network.version]}")
        self.count = min(1 << _MASKS[network.version] - network.prefixlen for network in self._networks)
        """How many nodes can have ranges."""

    def of(self, number: int) -> list[str]:
        """The ranges of a number."""
        return [str(_range(network, number)) for network in self._networks]

    def address(self, number: int) -> str:
        """The first address of a number's primary range: what its claim is named after."""
        return str(_range(self._networks[0], number).network_address)

    def number(self, text: str) -> int | None:
        """The number of a primary range, or of its first address; None for others."""
        primary = self._networks[0]
        try:
            found = ipaddress.ip_network(text.partition("/")[0])
        except ValueError:
            return None
        if found.version != primary.version:
            return None
        number = int(found.network_address) - int(primary.network_address) >> _host_bits(primary)
        return number if 0 <= number < self.count and text.partition("/")[0] == self.address(number) else None


def _host_bits(network: Network) -> int:
    return network.max_prefixlen - _MASKS[network.version]


def _range(network: Network, number: int) -> Network:
    start = int(network.network_address) + (number << _host_bits(network))
    return type(network)((start, _MASKS[network.version]))
