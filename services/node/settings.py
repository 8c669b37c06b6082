"""A machine's settings."""

import ipaddress

from podwire.services.chassis.settings import ProcessSettings


class NodeSettings(ProcessSettings, frozen=True, kw_only=True):
    """`address` is the NIC's, with prefix length; `segment` the Ethernet that it is plugged into."""

    address: str
    gateway: str
    segment: str = "nodes"
    mtu: int = 1500

    def __post_init__(self) -> None:
        if not self.node:
            raise ValueError("node: a machine needs a name")
        try:
            network = ipaddress.IPv4Interface(self.address).network
            gateway = ipaddress.IPv4Address(self.gateway)
        except ValueError as error:
            raise ValueError(f"address={self.address!r}, gateway={self.gateway!r}: {error}") from None
        if gateway not in network:
            raise ValueError(f"gateway={self.gateway!r} is not in {network}")
