"""kube-proxy's settings."""

from podwire.services.chassis.settings import ProcessSettings


class KubeProxySettings(ProcessSettings, frozen=True, kw_only=True):
    """The rest stands in its configuration file, as in a real cluster."""

    image: str = "kube-proxy"
    config: str = "/var/lib/kube-proxy/config.conf"
