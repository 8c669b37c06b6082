"""Long outages: NATS gone under load, every kind of process stopped for half a minute, a cluster that is continued."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from live_cluster import WORKLOAD, LiveCluster, PodState, until

from podwire.proto import subjects
from podwire.proto.kube import resources
from podwire.scripts.cluster.client import Client
from podwire.services.chassis.api.client import ApiError, ApiUnavailable
from podwire.services.chassis.eventlog.log import EventLog, StoredEvent
from podwire.services.chassis.tasks import OrderedTaskGroup

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

WRITERS, WRITES = 20, 40
STOPPED = 30.0


class Writers:
    """Concurrent writers through the API, each raising a counter in a ConfigMap of its own by conditional updates."""

    def __init__(self, client: Client) -> None:
        self.acknowledged: dict[tuple[str, int], int] = {}
        """The revision of each acknowledged (name, count)."""
        self._api = client.api

    async def write(self, number: int) -> None:
        name = f"writer-{number}"
        body: dict[str, Any] = {"metadata": {"name": name}, "data": {"count": "0"}}
        current = await self._persist(lambda: self._api.create(resources.CONFIG_MAPS, "default", body), name, 0)
        for count in range(1, WRITES):
            wanted = {**current, "data": {"count": str(count)}}
            current = await self._persist(
                lambda wanted=wanted: self._api.update(resources.CONFIG_MAPS, wanted), name, count
            )  # type: ignore[misc]  # mypy cannot type a lambda's default
            self.acknowledged[name, count] = int(current["metadata"]["resourceVersion"])

    async def _persist(self, attempt: Callable[[], Any], name: str, count: int) -> dict[str, Any]:
        """Tries until it is known to have taken place: an attempt without an answer may have."""
        while True:
            try:
                answer: dict[str, Any] = await attempt()
                return answer
            except (ApiUnavailable, ApiError) as error:
                found = await self._read(name)
                if found is not None and found["data"]["count"] == str(count):
                    return found
                if isinstance(error, ApiError) and error.code < 500:
                    raise
                await asyncio.sleep(0.05)

    async def _read(self, name: str) -> dict[str, Any] | None:
        while True:
            try:
                return await self._api.get(resources.CONFIG_MAPS, "default", name)
            except ApiUnavailable:
                await asyncio.sleep(0.05)
            except ApiError as error:
                if error.code == 404:
                    return None
                await asyncio.sleep(0.05)


LASTING = ("default/", "kube-system/")
"""Where pods stay; other tests' Jobs come and go in namespaces of their own."""


def restarts(pods: dict[str, PodState]) -> dict[str, int]:
    return {name: pod.restarts for name, pod in pods.items() if name.startswith(LASTING)}


def test_twenty_writers_lose_nothing_when_nats_dies_twice(cluster: LiveCluster) -> None:
    until(cluster.missing, 10)
    before = restarts(cluster.pods())
    seen: list[tuple[int, str, str]] = []

    def on_event(stored: StoredEvent) -> None:
        seen.append((stored.revision, stored.key.name, stored.event.write_id))

    async def work(client: Client) -> Writers:
        writers = Writers(client)
        scope = subjects.resource_events("", "configmaps", "default")
        async with OrderedTaskGroup() as tasks:
            follower = EventLog(client.bus).follow([scope], 1, on_event, lambda _: None, seen.clear)
            tasks.start(follower.run(), "follow")
            running = [tasks.start(writers.write(number), f"writer {number}") for number in range(WRITERS)]
            for part in (0.25, 0.6):
                while len(writers.acknowledged) < part * WRITERS * WRITES:
                    await asyncio.sleep(0.005)
                os.kill(cluster.process("nats").pid, signal.SIGKILL)
            await asyncio.gather(*running)
            async with asyncio.timeout(2):
                while len([entry for entry in seen if entry[1].startswith("writer-")]) < WRITERS * WRITES:
                    await asyncio.sleep(0.01)
            follower.close()
        return writers

    writers = cluster.run(work)
    told = {revision for revision, name, _ in seen if name.startswith("writer-")}
    lost = {key: revision for key, revision in writers.acknowledged.items() if revision not in told}
    assert lost == {}, "acknowledged writes that the log does not have"
    assert len(told) == WRITERS * WRITES, "a write that took place twice"
    assert len({write_id for *_, write_id in seen}) == len(seen)
    until(cluster.missing, 10)
    assert restarts(cluster.pods()) == before


