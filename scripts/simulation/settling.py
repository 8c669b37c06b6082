"""When a simulated cluster has come to rest: machines have spoken, and nothing changes any more."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from podwire.proto.kube import resources
from podwire.proto.subjects import SubjectError, parse_object_events
from podwire.scripts.cluster.readiness import is_ready
from podwire.scripts.simulation.cluster import SimulatedCluster
from podwire.services.apiserver.core.times import parse_time
from podwire.services.chassis.api.client import ApiError, ApiUnavailable
from podwire.services.chassis.bus.base import Stored
from podwire.services.chassis.clock import SECOND
from podwire.services.chassis.eventlog.compaction import LAST_STATE_ONLY

QUIET: Final = 2.0
"""Seconds without a change after which a cluster has settled: kube-proxy's sync period is one."""
_EVERY: Final = 0.1

type Missing = Callable[[], Awaitable[str]]


class Settling:
    """Watches one cluster's event log from now on."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        self._cluster = cluster
        self._changed = cluster.loop.now_ns
        cluster.broker.stream.observers.append(self._observe)

    def _observe(self, stored: Stored) -> None:
        """Takes note of when something changed last; machines' signs of life are none."""
        try:
            key = parse_object_events(stored.subject)
        except SubjectError:
            return
        if (key.group, key.resource) not in LAST_STATE_ONLY:
            self._changed = self._cluster.loop.now_ns

    async def rest(self, missing: Missing, seconds: float) -> str:
        """Waits until it is quiet and nothing is missing; what is missing after so many seconds ("" for none)."""
        began = self._cluster.loop.now_ns
        self._changed = max(self._changed, began)
        while True:
            quiet = self._cluster.loop.now_ns - self._changed >= QUIET * SECOND
            lacking = await self._told(missing) if quiet else "it has not come to rest"
            if not lacking or self._cluster.loop.now_ns - began > seconds * SECOND:
                return lacking
            await asyncio.sleep(_EVERY)

    async def _told(self, missing: Missing) -> str:
        try:
            return await missing()
        except (ApiError, ApiUnavailable) as error:
            return str(error)

    async def machines(self, since: int = 0) -> str:
        """Which machines are not Ready, or were not heard since a time (nanoseconds since the epoch)."""
        nodes = await self._cluster.api.list(resources.NODES)
        known = {node["metadata"]["name"]: node for node in nodes}
        wanted = [machine.name for machine in self._cluster.layout.machines]
        silent = [name for name in wanted if name not in known or not _is_up(known[name], since)]
        return f"not Ready: {', '.join(silent)}" if silent else ""

    async def pods(self) -> str:
        """Which pods are neither Ready nor at their end, and why."""
        pods = await self._cluster.api.list(resources.PODS)
        waiting = [f"{_name(pod)}{_why(pod)}" for pod in pods if not (is_ready(pod) or _is_done(pod))]
        return f"not Ready: {', '.join(waiting)}" if waiting else ""


def _is_up(node: dict[str, Any], since: int) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or []
    times = [parse_time(entry.get("lastHeartbeatTime")) for entry in conditions if entry["type"] == "Ready"]
    return is_ready(node) and any(time is not None and time + SECOND > since for time in times)


def _is_done(pod: dict[str, Any]) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _name(pod: dict[str, Any]) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def _why(pod: dict[str, Any]) -> str:
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    reasons = [entry["state"]["waiting"].get("reason", "") for entry in statuses if "waiting" in entry.get("state", {})]
    return f" ({', '.join(filter(None, reasons))})" if any(reasons) else ""
