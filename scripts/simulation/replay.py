"""A simulated cluster that goes on from a log, as `podwire up` continues a folder: kernels empty, containers anew."""

from pathlib import Path
from typing import Final

from podwire.scripts.history.log import Log
from podwire.scripts.simulation.cluster import SimulatedCluster
from podwire.scripts.simulation.settling import Settling
from podwire.services.chassis.clock import SECOND

_LONGEST: Final = 120.0
_SEED: Final = 0


class Replay:
    """One cluster from one log."""

    def __init__(self, log: Log, static_pods: Path) -> None:
        self._began = max((event.event.time for event in log.events), default=0) + SECOND
        self.cluster = SimulatedCluster(_SEED, log.shape.workers, static_pods, log.shape.ip_family, self._began)
        self.cluster.broker.stream.restore(log.records, log.last)

    async def settle(self) -> None:
        """Starts everything, and waits until machines have reported and nothing changes any more.

        What never comes to rest is left as it is after two minutes.
        """
        settling = Settling(self.cluster)
        self.cluster.start_all()
        await settling.rest(lambda: settling.machines(self._began), _LONGEST)
