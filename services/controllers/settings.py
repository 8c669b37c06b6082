"""The controllers' settings."""

from podwire.services.chassis.settings import ProcessSettings
from podwire.services.controllers.core.pod_ranges import PodRanges


class ControllersSettings(ProcessSettings, frozen=True, kw_only=True):
    """`root_ca_file` is what pods verify the API server with, PEM ("" in simulations, which have no TLS);
    `cluster_cidr` is the pods' network, or one of each family with a comma between, the primary family's first.
    Kubernetes' own delays are not settings here."""

    root_ca_file: str = ""
    cluster_cidr: str = "10.244.0.0/16"

    def __post_init__(self) -> None:
        try:
            PodRanges(self.cluster_cidr)
        except ValueError as error:
            raise ValueError(f"cluster_cidr={self.cluster_cidr!r}: {error}") from None
