"""Settings of the cloud provider."""

import ipaddress

from podwire.services.chassis.settings import ProcessSettings


class CloudProviderSettings(ProcessSettings, frozen=True, kw_only=True):
    """Which addresses are given away, and whose kernel leads to the machines."""

    pool: str = "172.18.200.0/24"
    gateway_machine: str = "external"
    device: str = "eth0"

    def __post_init__(self) -> None:
        try:
            ipaddress.IPv4Network(self.pool)
        except ValueError as error:
            raise ValueError(f"pool={self.pool!r}: {error}") from None
