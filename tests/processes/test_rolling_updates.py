"""A rolling update under constant load while processes die, as tests/cluster/test_rolling_updates.py has it, with real
processes: what is lost is what docs/rolling-updates.md says."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest
from live_cluster import LiveCluster, until
from tests.cluster.rolling.fates import Kind
from tests.cluster.rolling.scene import Scene
from tests.cluster.rolling.stage import Victim
from tests.cluster.rolling.table import judged

from podwire.proto import subjects
from podwire.proto.messages import machine as messages
from podwire.scripts.cluster.addressing import ADDRESSING
from podwire.scripts.cluster.client import Client
from podwire.scripts.cluster.folder import RunningProcess
from podwire.scripts.cluster.sessions import run_in_pod
from podwire.services.chassis.bus.base import Stored
from podwire.services.chassis.clock import SECOND
from podwire.services.chassis.eventlog.follow import Follower, Silence
from podwire.services.chassis.live.clock import LiveClock

MACHINES = ("control-plane", "node-1", "node-2", "node-3")
FIRST_MACHINE = 2
LATENESS = 2 * SECOND
SEED = 1
"""It kills all of them; when exactly is real time's doing."""


class Process:
    """One of the cluster's processes."""

    def __init__(self, process: RunningProcess) -> None:
        self.node, self._pid = process.node, process.pid

    def pause(self) -> None:
        self._send(signal.SIGSTOP)

    def kill(self) -> bool:
        return self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> bool:
        try:
            os.kill(self._pid, number)
        except ProcessLookupError:
            return False
        return True


class LiveStage:
    """A cluster of real processes."""

    def __init__(self, cluster: LiveCluster, client: Client) -> None:
        self.api, self.bus, self.clock = client.api, client.bus, LiveClock()
        self._cluster, self._client = cluster, client
        self._stored: list[Stored] = []
        patterns = [subjects.ALL_EVENTS]
        self.follower = Follower(client.bus, patterns, 1, self._stored.append, lambda _: None, lambda: None, Silence())

    def machines(self) -> dict[str, str]:
        addresses = (ADDRESSING["ipv4"].machine(FIRST_MACHINE + number)[0] for number in range(len(MACHINES)))
        return {name: address.partition("/")[0] for name, address in zip(MACHINES, addresses, strict=True)}

    def log(self) -> Iterable[Stored]:
        return list(self._stored)

    async def until(self, condition: Callable[[], Awaitable[bool]], seconds: float, what: str) -> float:
        began = time.monotonic()
        while not await condition():
            assert time.monotonic() - began < seconds, f"not within {seconds:g} s: {what}"
            await asyncio.sleep(0.2)
        return time.monotonic() - began

    async def ask(self, node: str, call: messages.Call) -> messages.Answer:
        return await self._client.ask_machine(node, call, 20)

    async def execute(self, pod: dict[str, Any], command: list[str]) -> tuple[str, int]:
        output = bytearray()
        code = await run_in_pod(self._client, pod, command, lambda _, data: output.extend(data))
        return output.decode(), code

    def victims(self, component: str) -> list[Victim]:
        claims = component in ("kube-proxy", "coredns")
        processes = self._cluster.folder.read_processes()
        found = [each for each in processes if each.component == component and (each.claimed or not claims)]
        return [Process(each) for each in found]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_deaths_lose_only_what_a_real_cluster_would_lose(new_cluster: Callable[[], LiveCluster]) -> None:
    cluster = new_cluster()
    cluster.up()
    until(cluster.missing, 30)

    async def main(client: Client) -> list[str]:
        stage = LiveStage(cluster, client)
        following = asyncio.get_running_loop().create_task(stage.follower.run())
        scene = Scene(stage, 5, SEED)
        requests = await scene.play(deaths=True)
        stage.follower.close()
        await following
        fates = judged(stage, scene, requests, LATENESS)
        assert len(scene.outages) > 8
        assert sum(fate.kind is Kind.ANSWERED for fate in fates) > 0.7 * len(fates)
        return [f"{fate.request.way}: {fate.kind}: {fate.request.text}" for fate in fates if not fate.excused]

    assert cluster.run(main) == []
