"""Simulated clusters: how long a boot takes, how soon a fork of a booted cluster serves a request, how many seeds with
ten minutes of faults a second, and how much faster than life."""

import os
import time
from collections.abc import Iterator
from typing import Final

from tests.bench.table import Row

from podwire.proto.messages.machine import Connect
from podwire.scripts.cluster.components import preload
from podwire.scripts.cluster.start import MANIFESTS
from podwire.scripts.simulation.forks import forked
from podwire.scripts.simulation.seeds import Seeds

NODES: Final = 3
MINUTES: Final = 10
SEEDS: Final = 4
_FORKS: Final = 10
_DNS_PORT: Final = 53


def measure() -> Iterator[Row]:
    """All rows."""
    began = time.perf_counter()
    preload()
    yield Row("loading all components into Python", f"{time.perf_counter() - began:.2f} s")
    began = time.perf_counter()
    seeds = Seeds(NODES, MANIFESTS / "static", MANIFESTS, MINUTES)
    seeds.boot()
    try:
        yield Row("a simulated cluster of 3 nodes and its workload, cold boot", f"{time.perf_counter() - began:.2f} s")
        yield from _fork_to_request(seeds)
        yield from _seeds(seeds)
    finally:
        seeds.close()


def _fork_to_request(seeds: Seeds) -> Iterator[Row]:
    def serve(_: int) -> float:
        call = Connect(trace="", kind="tcp", address="10.96.0.10", port=_DNS_PORT)
        assert seeds.cluster.run(seeds.cluster.prober.connect("node-1", call)).success
        return time.perf_counter()

    took = []
    for _ in range(_FORKS):
        began = time.perf_counter()
        took += [ended - began for ended in forked(iter([0]), serve, float, 1)]
    yield Row("  a fork of it, until a request is served", f"{sorted(took)[_FORKS // 2] * 1000:.0f} ms", "100 ms")


def _seeds(seeds: Seeds) -> Iterator[Row]:
    began = time.perf_counter()
    jobs = os.cpu_count() or 1
    findings = list(seeds.run_many(iter(range(1, SEEDS + 1)), jobs))
    took = time.perf_counter() - began
    virtual = sum(finding.virtual_seconds for finding in findings)
    yield Row("seeds of 10 minutes with faults, seeds/s", f"{SEEDS / took:.2f}", "1.67")
    yield Row("  virtual seconds a real second", f"{virtual / took:.0f}")
    yield Row("  seeds that broke an invariant", str(sum(finding.violation is not None for finding in findings)))
