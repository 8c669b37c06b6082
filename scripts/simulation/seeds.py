"""Seeds, explored on forks of one booted cluster; one that breaks something is shrunk to its shortest schedule."""

import gc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from podwire.scripts.chaos.actions import Action
from podwire.scripts.simulation.cluster import SimulatedCluster
from podwire.scripts.simulation.draw import KINDS, draw
from podwire.scripts.simulation.exploration import Exploration, Finding, Tell
from podwire.scripts.simulation.forks import forked
from podwire.scripts.simulation.shrinking import shrink
from podwire.services.chassis.chance import derive

BOOT_SEED: Final = 0
"""Every run begins with the same boot, so that one boot serves all."""
BUSY_SHARE: Final = 0.8
"""Of the minutes asked for, faults fill this much; the rest is for settling, which takes as long as it takes."""


def _silent(line: str) -> None:
    """Nobody listens."""


class Seeds:
    """One booted cluster, from which each seed's run is forked."""

    def __init__(
        self, nodes: int, static_pods: Path, manifests: Path, minutes: float, kinds: Sequence[str] = KINDS
    ) -> None:
        self.minutes, self._kinds = minutes, kinds
        self._tell: Tell = _silent
        self.cluster = SimulatedCluster(BOOT_SEED, nodes, static_pods)
        self.exploration = Exploration(self.cluster, manifests, lambda line: self._tell(line))

    def boot(self) -> None:
        """Boots the cluster that all runs begin with. Raises SimulationFailed."""
        self.exploration.boot()
        gc.collect()
        gc.freeze()  # so that a fork's collector does not touch, and so copy, what all forks share

    def close(self) -> None:
        """Ends the cluster."""
        gc.unfreeze()
        self.cluster.close()

    def schedule(self, seed: int) -> list[Action]:
        """The faults of a seed."""
        machines = [machine.name for machine in self.cluster.layout.machines]
        return draw(derive(seed, "faults"), self.minutes * 60 * BUSY_SHARE, machines, self._kinds)

    def _run_here(self, seed: int, schedule: Sequence[Action], tell: Tell) -> Finding:
        self._tell = tell
        return self.exploration.explore(seed, schedule, self.minutes * 60 * BUSY_SHARE)

    def run(self, seed: int, schedule: Sequence[Action], tell: Tell = _silent) -> Finding:
        """Runs in a fork. Raises ForkFailed."""
        return next(forked(iter([seed]), lambda each: self._run_here(each, schedule, tell), Finding, 1))

    def run_many(self, seeds: Iterator[int], jobs: int) -> Iterator[Finding]:
        """Runs each seed in a fork of its own, `jobs` at a time; findings as they come. Raises ForkFailed."""
        return forked(seeds, lambda seed: self._run_here(seed, self.schedule(seed), _silent), Finding, jobs)

    def shortest(self, seed: int, invariant: str) -> list[Action]:
        """The shortest schedule with which the seed still breaks the invariant."""

        def breaks(schedule: Sequence[Action]) -> bool:
            violation = self.run(seed, schedule).violation
            return violation is not None and violation.invariant == invariant

        return shrink(self.schedule(seed), breaks)
