"""Bisection: the one change, among many, that broke reachability."""

import pytest

from podwire.proto.kube import resources
from podwire.scripts.cluster.start import MANIFESTS
from podwire.scripts.errors import UserError
from podwire.scripts.history.bisect import Bisection
from podwire.scripts.history.log import Log
from podwire.scripts.reach.expectation import parse_rules
from podwire.scripts.simulation.replay import Replay
from podwire.scripts.trace.cause import cause

from .conftest import Booted
from .test_history import log_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

EVENTS = 10_000
BROKEN_AFTER = 6_500
RULES = parse_rules("- {from: default/my-api-*, to: svc/default/my-api, port: 80, allowed: true}")
BREAKING = {"spec": {"ports": [{"port": 80, "targetPort": 81, "protocol": "TCP"}]}}


async def lives(booted: Booted) -> int:
    """Thousands of changes that do not matter, and one that does: its revision."""
    api, stream = booted.cluster.api, booted.cluster.broker.stream
    await booted.scenario.apply_workload()
    await api.create(resources.CONFIG_MAPS, "default", {"metadata": {"name": "noise"}, "data": {}})
    broken = 0
    while stream.last < EVENTS:
        await api.patch(resources.CONFIG_MAPS, "default", "noise", {"data": {"at": str(stream.last)}})
        if not broken and stream.last >= BROKEN_AFTER:
            changed = await api.patch(resources.SERVICES, "default", "my-api", BREAKING)
            broken = int(changed["metadata"]["resourceVersion"])
    return broken


@pytest.fixture(scope="module")
def broken() -> tuple[Log, int]:
    booted = Booted(seed=3, workers=2)
    revision = booted.cluster.run(lives(booted))
    log = log_of(booted.cluster)
    booted.cluster.close()
    return log, revision


def search(log: Log) -> Bisection:
    return Bisection(log, RULES, MANIFESTS / "static")


def test_the_breaking_change_among_ten_thousand_is_found(broken: tuple[Log, int]) -> None:
    log, revision = broken
    assert len(log.events) > 9_000
    found = search(log).run(good=log.last // 2, bad=log.last)
    assert found.bad == revision
    assert log.at(found.bad).key.resource == "services"
    (first, *_) = found.broken.verdict.lines()
    assert (
        "svc/default/my-api tcp/80: refused or unreachable (Connection refused), but rule 1 wants it allowed" in first
    )
    assert cause(found.broken.packets)
    assert found.steps <= 16  # two ends, and a half each time


def test_without_a_good_revision_the_last_one_is_looked_for(broken: tuple[Log, int]) -> None:
    log, revision = broken
    found = search(log).run(good=None, bad=revision + 20)
    assert (found.bad, found.good < revision) == (revision, True)


def test_ends_that_do_not_fit_are_refused(broken: tuple[Log, int]) -> None:
    log, revision = broken
    with pytest.raises(UserError, match=f"--bad {revision - 1}: all is as the rules want it there"):
        search(log).run(None, revision - 1)
    with pytest.raises(UserError, match=f"--good {revision + 5}: the rules do not hold there either: default/my-api-"):
        search(log).run(revision + 5, log.last)
    with pytest.raises(UserError, match=r"--good 0: a revision from 1 to before \d+ is needed"):
        search(log).run(0, log.last)


def test_a_cluster_goes_on_from_its_log(broken: tuple[Log, int]) -> None:
    log, revision = broken
    replay = Replay(log.cut(revision - 1), MANIFESTS / "static")
    cluster = replay.cluster

    async def look() -> tuple[str, int]:
        await replay.settle()
        service = await cluster.api.get(resources.SERVICES, "default", "my-api")
        pods = await cluster.api.list(resources.PODS, "default")
        return service["spec"]["clusterIP"], len(pods)

    address, pods = cluster.run(look())
    assert address.startswith("10.96.") and pods == 2
    assert cluster.clock.now_ns() > log.events[0].event.time
    cluster.close()
