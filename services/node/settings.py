"""A machine's settings."""

import ipaddress

from podwire.services.chassis.settings import ProcessSettings


class NodeSettings(ProcessSettings, frozen=True, kw_only=True):
    """`address` and `gateway` are the NIC's, one or one of each family with commas between, the primary family's first,
    addresses with prefix lengths; a machine without gateways reaches its segment alone. `segment` is the Ethernet that
    it is plugged into."""

    address: str
    gateway: str = ""
    segment: str = "nodes"
    mtu: int = 1500

    def __post_init__(self) -> None:
        if not self.node:
            raise ValueError("node: a machine needs a name")
        if self.gateway and len(self.addresses) != len(self.gateways):
            raise ValueError(f"address={self.address!r}, gateway={self.gateway!r}: each address needs a gateway")
        for address, gateway in zip(self.addresses, self.gateways or self.addresses, strict=True):
            _check(address, gateway.partition("/")[0])

    @property
    def addresses(self) -> list[str]:
        """The NIC's, each with its prefix length."""
        return self.address.split(",")

    @property
    def gateways(self) -> list[str]:
        """One for each address, or none."""
        return self.gateway.split(",") if self.gateway else []


def _check(address: str, gateway: str) -> None:
    try:
        network = ipaddress.ip_interface(address).network
        router = ipaddress.ip_address(gateway)
    except ValueError as error:
        raise ValueError(f"address={address!r}, gateway={gateway!r}: {error}") from None
    if router not in network:
        raise ValueError(f"gateway={gateway!r} is not in {network}")
