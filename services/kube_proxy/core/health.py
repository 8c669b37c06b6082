"""Whether the proxy is healthy, and what it answers about itself and about Services (pkg/proxy/healthcheck, v1.33)."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from podwire.services.chassis.clock import SECOND
from podwire.services.kube_proxy.core.family import Family
from podwire.services.kube_proxy.core.ports import ServicePortState

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
JSON: Final = (("Content-Type", "application/json"), ("X-Content-Type-Options", "nosniff"))

ServiceName = tuple[str, str]
"""Namespace and name."""


class ProxyHealth:
    """Times of the wall clock in ns. It is healthy unless a change has waited for longer than `timeout` (seconds)."""

    def __init__(self, timeout: float) -> None:
        self.is_eligible = True
        self._timeout = int(timeout * SECOND)
        self._updated: dict[Family, int] = {}
        self._queued: dict[Family, int] = {}

    def queued(self, family: Family, now: int) -> None:
        """A change waits to be written."""
        self._queued.setdefault(family, now)

    def updated(self, family: Family, now: int) -> None:
        """Everything is written."""
        self._queued.pop(family, None)
        self._updated[family] = now

    def is_healthy(self, now: int) -> bool:
        """Whether no change has waited for too long."""
        return all(now - self._queued[family] < self._timeout for family in self._queued if family in self._updated)

    def healthz(self, now: int) -> tuple[int, str]:
        """Status and body of /healthz: for load balancers, so an unwanted node is not healthy either."""
        healthy = self.is_healthy(now) and self.is_eligible
        eligible = "true" if self.is_eligible else "false"
        return _status(healthy), self._times(healthy, now) + f', "nodeEligible": {eligible}}}'

    def livez(self, now: int) -> tuple[int, str]:
        """Status and body of /livez."""
        healthy = self.is_healthy(now)
        return _status(healthy), self._times(healthy, now) + "}"

    def _times(self, healthy: bool, now: int) -> str:
        last = now if healthy else max(self._updated.values(), default=0)
        return f'{{"lastUpdated": "{go_time(last)}","currentTime": "{go_time(now)}"'


def _status(healthy: bool) -> int:
    return 200 if healthy else 503


def go_time(now: int) -> str:
    """A time as Go prints it: `2026-11-26 14:24:14.123456789 +0000 UTC`."""
    moment = _EPOCH + timedelta(seconds=now // SECOND)
    fraction = f".{now % SECOND:09d}".rstrip("0").rstrip(".")
    return f"{moment:%Y-%m-%d %H:%M:%S}{fraction} +0000 UTC"


class LocalEndpoints(NamedTuple):
    """A Service that load balancers ask this node about: its port for that, and how many endpoints are here."""

    port: int
    endpoints: int


def local_endpoints(states: Iterable[ServicePortState]) -> dict[ServiceName, LocalEndpoints]:
    """The Services with a healthCheckNodePort; each ready address of this node counts once (LocalReadyEndpoints)."""
    ports: dict[ServiceName, int] = {}
    found: dict[ServiceName, dict[str, None]] = {}
    for state in states:
        if state.health_check_node_port:
            name = state.name.namespace, state.name.name
            ports[name] = state.health_check_node_port
            ready = {entry.address: None for entry in state.endpoints if entry.is_local and entry.ready}
            found.setdefault(name, {}).update(ready)
    return {name: LocalEndpoints(port, len(found[name])) for name, port in ports.items()}


class Answer(NamedTuple):
    """What an HTTP server says."""

    code: int
    text: str
    headers: tuple[tuple[str, str], ...]


def service_health(name: ServiceName, here: Mapping[ServiceName, LocalEndpoints], proxy_healthy: bool) -> Answer:
    """What a healthCheckNodePort answers: 503 tells a load balancer not to use this node."""
    count = here[name].endpoints if name in here else 0
    body = {
        "service": {"namespace": name[0], "name": name[1]},
        "localEndpoints": count,
        "serviceProxyHealthy": proxy_healthy,
    }
    code = 200 if count and proxy_healthy else 503
    weight = (("X-Load-Balancing-Endpoint-Weight", str(count)),)
    return Answer(code, json.dumps(body, indent="\t"), (*JSON, *weight))
