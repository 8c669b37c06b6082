"""Simulated clusters: how many seeds of `podwire sim` a second, and how much faster than life."""

import time
from collections.abc import Iterator
from typing import Final

from tests.bench.table import Row

from podwire.scripts.cluster.start import MANIFESTS
from podwire.scripts.simulation.cluster import SimulatedCluster
from podwire.scripts.simulation.scenario import Scenario

SEEDS: Final = 6


def measure() -> Iterator[Row]:
    """All rows."""
    virtual, began = 0.0, time.perf_counter()
    for seed in range(SEEDS):
        report = Scenario(SimulatedCluster(seed, 3, MANIFESTS / "static"), MANIFESTS, lambda _: None).run()
        virtual += report.virtual_seconds
    took = time.perf_counter() - began
    yield Row("podwire sim (boot, request, kill, request; 3 nodes), seeds/s", f"{SEEDS / took:.2f}")
    yield Row("  virtual seconds a real second", f"{virtual / took:.1f}")
