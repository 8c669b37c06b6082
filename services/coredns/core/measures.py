"""What plugin/prometheus tells: names, labels and buckets are CoreDNS 1.12's (plugin/metrics/vars)."""

from typing import Final

import dns.rcode
import dns.rdatatype

from podwire.services.chassis.metrics import Counter, Gauge, Histogram, Metric, exposition
from podwire.services.coredns.core.plugins.cache import Cache
from podwire.services.coredns.core.plugins.forward import Forward, Several
from podwire.services.coredns.core.query import Message, Query
from podwire.services.coredns.core.servers import Server
from podwire.services.coredns.core.zones import matching

VERSION: Final = "1.12.0"
_SIZES: Final = (0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16e3, 32e3, 48e3, 64e3)
_TIMES: Final = tuple(0.00025 * 2**power for power in range(16))
_KNOWN_TYPES: Final = ("A", "AAAA", "MX", "SOA", "CNAME", "PTR", "TXT", "NS", "SRV", "DS", "DNSKEY", "RRSIG", "NSEC")


class Measures:
    """The counters of one process; those that plugins keep are read when they are asked for."""

    def __init__(self) -> None:
        where = ("server", "zone", "view")
        self.requests = Counter(
            "coredns_dns_requests_total",
            "Counter of DNS requests made per zone, protocol and family.",
            ("family", "proto", "server", "type", "view", "zone"),
        )
        self.responses = Counter(
            "coredns_dns_responses_total",
            "Counter of response status codes.",
            ("plugin", "rcode", *where),
        )
        self.durations = Histogram(
            "coredns_dns_request_duration_seconds",
            "Histogram of the time (in seconds) each request took per zone.",
            where,
            _TIMES,
        )
        self.sizes = Histogram(
            "coredns_dns_response_size_bytes",
            "Size of the returned response in bytes.",
            ("proto", *where),
            _SIZES,
        )
        self.failed_reloads = Counter("coredns_reload_failed_total", "Counter of the number of failed reload attempts.")
        self.malformed = Counter("podwire_dns_malformed_total", "Messages that were no query.")

    def note(self, query: Query, response: Message, server: Server | None, seconds: float, size: int) -> None:
        """Counts one answered query."""
        label = server.label if server else "dns://:53"
        zone = (matching(server.zones, query.name) if server else "") or "dropped"
        protocol = "udp" if query.over_udp else "tcp"
        kind = dns.rdatatype.to_text(query.kind)
        family = "2" if ":" in query.client[0] else "1"
        self.requests.add(family, protocol, label, kind if kind in _KNOWN_TYPES else "other", "", zone)
        self.responses.add("", dns.rcode.to_text(response.rcode()), label, zone, "")
        self.durations.observe(seconds, label, zone, "")
        self.sizes.observe(size, protocol, label, zone, "")

    def text(self, servers: list[Server]) -> str:
        """The page `/metrics`."""
        own: list[Metric] = [self.requests, self.responses, self.durations, self.sizes]
        return exposition([*own, self.failed_reloads, self.malformed, *_of_plugins(servers)])


def _of_plugins(servers: list[Server]) -> list[Metric]:
    build = Gauge(
        "coredns_build_info",
        "A metric with a constant '1' value labeled by version, revision, and goversion from which CoreDNS was built.",
        ("goversion", "revision", "version"),
    )
    build.set(1, "", "podwire", VERSION)
    enabled = Gauge(
        "coredns_plugin_enabled",
        "A metric that indicates whether a plugin is enabled on per server and zone basis.",
        ("name", "server", "view", "zone"),
    )
    hits = Counter("coredns_cache_hits_total", "The count of cache hits.", ("server", "type", "view", "zones"))
    misses = Counter("coredns_cache_misses_total", "The count of cache misses.", ("server", "view", "zones"))
    entries = Gauge(
        "coredns_cache_entries", "The number of elements in the cache.", ("server", "type", "view", "zones")
    )
    forwarded = Counter("coredns_proxy_requests_total", "Counter of requests made per upstream.", ("proxy_name", "to"))
    for server in servers:
        for name, plugin in server.plugins.items():
            for zone in server.zones:
                enabled.set(1, name, server.label, "", zone)
            if isinstance(plugin, Cache):
                _note_cache(plugin, server.label, hits, misses, entries)
            for each in plugin.forwards if isinstance(plugin, Several) else (plugin,):
                if isinstance(each, Forward):
                    for upstream in each.servers:
                        forwarded.add("forward", "{}:{}".format(*upstream.address), amount=upstream.requests)
    return [build, enabled, hits, misses, entries, forwarded]


def _note_cache(cache: Cache, label: str, hits: Counter, misses: Counter, entries: Gauge) -> None:
    zones = ",".join(cache.zones)
    misses.add(label, "", zones, amount=cache.misses)
    for kind, share in (("success", cache.success), ("denial", cache.denial)):
        hits.add(label, kind, "", zones, amount=cache.hits[kind])
        entries.set(len(share.items), label, kind, "", zones)