def test_every_watch_is_current_within_a_second_of_the_first_new_write(cluster: LiveCluster) -> None:
    """The whole chain of watches: controllers, scheduler, kubelets, kube-proxies see new objects at once."""
    until(cluster.missing, 10)
    victim = cluster.signal("nats", signal.SIGKILL)
    until(lambda: cluster.without(victim), 10)
    body = {"metadata": {"name": "after"}, "spec": {"selector": {"app": "my-api"}, "ports": [{"port": 80}]}}

    def written() -> str:
        try:
            cluster.apply((resources.SERVICES, body))
        except (ApiUnavailable, ApiError) as error:
            return str(error)
        return ""

    until(written, 10)
    until(lambda: cluster.serving("after", 2), 1.0)
    for node in ("node-1", "node-2", "node-3", "control-plane"):
        until(lambda node=node: cluster.connect(node, "after"), 6)  # type: ignore[misc]  # mypy cannot type a lambda's default
    cluster.run(lambda client: client.api.delete(resources.SERVICES, "default", "after"))


STOPPED_TOGETHER = (
    ("controllers", "kubelet@node-1", "kube-proxy@node-2", "flannel@node-3", "coredns/0", "recorder"),
    ("scheduler", "node-1"),
    ("apiserver",),
    ("nats",),
)


def claims(cluster: LiveCluster) -> dict[str, str]:
    """Which process serves which kind of container, by instance."""
    running = cluster.folder.read_processes()
    return {entry.instance: f"{entry.component}@{entry.node}" for entry in running if entry.claimed}


def ending(cluster: LiveCluster) -> str:
    """The pods that are being deleted: another test's drain may have moved CoreDNS, which serves on for a while."""
    pods = cluster.list(resources.PODS)
    names = [pod["metadata"]["name"] for pod in pods if pod["metadata"].get("deletionTimestamp")]
    return f"ending: {', '.join(names)}" if names else ""


def scale(cluster: LiveCluster, replicas: int) -> None:
    patch = {"spec": {"replicas": replicas}}
    cluster.run(lambda client: client.api.patch(resources.DEPLOYMENTS, "default", "my-api", patch))


@pytest.mark.parametrize("targets", STOPPED_TOGETHER, ids=lambda targets: targets[0])
def test_half_a_minute_of_sigstop(cluster: LiveCluster, targets: tuple[str, ...]) -> None:
    """No double claim, no stale write: what others changed meanwhile stays, and the same processes go on."""
    until(lambda: cluster.serving("my-api", 2) or cluster.missing() or ending(cluster), 30)
    before, serving = restarts(cluster.pods()), claims(cluster)
    stopped = [cluster.signal(target, signal.SIGSTOP) for target in targets]
    try:
        if not {"apiserver", "nats"} & set(targets):
            scale(cluster, 4)
            scale(cluster, 3)
        time.sleep(STOPPED)
    finally:
        for process in stopped:
            os.kill(process.pid, signal.SIGCONT)
    wanted = 2 if {"apiserver", "nats"} & set(targets) else 3
    until(lambda: cluster.serving("my-api", wanted) or cluster.missing(), 60)
    assert claims(cluster) == serving
    after = restarts(cluster.pods())
    assert {name: after[name] for name in before} == before
    for node in ("node-1", "node-2", "node-3", "control-plane"):
        until(lambda node=node: cluster.connect(node), 10)  # type: ignore[misc]  # mypy cannot type a lambda's default
    scale(cluster, 2)


def identities(cluster: LiveCluster) -> dict[str, str]:
    """What must be the same cluster's: uids and addresses."""
    found = {}
    for resource in (resources.DEPLOYMENTS, resources.SERVICES, resources.CONFIG_MAPS, resources.NODES):
        for body in cluster.list(resource):
            metadata = body["metadata"]
            name = f"{resource.resource}/{metadata.get('namespace', '')}/{metadata['name']}"
            found[name] = f"{metadata['uid']} {body.get('spec', {}).get('clusterIP', '')}"
    return found


def test_a_restart_on_the_old_folder_continues_the_cluster(new_cluster: Callable[[], LiveCluster]) -> None:
    cluster = new_cluster()
    cluster.up()
    cluster.apply(*WORKLOAD)
    until(lambda: cluster.serving("my-api", 2) or cluster.missing(), 20)
    before, pods = identities(cluster), cluster.pods()
    cluster.down()
    cluster.up()
    until(lambda: cluster.serving("my-api", 2) or cluster.missing() or cluster.connect("node-1"), 30)
    assert identities(cluster) == before
    after = cluster.pods()
    assert {name for name in after if name.startswith("default/")} == {
        name for name in pods if name.startswith("default/")
    }
    own = [name for name in pods if not name.endswith("-control-plane")]
    assert {name: after[name].restarts for name in own} == dict.fromkeys(own, 1), "every machine lost its power"
