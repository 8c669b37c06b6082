"""kube-proxy's metrics: names, labels and buckets are upstream's (pkg/proxy/metrics/metrics.go, v1.33)."""

from typing import Final

from podwire.services.chassis.metrics import Counter, Gauge, Histogram, Metric, exposition

_FAMILY: Final = ("ip_family",)


def _seconds(*, of_programming: bool) -> tuple[float, ...]:
    """The upper ends of buckets."""
    if not of_programming:
        return tuple(0.001 * 2**power for power in range(15))
    steps = [0.0, 0.25, 0.5, *range(1, 60), *range(60, 120, 5), *range(120, 301, 30)]
    return tuple(float(step) for step in steps)


def _name(name: str) -> str:
    return f"kubeproxy_{name}"


def _counter(name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
    return Counter(_name(name), f"[ALPHA] {text}", labels)


def _gauge(name: str, text: str, labels: tuple[str, ...] = _FAMILY) -> Gauge:
    return Gauge(_name(name), f"[ALPHA] {text}", labels)


def _histogram(name: str, text: str, *, of_programming: bool = False) -> Histogram:
    return Histogram(_name(name), f"[ALPHA] {text}", _FAMILY, _seconds(of_programming=of_programming))


class Metrics:
    """All families of one kube-proxy."""

    def __init__(self) -> None:
        self.sync = _histogram("sync_proxy_rules_duration_seconds", "SyncProxyRules latency in seconds")
        self.sync_full = _histogram(
            "sync_full_proxy_rules_duration_seconds", "SyncProxyRules latency in seconds for full resyncs"
        )
        self.sync_partial = _histogram(
            "sync_partial_proxy_rules_duration_seconds", "SyncProxyRules latency in seconds for partial resyncs"
        )
        self.programming = _histogram(
            "network_programming_duration_seconds",
            "In Cluster Network Programming Latency in seconds",
            of_programming=True,
        )
        self.last_sync = _gauge(
            "sync_proxy_rules_last_timestamp_seconds", "The last time proxy rules were successfully synced"
        )
        self.last_queued = _gauge(
            "sync_proxy_rules_last_queued_timestamp_seconds", "The last time a sync of proxy rules was queued"
        )
        self.endpoint_changes = _counter(
            "sync_proxy_rules_endpoint_changes_total", "Cumulative proxy rules Endpoint changes"
        )
        self.service_changes = _counter(
            "sync_proxy_rules_service_changes_total", "Cumulative proxy rules Service changes"
        )
        self.changes_pending = _gauge(
            "sync_proxy_rules_service_changes_pending", "Pending proxy rules Service changes", ()
        )
        self.rules = _gauge(
            "sync_proxy_rules_iptables_total",
            "Total number of iptables rules owned by kube-proxy",
            (*_FAMILY, "table"),
        )
        self.no_local_endpoints = _gauge(
            "sync_proxy_rules_no_local_endpoints_total",
            "Number of services with a Local traffic policy and no endpoints",
            (*_FAMILY, "traffic_policy"),
        )
        self.iptables_failures = _counter(
            "sync_proxy_rules_iptables_restore_failures_total", "Cumulative proxy iptables restore failures", _FAMILY
        )
        self.nftables_failures = _counter(
            "sync_proxy_rules_nftables_sync_failures_total", "Cumulative proxy nftables sync failures", _FAMILY
        )
        self.healthz = _counter("proxy_healthz_total", "Cumulative proxy healthz HTTP status", ("code",))
        self.livez = _counter("proxy_livez_total", "Cumulative proxy livez HTTP status", ("code",))

    def text(self) -> str:
        """The page /metrics."""
        return exposition(value for value in vars(self).values() if isinstance(value, Metric))
