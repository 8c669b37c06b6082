"""Real processes: one cluster for all tests of a worker, others for those that must break the whole of it."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from live_cluster import WORKLOAD, LiveCluster, until


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveCluster]:
    """Three workers and the tutorial's my-api; ended at the end, whatever happened."""
    made = LiveCluster(tmp_path_factory.mktemp("cluster"))
    try:
        made.up()
        made.apply(*WORKLOAD)
        until(lambda: made.serving("my-api", 2) or made.missing() or made.connect("node-1"), 20)
        yield made
    finally:
        made.close()


@pytest.fixture
def new_cluster(tmp_path: Path) -> Iterator[Callable[[], LiveCluster]]:
    """Makes clusters that are the test's own; none is started yet."""
    made: list[LiveCluster] = []

    def make() -> LiveCluster:
        made.append(LiveCluster(tmp_path / str(len(made))))
        return made[-1]

    yield make
    for entry in made:
        entry.close()
