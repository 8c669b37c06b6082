"""Whole clusters in one process, on virtual time."""

import asyncio
from collections.abc import Iterator

import pytest

from podwire.scripts.cluster.start import MANIFESTS
from podwire.scripts.simulation.cluster import SimulatedCluster
from podwire.scripts.simulation.scenario import Scenario

RULES_SETTLE = 2.0
"""Seconds within which every kube-proxy has written the rules of what became Ready (its sync period is 1 s)."""


class Booted:
    """A simulated cluster and the scenario that boots it."""

    def __init__(self, seed: int, workers: int, ip_family: str = "ipv4", proxy_mode: str = "iptables") -> None:
        self.cluster = SimulatedCluster(seed, workers, MANIFESTS / "static", ip_family)
        self.said: list[str] = []
        self.scenario = Scenario(self.cluster, MANIFESTS, self.said.append, proxy_mode)
        self.cluster.run(self.scenario.boot())
        self.cluster.run(asyncio.sleep(RULES_SETTLE))


@pytest.fixture
def booted() -> Iterator[Booted]:
    made = Booted(seed=11, workers=2)
    yield made
    made.cluster.close()
