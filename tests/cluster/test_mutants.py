"""Bugs put in on purpose are found by the simulator within 200 seeds, each by the invariant that it breaks."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from podwire.scripts.cluster.start import MANIFESTS
from podwire.scripts.simulation.seeds import Seeds
from podwire.services.chassis.api.watch import Watch
from podwire.services.cni.flannel.core import tunnel
from podwire.services.kube_proxy import proxier

MINUTES = 3
SEEDS = 200
LOST = 50
"""One event of a process's watches in so many."""


def lose_watch_events(patch: pytest.MonkeyPatch) -> None:
    apply, numbers = Watch._apply, count(1)

    def lossy(watch: Watch[Any], stored: Any) -> None:
        if not watch.synced.is_set() or next(numbers) % LOST:
            apply(watch, stored)

    patch.setattr(Watch, "_apply", lossy)


def keep_udp_flows(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(proxier, "stale_flows", lambda flows, states: [])


def keep_routes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(tunnel, "_remove_stale", lambda device, wanted, present: [])


MUTANTS: list[tuple[Callable[[pytest.MonkeyPatch], None], set[str]]] = [
    (
        lose_watch_events,
        {
            "killed-components-recover",
            "workloads-are-whole",
            "ready-endpoints-are-reachable",
            "watches-agree-with-lists",
            "routes-follow-nodes",
        },
    ),
    (keep_udp_flows, {"ready-endpoints-are-reachable"}),
    (keep_routes, {"routes-follow-nodes"}),
]


@pytest.fixture
def seeds() -> Iterator[Seeds]:
    booted = Seeds(3, MANIFESTS / "static", MANIFESTS, MINUTES)
    booted.boot()
    yield booted
    booted.close()


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("put_in", "invariants"), MUTANTS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_bug_is_found(
    seeds: Seeds, put_in: Callable[[pytest.MonkeyPatch], None], invariants: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put_in(monkeypatch)
    for number, finding in enumerate(seeds.run_many(iter(range(1, SEEDS + 1)), jobs=2), 1):
        if finding.violation is not None:
            print(f"found at the seed number {number}: {finding.violation}")  # noqa: T201 - shown with -s
            assert finding.violation.invariant in invariants
            return
    pytest.fail(f"not found in {SEEDS} seeds")
