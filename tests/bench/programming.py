"""Network programming latency in a cluster of real processes: from the write of a changed EndpointSlice to the last of
three nodes' kernels, while there are many Services of three endpoints.

The slice says when it was written (its trigger time, to the microsecond); each kube-proxy says how long after that its
kernel had the change (kubeproxy_network_programming_duration_seconds).
"""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from tests.bench.live import asked, cluster, printed, share
from tests.bench.table import Row

from podwire.proto.kube import resources
from podwire.scripts.cluster.client import Client

COUNTS: Final = (10, 1_000, 10_000)
SAMPLES: Final = 20
NODES: Final = ("control-plane", "node-1", "node-2")
AT_ONCE: Final = 32
EVERY: Final = 1.5
"""Seconds between changes: kube-proxy's minSyncPeriod does not hold any of them up."""
REAL_CHANGE_MS: Final = 450
"""What a real kernel takes to add an endpoint at 10,000 Services (iptables-legacy-restore)."""
METRIC: Final = "kubeproxy_network_programming_duration_seconds"
TRIGGER_TIME: Final = "endpoints.kubernetes.io/last-change-trigger-time"


def service(number: int) -> dict[str, Any]:
    """A Service without a selector: its endpoints are written here."""
    return {"metadata": {"name": f"s{number}"}, "spec": {"ports": [{"port": 80}]}}


def endpoint_slice(number: int) -> dict[str, Any]:
    """Its three endpoints."""
    metadata = {"name": f"s{number}-1", "labels": {"kubernetes.io/service-name": f"s{number}"}}
    endpoints = [{"addresses": [f"10.244.{index}.{number % 200 + 2}"]} for index in (1, 2, 3)]
    return {"metadata": metadata, "addressType": "IPv4", "ports": [{"port": 8080}], "endpoints": endpoints}


async def create(client: Client, first: int, count: int) -> None:
    """Services from `first` on until there are so many, and their slices."""
    numbers = iter(range(first, count))

    async def worker() -> None:
        for number in numbers:
            await client.api.create(resources.SERVICES, "default", service(number))
            await client.api.create(resources.ENDPOINT_SLICES, "default", endpoint_slice(number))

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


async def told(client: Client) -> list[tuple[int, float]]:
    """How many changes each node has measured, and the seconds that they took together."""
    found = []
    for node in NODES:
        page = await printed(client, node, f"curl -s http://127.0.0.1:10249/metrics | grep {METRIC}_[sc]")
        values = dict(line.rsplit(" ", 1) for line in page.splitlines())
        count, total = (values.get(f'{METRIC}_{what}{{ip_family="IPv4"}}', "0") for what in ("count", "sum"))
        found.append((int(count), float(total)))
    return found


async def settled(client: Client) -> None:
    """Returns when no node has anything left to write."""
    line = "curl -s http://127.0.0.1:10249/metrics | grep changes_pending"
    async with asyncio.timeout(300):
        while any(not page.strip().endswith(" 0") for page in [await printed(client, node, line) for node in NODES]):
            await asyncio.sleep(1)
    await asyncio.sleep(3)


async def change(client: Client, number: int, subnet: int) -> float:
    """Seconds until the last node has the change of one endpoint to an address of a pod subnet."""
    before, body = await told(client), endpoint_slice(number)
    body["endpoints"][0]["addresses"] = [f"10.244.{subnet}.{number % 200 + 2}"]
    began = time.monotonic()
    body["metadata"]["annotations"] = {TRIGGER_TIME: datetime.now(UTC).isoformat()}
    await client.api.patch(resources.ENDPOINT_SLICES, "default", body["metadata"]["name"], body)
    await asyncio.sleep(0.5)
    async with asyncio.timeout(60):
        after = await told(client)
        while any(now[0] == was[0] for now, was in zip(after, before, strict=True)):
            await asyncio.sleep(0.2)
            after = await told(client)
    await asyncio.sleep(max(0.0, EVERY - (time.monotonic() - began)))
    return max(now[1] - was[1] for now, was in zip(after, before, strict=True))


async def latencies(client: Client, count: int) -> list[float]:
    """Of some changes; no address is like one before."""
    await settled(client)
    first = 4 + COUNTS.index(count) * SAMPLES
    return [await change(client, number * 7 % count, first + number) for number in range(SAMPLES)]


def measure() -> Iterator[Row]:
    """All rows."""
    with cluster("--nodes", "2") as folder:
        made = 0
        for count in COUNTS:
            began = time.monotonic()
            asked(folder, lambda client, made=made, count=count: create(client, made, count))  # type: ignore[misc]  # mypy cannot type a lambda's default
            took = time.monotonic() - began
            found = asked(folder, lambda client, count=count: latencies(client, count))  # type: ignore[misc]  # as above
            yield Row(f"making {count - made:,} Services x 3, s", f"{took:.0f}")
            figure = " / ".join(f"{share(found, percent) * 1000:.0f}" for percent in (50, 99))
            aim = f"p50 {REAL_CHANGE_MS} at most" if count == COUNTS[-1] else ""
            yield Row(f"  with {count:,}: one endpoint's change to the last of 3 kernels, p50 / p99, ms", figure, aim)
            made = count
