"""Settings of the cloud provider."""

from podwire.services.chassis.settings import ProcessSettings
from podwire.services.cloud_provider.core.addresses import read_pools


class CloudProviderSettings(ProcessSettings, frozen=True, kw_only=True):
    """Which addresses are given away (one network of each IP family), and whose kernel leads to the machines."""

    pool: str = "172.18.200.0/24"
    gateway_machine: str = "external"
    device: str = "eth0"

    def __post_init__(self) -> None:
        try:
            read_pools(self.pool)
        except ValueError as error:
            raise ValueError(f"pool={self.pool!r}: {error}") from None
