"""What kube-proxy says of itself: health, Services' local endpoints, metrics."""

import json
import re

import pytest
from proxy_services import fold

from podwire.services.chassis.clock import SECOND
from podwire.services.chassis.metrics import Histogram
from podwire.services.kube_proxy.core import measures
from podwire.services.kube_proxy.core.health import (
    LocalEndpoints,
    ProxyHealth,
    go_time,
    local_endpoints,
    service_health,
)
from podwire.services.kube_proxy.core.metrics import Metrics

START = 1_800_000_000 * SECOND


def test_a_change_that_waits_too_long_makes_the_proxy_unhealthy() -> None:
    health = ProxyHealth(60)
    assert health.livez(START)[0] == 200, "healthy while it starts"
    health.updated("ipv4", START)
    health.queued("ipv4", START + SECOND)
    health.queued("ipv4", START + 50 * SECOND)
    seen = [(seconds, health.livez(START + seconds * SECOND)[0]) for seconds in (2, 60, 61, 300)]
    assert seen == [(2, 200), (60, 200), (61, 503), (300, 503)]
    health.updated("ipv4", START + 300 * SECOND)
    assert health.livez(START + 301 * SECOND)[0] == 200


def test_a_node_that_is_to_go_is_alive_but_not_for_load_balancers() -> None:
    health = ProxyHealth(60)
    health.updated("ipv4", START)
    health.is_eligible = False
    code, text = health.healthz(START)
    assert (code, json.loads(text)["nodeEligible"]) == (503, False)
    assert health.livez(START)[0] == 200
    assert "nodeEligible" not in json.loads(health.livez(START)[1])


def test_times_are_as_go_prints_them() -> None:
    assert go_time(START + 120_000_000) == "2027-01-15 08:00:00.12 +0000 UTC"
    assert go_time(START) == "2027-01-15 08:00:00 +0000 UTC"


def test_load_balancers_are_told_how_many_endpoints_are_here() -> None:
    known = fold("ipv4")
    known.take()
    here = local_endpoints(known.states.values())
    assert here == {
        ("ns", "balancer-local"): LocalEndpoints(31052, 1),
        ("ns", "balancer-local-none"): LocalEndpoints(31054, 0),
    }
    answer = service_health(("ns", "balancer-local"), here, True)
    assert (answer.code, dict(answer.headers)["X-Load-Balancing-Endpoint-Weight"]) == (200, "1")
    assert json.loads(answer.text) == {
        "service": {"namespace": "ns", "name": "balancer-local"},
        "localEndpoints": 1,
        "serviceProxyHealthy": True,
    }
    assert service_health(("ns", "balancer-local"), here, False).code == 503
    assert service_health(("ns", "balancer-local-none"), here, True).code == 503


SAMPLE = re.compile(r"[a-z_]+(\{[a-zA-Z_]+=\"[^\"]*\"(,[a-zA-Z_]+=\"[^\"]*\")*\})? [0-9.e+-]+")


def test_metrics_are_prometheus_text() -> None:
    metrics = Metrics()
    measures.synced(metrics, "ipv4", 0.003, everything=True, now=START)
    measures.synced(metrics, "ipv6", 0.1, everything=False, now=START)
    measures.failed(metrics, "ipv4", "iptables")
    measures.programmed(metrics, "ipv4", [START - 3 * SECOND // 2], START)
    metrics.healthz.add("200")
    measures.counted(metrics, "ipv4", [], {"nat": 7}, "iptables")
    text = metrics.text()
    lines = text.splitlines()
    assert all(SAMPLE.fullmatch(line) or line.startswith(("# HELP ", "# TYPE ")) for line in lines)
    for line in (
        'kubeproxy_sync_proxy_rules_duration_seconds_bucket{ip_family="IPv4",le="0.002"} 0',
        'kubeproxy_sync_proxy_rules_duration_seconds_bucket{ip_family="IPv4",le="0.004"} 1',
        'kubeproxy_sync_proxy_rules_duration_seconds_bucket{ip_family="IPv4",le="+Inf"} 1',
        'kubeproxy_sync_partial_proxy_rules_duration_seconds_count{ip_family="IPv6"} 1',
        'kubeproxy_network_programming_duration_seconds_sum{ip_family="IPv4"} 1.5',
        'kubeproxy_sync_proxy_rules_iptables_total{ip_family="IPv4",table="nat"} 7',
        'kubeproxy_sync_proxy_rules_iptables_restore_failures_total{ip_family="IPv4"} 1',
        'kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family="IPv4"} 1800000000',
    ):
        assert line in lines


@pytest.mark.parametrize("histogram", [Metrics().sync, Metrics().programming], ids=lambda histogram: histogram.name)
def test_buckets_grow(histogram: Histogram) -> None:
    assert list(histogram.buckets) == sorted(set(histogram.buckets))


def test_ports_of_this_node_only_without_an_endpoint_here_are_counted() -> None:
    known = fold("ipv4")
    known.take()
    metrics = Metrics()
    measures.counted(metrics, "ipv4", known.states.values(), {}, "ipvs")
    assert metrics.no_local_endpoints.values == {("IPv4", "internal"): 1, ("IPv4", "external"): 3}
