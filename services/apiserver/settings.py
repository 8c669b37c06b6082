"""The API server's settings."""

from podwire.proto.kube.families import networks
from podwire.services.chassis.settings import ProcessSettings


class ApiServerSettings(ProcessSettings, frozen=True, kw_only=True):
    """Without a port nothing is served over HTTPS (as in simulation); the files are PEM."""

    api_host: str = "127.0.0.1"
    api_port: int = 0
    api_cert_file: str = ""
    api_key_file: str = ""
    api_ca_file: str = ""
    service_account_key_file: str = ""
    """The Ed25519 key of service account tokens, PEM; without one the key is `service_account_seed`."""
    service_account_seed: str = "00" * 32
    """A key as 64 hexadecimal digits, for simulations: their keys follow from their seed."""
    service_cluster_ip_range: str = "10.96.0.0/16"
    """Where ClusterIPs come from: a network, or one of each family with a comma between, the primary family's first."""
    history_seconds: int = 24 * 3600
    """How long changes stay readable before they are compacted."""
    history_bytes: int = 1 << 30
    """How many bytes of changes stay readable, at most."""
    compaction_seconds: int = 60
    acknowledged_file: str = ""
    """Where the newest applied revision is written down; without one it is not."""

    def __post_init__(self) -> None:
        try:
            networks(self.service_cluster_ip_range)
        except ValueError as error:
            raise ValueError(f"service_cluster_ip_range={self.service_cluster_ip_range!r}: {error}") from None
