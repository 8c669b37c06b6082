"""What a sync adds to the metrics, and what is counted when somebody asks."""

from collections.abc import Iterable, Mapping
from typing import Final

from podwire.services.chassis.clock import SECOND
from podwire.services.kube_proxy.core.family import Family
from podwire.services.kube_proxy.core.metrics import Metrics
from podwire.services.kube_proxy.core.ports import ServicePortState

FAMILY_LABEL: Final[dict[Family, str]] = {"ipv4": "IPv4", "ipv6": "IPv6"}


def synced(metrics: Metrics, family: Family, seconds: float, *, everything: bool, now: int) -> None:
    """A sync that went well."""
    label = FAMILY_LABEL[family]
    metrics.sync.observe(seconds, label)
    (metrics.sync_full if everything else metrics.sync_partial).observe(seconds, label)
    metrics.last_sync.set(now / SECOND, label)


def failed(metrics: Metrics, family: Family, mode: str) -> None:
    """A sync that the kernel refused."""
    counter = metrics.nftables_failures if mode == "nftables" else metrics.iptables_failures
    counter.add(FAMILY_LABEL[family])


def programmed(metrics: Metrics, family: Family, triggers: Iterable[int], now: int) -> None:
    """Changes of endpoints are in force that were due at these times (ns since the epoch)."""
    for due in triggers:
        metrics.programming.observe(max(0, now - due) / SECOND, FAMILY_LABEL[family])


def counted(
    metrics: Metrics, family: Family, states: Iterable[ServicePortState], rules: Mapping[str, int], mode: str
) -> None:
    """What is counted when somebody asks: rules by table, ports whose policy Local finds no endpoint of this node."""
    label = FAMILY_LABEL[family]
    held = list(states)
    internal = sum(state.has_endpoints and state.internal_local and not state.local_endpoints for state in held)
    external = sum(state.has_endpoints and state.external_local and not state.local_endpoints for state in held)
    metrics.no_local_endpoints.set(internal, label, "internal")
    metrics.no_local_endpoints.set(external, label, "external")
    if mode == "iptables":
        for table, count in rules.items():
            metrics.rules.set(count, label, table)
