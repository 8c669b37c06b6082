"""What a sync adds to the metrics, and the gauges that are computed when somebody asks."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from podwire.services.chassis.clock import SECOND
from podwire.services.kube_proxy.core.family import Family
from podwire.services.kube_proxy.core.metrics import Labels, Metrics
from podwire.services.kube_proxy.core.ports import ServicePortState

FAMILY_LABEL: Final[dict[Family, str]] = {"ipv4": "IPv4", "ipv6": "IPv6"}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def synced(metrics: Metrics, family: Family, seconds: float, *, everything: bool, now: int) -> None:
    """A sync that went well."""
    label = FAMILY_LABEL[family]
    kind = "full" if everything else "partial"
    metrics.observe("sync_proxy_rules_duration_seconds", seconds, ip_family=label)
    metrics.observe(f"sync_{kind}_proxy_rules_duration_seconds", seconds, ip_family=label)
    metrics.set("sync_proxy_rules_last_timestamp_seconds", now / SECOND, ip_family=label)


def failed(metrics: Metrics, family: Family, mode: str) -> None:
    """A sync that the kernel refused."""
    name = "nftables_sync" if mode == "nftables" else "iptables_restore"
    metrics.add(f"sync_proxy_rules_{name}_failures_total", ip_family=FAMILY_LABEL[family])


def programmed(metrics: Metrics, family: Family, triggers: Iterable[str], now: int) -> None:
    """Changes of endpoints are in force: since when they were due, EndpointSlices say (RFC 3339)."""
    for text in triggers:
        if (at := moment(text)) is not None:
            latency = max(0, now - at) / SECOND
            metrics.observe("network_programming_duration_seconds", latency, ip_family=FAMILY_LABEL[family])


def moment(text: str) -> int | None:
    """Nanoseconds since the epoch of an RFC 3339 time, None for anything else."""
    try:
        span = datetime.fromisoformat(text) - _EPOCH
    except (ValueError, TypeError, OverflowError):
        return None
    return (span.days * 86_400 + span.seconds) * SECOND + span.microseconds * 1_000


def gauges(
    family: Family, states: Iterable[ServicePortState], rules: Mapping[str, int], mode: str
) -> dict[str, dict[Labels, float]]:
    """Rules by table, and ports whose policy Local finds no endpoint of this node."""
    label = ("ip_family", FAMILY_LABEL[family])
    held = list(states)
    internal = sum(state.has_endpoints and state.internal_local and not state.local_endpoints for state in held)
    external = sum(state.has_endpoints and state.external_local and not state.local_endpoints for state in held)
    found: dict[str, dict[Labels, float]] = {
        "sync_proxy_rules_no_local_endpoints_total": {
            (label, ("traffic_policy", "internal")): internal,
            (label, ("traffic_policy", "external")): external,
        }
    }
    if mode == "iptables":
        found["sync_proxy_rules_iptables_total"] = {(label, ("table", table)): count for table, count in rules.items()}
    return found
