"""CoreDNS's settings."""

from podwire.services.chassis.settings import ProcessSettings


class CoreDnsSettings(ProcessSettings, frozen=True, kw_only=True):
    """`node` may be empty: a Deployment's pod is served wherever it was scheduled."""

    image: str = "coredns"
    corefile: str = "/etc/coredns/Corefile"
