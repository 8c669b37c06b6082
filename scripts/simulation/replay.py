"""A simulated cluster that goes on from a log, as `podwire up` continues a folder: kernels empty, containers anew."""

import asyncio
from pathlib import Path
from typing import Final

from podwire.proto.kube import resources
from podwire.proto.subjects import SubjectError, parse_object_events
from podwire.scripts.cluster.readiness import is_ready
from podwire.scripts.history.log import Log
from podwire.scripts.simulation.cluster import SimulatedCluster
from podwire.services.apiserver.core.times import parse_time
from podwire.services.chassis.api.client import ApiError, ApiUnavailable
from podwire.services.chassis.bus.base import Stored
from podwire.services.chassis.clock import SECOND
from podwire.services.chassis.eventlog.compaction import LAST_STATE_ONLY

QUIET: Final = 2.0
"""Seconds without a change after which a cluster has settled: kube-proxy's sync period is one."""
_LONGEST: Final = 120.0
_SEED: Final = 0


class Replay:
    """One cluster from one log."""

    def __init__(self, log: Log, static_pods: Path) -> None:
        began = max((event.event.time for event in log.events), default=0) + SECOND
        self.cluster = SimulatedCluster(_SEED, log.shape.workers, static_pods, log.shape.ip_family, began)
        stream = self.cluster.broker.stream
        stream.restore(log.records, log.last)
        stream.observers.append(self._observe)
        self._began, self._changed = began, 0

    def _observe(self, stored: Stored) -> None:
        """Takes note of when something changed last; machines' signs of life are none."""
        try:
            key = parse_object_events(stored.subject)
        except SubjectError:
            return
        if (key.group, key.resource) not in LAST_STATE_ONLY:
            self._changed = self.cluster.loop.now_ns

    async def settle(self) -> None:
        """Starts everything, and waits until machines have reported and nothing changes any more."""
        cluster = self.cluster
        cluster.start_all()
        try:
            async with asyncio.timeout(_LONGEST):
                while not await self._settled():
                    await asyncio.sleep(0.1)
        except TimeoutError:
            return  # what never comes to rest is probed as it is

    async def _settled(self) -> bool:
        if self.cluster.loop.now_ns - self._changed < QUIET * SECOND:
            return False
        try:
            nodes = await self.cluster.api.list(resources.NODES)
        except (ApiError, ApiUnavailable):
            return False
        alive = [node for node in nodes if is_ready(node) and self._reported(node)]
        return len(alive) >= len(self.cluster.layout.machines)

    def _reported(self, node: dict[str, object]) -> bool:
        """Whether the kubelet of this life has spoken: what the log says is of an earlier one."""
        status = node.get("status")
        conditions = status.get("conditions") or [] if isinstance(status, dict) else []
        times = [parse_time(entry.get("lastHeartbeatTime")) for entry in conditions if entry["type"] == "Ready"]
        return any(time is not None and time + SECOND > self._began for time in times)
