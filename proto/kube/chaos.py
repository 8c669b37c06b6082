"""DNSChaos as CoreDNS reads it (chaos-mesh `api/v1alpha1/dnschaos_types.go`)."""

from typing import Final

from podwire.proto.kube.meta import View
from podwire.proto.kube.resources import Resource

DNS_CHAOS: Final = Resource("chaos-mesh.org", "v1alpha1", "dnschaos", "DNSChaos")


class DnsChaosSpec(View, frozen=True, kw_only=True):
    """What happens to answers, and to which names (all of them without patterns)."""

    action: str = ""
    patterns: list[str] | None = None


class DnsChaosStatus(View, frozen=True, kw_only=True):
    """Whom it happens to: the addresses of the pods that are injected."""

    addresses: list[str] | None = None


class DnsChaos(View, frozen=True, kw_only=True):
    """chaos-mesh.org/v1alpha1 DNSChaos."""

    spec: DnsChaosSpec = DnsChaosSpec()
    status: DnsChaosStatus = DnsChaosStatus()
