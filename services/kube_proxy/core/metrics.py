"""kube-proxy's metrics in the text format of Prometheus (pkg/proxy/metrics/metrics.go, v1.33)."""

import bisect
from collections.abc import Iterator, Mapping
from typing import Final

_PREFIX: Final = "kubeproxy_"

Labels = tuple[tuple[str, str], ...]


def _sync_buckets() -> tuple[float, ...]:
    return tuple(0.001 * 2**power for power in range(15))


def _programming_buckets() -> tuple[float, ...]:
    steps = [0.25, 0.5, *range(1, 60), *range(60, 120, 5), *range(120, 301, 30)]
    return (0.0, *(float(step) for step in steps))


BUCKETS: Final = {
    "sync_proxy_rules_duration_seconds": _sync_buckets(),
    "sync_full_proxy_rules_duration_seconds": _sync_buckets(),
    "sync_partial_proxy_rules_duration_seconds": _sync_buckets(),
    "network_programming_duration_seconds": _programming_buckets(),
}
"""Histograms and the upper ends of their buckets, in seconds."""

HELP: Final = {
    "sync_proxy_rules_duration_seconds": "SyncProxyRules latency in seconds",
    "sync_full_proxy_rules_duration_seconds": "SyncProxyRules latency in seconds for full resyncs",
    "sync_partial_proxy_rules_duration_seconds": "SyncProxyRules latency in seconds for partial resyncs",
    "network_programming_duration_seconds": "In Cluster Network Programming Latency in seconds",
    "sync_proxy_rules_last_timestamp_seconds": "The last time proxy rules were successfully synced",
    "sync_proxy_rules_last_queued_timestamp_seconds": "The last time a sync of proxy rules was queued",
    "sync_proxy_rules_endpoint_changes_total": "Cumulative proxy rules Endpoint changes",
    "sync_proxy_rules_endpoint_changes_pending": "Pending proxy rules Endpoint changes",
    "sync_proxy_rules_service_changes_total": "Cumulative proxy rules Service changes",
    "sync_proxy_rules_service_changes_pending": "Pending proxy rules Service changes",
    "sync_proxy_rules_iptables_total": "Total number of iptables rules owned by kube-proxy",
    "sync_proxy_rules_iptables_restore_failures_total": "Cumulative proxy iptables restore failures",
    "sync_proxy_rules_nftables_sync_failures_total": "Cumulative proxy nftables sync failures",
    "sync_proxy_rules_no_local_endpoints_total": "Number of services with a Local traffic policy and no endpoints",
    "proxy_healthz_total": "Cumulative proxy healthz HTTP status",
    "proxy_livez_total": "Cumulative proxy livez HTTP status",
}
_COUNTERS: Final = (
    "sync_proxy_rules_endpoint_changes_total",
    "sync_proxy_rules_service_changes_total",
    "sync_proxy_rules_iptables_restore_failures_total",
    "sync_proxy_rules_nftables_sync_failures_total",
    "proxy_healthz_total",
    "proxy_livez_total",
)


class _Histogram:
    def __init__(self, ends: tuple[float, ...]) -> None:
        self._ends, self._counts, self._sum = ends, [0] * (len(ends) + 1), 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect.bisect_left(self._ends, value)] += 1
        self._sum += value

    def lines(self, name: str, labels: Labels) -> Iterator[str]:
        total = 0
        for end, count in zip((*self._ends, None), self._counts, strict=True):
            total += count
            le = "+Inf" if end is None else f"{end:g}"
            yield f"{_PREFIX}{name}_bucket{_text((*labels, ('le', le)))} {total}"
        yield f"{_PREFIX}{name}_sum{_text(labels)} {self._sum:g}"
        yield f"{_PREFIX}{name}_count{_text(labels)} {total}"


class Metrics:
    """Values by name and labels; only names of HELP are known."""

    def __init__(self) -> None:
        self._values: dict[str, dict[Labels, float]] = {}
        self._histograms: dict[str, dict[Labels, _Histogram]] = {}

    def set(self, name: str, value: float, **labels: str) -> None:
        """A gauge has a value now."""
        self._values.setdefault(name, {})[tuple(labels.items())] = value

    def add(self, name: str, by: float = 1, **labels: str) -> None:
        """A counter grows."""
        held = self._values.setdefault(name, {})
        key = tuple(labels.items())
        held[key] = held.get(key, 0) + by

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """A histogram gets one more value."""
        held = self._histograms.setdefault(name, {})
        held.setdefault(tuple(labels.items()), _Histogram(BUCKETS[name])).observe(seconds)

    def text(self, more: Mapping[str, Mapping[Labels, float]]) -> str:
        """Everything, with gauges that are computed when asked for."""
        values = {**self._values, **more}
        lines: list[str] = []
        for name, said in sorted(HELP.items()):
            if name in values or name in self._histograms:
                kind = "histogram" if name in BUCKETS else "counter" if name in _COUNTERS else "gauge"
                lines += [f"# HELP {_PREFIX}{name} [ALPHA] {said}", f"# TYPE {_PREFIX}{name} {kind}"]
            for labels, value in values.get(name, {}).items():
                lines.append(f"{_PREFIX}{name}{_text(labels)} {value:.10g}")
            for labels, histogram in self._histograms.get(name, {}).items():
                lines += histogram.lines(name, labels)
        return "\n".join(lines) + "\n"


def _text(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels) + "}" if labels else ""
