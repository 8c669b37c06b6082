"""Each component is killed under load, and stays away: what breaks, what does not, and that all is well afterwards.

`--write-failure-modes` writes docs/failure-modes.md from the run.
"""

import os
import signal
import time
from collections.abc import Callable

import pytest
from live_cluster import LiveCluster, until
from tests.failures.effects import EFFECTS
from tests.failures.report import write_report
from tests.failures.scene import Report, Scene

from podwire.scripts.chaos import processes
from podwire.scripts.cluster.client import Client

_FOR_EVER = 600.0
MACHINES = ("external", "node-3", "control-plane")


class Processes:
    """A cluster of processes."""

    def __init__(self, cluster: LiveCluster) -> None:
        self._folder = cluster.folder

    async def take_away(self, absent: str) -> None:
        if absent in MACHINES:
            processes.power_off(self._folder, absent, _FOR_EVER)
            return
        ended = [entry for entry in self._folder.read_processes() if absent in (entry.place, entry.component)]
        assert ended, absent
        self._folder.hold(ended[0].place, time.monotonic() + _FOR_EVER)
        for process in ended:
            os.kill(process.pid, signal.SIGKILL)

    async def bring_back(self, absent: str) -> None:
        self._folder.release_all()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_what_breaks_while_a_component_is_away(
    new_cluster: Callable[[], LiveCluster], request: pytest.FixtureRequest
) -> None:
    cluster = new_cluster()
    cluster.up()
    until(cluster.missing, 60)

    async def main(client: Client) -> list[Report]:
        scene, ground = Scene(client), Processes(cluster)
        return [await scene.play(effect, ground) for effect in EFFECTS]

    reports = cluster.run(main)
    if request.config.getoption("--write-failure-modes"):
        write_report(reports)
    assert {report.effect.absent: report.surprises for report in reports if report.surprises} == {}
