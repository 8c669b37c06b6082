"""Clusters of containers, where there is an engine."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.compose import engine
from tests.compose.composed import Composed


@pytest.fixture(scope="session", autouse=True)
def image() -> None:
    """podwire's image, of this tree."""
    if what := engine.missing():
        pytest.skip(what)
    engine.build()


@pytest.fixture(scope="session")
def composed(image: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    """A cluster that all tests share and leave whole."""
    made = Composed(tmp_path_factory.mktemp("composed"))
    try:
        made.up()
        yield made
    finally:
        made.down()


@pytest.fixture
def new_cluster(image: None, tmp_path: Path) -> Iterator[Callable[[str], Composed]]:
    """Makes clusters that are the test's own; none is started yet."""
    made: list[Composed] = []

    def make(profile: str) -> Composed:
        made.append(Composed(tmp_path, profile))
        return made[-1]

    yield make
    for cluster in made:
        cluster.down()
