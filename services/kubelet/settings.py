"""The kubelet's settings."""

from podwire.services.chassis.settings import ProcessSettings


class KubeletSettings(ProcessSettings, frozen=True, kw_only=True):
    """`static_pods` is a folder of manifests that this kubelet runs without the API ("" for none)."""

    control_plane: bool = False
    static_pods: str = ""
    cluster_dns: str = "10.96.0.10"
    cluster_domain: str = "cluster.local"
    claimed_images: str = "podwire/"
    """Images under this prefix are served by a process of their own, found by an offer."""
    claimed_names: str = ""
    """Images of exactly these names (comma-separated, whatever their tag) are served by processes too."""
