"""DNS through the whole path: a host outside asks the cluster's DNS Service by way of a machine, whose rules lead to a
CoreDNS pod, whose process answers over the bus."""

import asyncio
import random
import time
from collections.abc import Iterator
from typing import Final

import dns.message
from tests.bench.live import asked, cluster, share
from tests.bench.table import Row

from podwire.scripts.cluster.addressing import ADDRESSING
from podwire.scripts.cluster.client import Client
from podwire.scripts.cluster.layout import VISITORS
from podwire.scripts.inject.outside import outside_host
from podwire.services.chassis.live.clock import LiveClock
from podwire.services.node.network.sockets import Network

DNS: Final = ("10.96.0.10", 53)
NAME: Final = "kubernetes.default.svc.cluster.local"
ROUTER: Final = 3
"""The number of node-1 in the machines' network."""
QUERIES: Final = 3_000
AT_ONCE: Final = (1, 32)
PATIENCE: Final = 5.0
"""Seconds after which a query counts as lost."""


async def ask(network: Network, number: int) -> float:
    """The seconds that one query takes, from a port of its own."""
    channel = network.open_udp()
    try:
        channel.send(dns.message.make_query(NAME, "A", id=number & 0xFFFF).to_wire(), DNS)
        began = time.perf_counter()
        async with asyncio.timeout(PATIENCE):
            datagram = await channel.receive()
        assert dns.message.from_wire(datagram.payload).answer
        return time.perf_counter() - began
    finally:
        channel.close()


async def load(client: Client, at_once: int) -> tuple[float, list[float]]:
    """Queries a second while so many are always under way, and what each took."""
    address = ADDRESSING["ipv4"].machine(random.choice(VISITORS))[0].partition("/")[0]
    router = ADDRESSING["ipv4"].machine(ROUTER)[0].partition("/")[0]
    host = outside_host(client.bus, LiveClock(), (address,), (router,))
    await client.bus.flush()
    network, taken, numbers = Network(host, ""), list[float](), iter(range(QUERIES))
    await ask(network, 0)

    async def worker() -> None:
        for number in numbers:
            taken.append(await ask(network, number))

    began = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(at_once)))
    return QUERIES / (time.perf_counter() - began), taken


def measure() -> Iterator[Row]:
    """All rows."""
    with cluster("--nodes", "2") as folder:
        for at_once in AT_ONCE:
            rate, taken = asked(folder, lambda client, at_once=at_once: load(client, at_once))  # type: ignore[misc]  # mypy cannot type a lambda's default
            figure = " / ".join(f"{share(taken, percent) * 1000:.1f}" for percent in (50, 99))
            yield Row(f"DNS through Service and rules, {at_once} at once: queries/s", f"{rate:,.0f}")
            yield Row("  p50 / p99, ms", figure)
