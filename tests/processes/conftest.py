"""Real processes: one cluster for all tests of a worker, others for those that must break the whole of it."""

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from kubectl_table import write_table
from live_cluster import WORKLOAD, LiveCluster, until

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what runs in the background so; what is tested here is interrupted, and inherits it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


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


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-kubectl-table", action="store_true", help="write docs/kubectl.md from this run")
    parser.addoption("--write-failure-modes", action="store_true", help="write docs/failure-modes.md from this run")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if config.getoption("--write-kubectl-table", default=False):
        write_table(terminalreporter.stats)
