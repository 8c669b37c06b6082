"""`docker kill` of each container in turn, under load: what breaks, what does not, and that all is well after
`docker start`."""

import asyncio
import gc
from collections.abc import Iterator

import pytest
from tests.compose.composed import Composed
from tests.failures import effects
from tests.failures.effects import EFFECTS, Effect
from tests.failures.scene import Report, Scene

from podwire.scripts.cluster.client import Client
from podwire.scripts.containers.plan import containers, names

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(3600)]

_FROM_NODE_1 = (
    *(effects.SAME_NODE, effects.OTHER_NODE, effects.CLUSTER_IP, effects.NAMES, effects.NODE_PORT),
    *(effects.NEW_PODS, effects.NEW_SERVICES, effects.EXEC, effects.TRACES),
)
_ONE_IN_THREE = (effects.CLUSTER_IP, effects.NODE_PORT, effects.BALANCER, effects.NEW_SERVICES, effects.NAMES)
OF_CONTAINERS = {
    "outside": next(effect for effect in EFFECTS if effect.absent == "external"),
    "node-1": Effect("node-1", _FROM_NODE_1, "The callers' machine has no power.", (effects.BALANCER,)),
    "node-2": Effect("node-2", (effects.FAULTS,), "A server and the pod for faults are gone.", _ONE_IN_THREE),
    "control-plane": Effect(
        "control-plane",
        (effects.READS, effects.TRACES),
        "What ran on the machine ends with it: the API server's process is told so when the machine boots.",
        (*effects.THE_API, effects.NAMES),
    ),
}
"""Containers that are no component, or less than a machine with all that runs on it."""


def effect_of(container: str) -> Effect:
    """What is expected of a container's absence: most of node-2's and node-3's is nobody's business."""
    if (own := OF_CONTAINERS.get(container)) is not None:
        return own
    known = {effect.absent.replace("@", "-"): effect for effect in EFFECTS}
    return known.get(container) or Effect(container, (), "Nothing that is asked for depends on it now.", seconds=4.0)


class Containers:
    """A cluster of containers."""

    def __init__(self, cluster: Composed, container: str) -> None:
        self._cluster, self._container = cluster, container

    async def take_away(self, absent: str) -> None:
        await asyncio.to_thread(self._cluster.kill, self._container)

    async def bring_back(self, absent: str) -> None:
        await asyncio.to_thread(self._cluster.start, self._container)


def lasting() -> Iterator[str]:
    """Every container that does not end by itself."""
    yield "nats"
    yield from names(containers(3, "ipv4"))


@pytest.mark.filterwarnings(
    "ignore:unclosed <StreamWriter:ResourceWarning"
)  # nats-py leaves those that a dead server closed
def test_what_breaks_while_a_container_is_away(composed: Composed) -> None:
    async def main(client: Client) -> dict[str, Report]:
        scene, reports = Scene(client), dict[str, Report]()
        for name in lasting():
            reports[name] = await scene.play(effect_of(name), Containers(composed, name))
            print(name, reports[name].surprises or "as expected")  # noqa: T201 - pytest shows it when the test fails
        return reports

    reports = composed.run(main)
    gc.collect()
    assert set(reports) >= set(composed.services()) - {"prepare", "bootstrap"}
    assert {name: report.surprises for name, report in reports.items() if report.surprises} == {}
