"""The table of packet walks in every mode and family, after a full sync and after Services came one by one."""

import functools

import pytest
from proxy_rows import ROWS, Row
from proxy_services import fold
from proxy_world import ATTEMPTS, World

from podwire.services.kube_proxy.core.family import FAMILIES, Family
from podwire.services.kube_proxy.core.modes import MODES

WAYS = ("full", "partial")


@functools.cache
def world(mode: str, family: Family, way: str) -> World:
    """A node with all Services: written at once, or one change at a time upon nothing."""
    made, given = World(mode, family), fold(family)
    changes = given.take()
    if way == "full":
        made.write_all(given.states)
    else:
        made.write_all({})
        for change in changes:
            made.update(change)
    return made


def _name(row: Row) -> str:
    return f"{row.source} to {row.destination}:{row.port}/{row.protocol}"


def test_the_table_is_long_and_says_nothing_twice() -> None:
    assert len(ROWS) >= 150
    assert len({row[:4] for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("mode", MODES)
def test_walks(mode: str, family: Family, way: str) -> None:
    wrong = []
    for row in ROWS:
        expected = row.outcome(mode, family)
        attempts = ATTEMPTS[max(expected.count(":"), 1)]
        arrivals = world(mode, family, way).send(row.source, row.destination, row.protocol, row.port, attempts)
        found = " ".join(sorted(f"{at}{'*' if masqueraded else ''}" for at, masqueraded in arrivals))
        if found != expected:
            wrong.append(f"{_name(row)}: {found}, not {expected}")
    assert wrong == []
