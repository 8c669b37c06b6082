"""Failures come out as they do in a real cluster, because of what each component knows and does."""

import asyncio

import pytest

from podwire.proto.kube import resources
from podwire.scripts.cluster.readiness import is_ready
from podwire.scripts.simulation.scenario import REPLICAS

from .conftest import Booted

AGENTS = ["apiserver", "controllers", "scheduler", "recorder", "kubelet@node-1", "flannel@node-1", "kube-proxy@node-1"]


@pytest.mark.parametrize("place", [*AGENTS, "node@node-1"])
def test_the_cluster_is_whole_again_after_a_kill(booted: Booted, place: str) -> None:
    cluster, scenario = booted.cluster, booted.scenario

    async def main() -> float:
        await scenario.apply_workload()
        await scenario.request()
        cluster.kill(cluster.find(place))
        await asyncio.sleep(0.5)
        took = await cluster.until(scenario.whole, 10, f"whole again after the death of {place}")
        assert (await scenario.request()).startswith("HTTP 200")
        return took

    assert cluster.run(main()) < 10


def test_a_process_that_is_killed_before_its_first_step_is_started_anew(booted: Booted) -> None:
    cluster = booted.cluster

    async def main() -> None:
        killed = cluster.find("recorder")
        cluster.kill(killed, back_after=1e6)
        await asyncio.sleep(0.01)
        cluster.kill(cluster.start(killed.plan))
        await asyncio.sleep(0.01)
        assert not [entry for entry in cluster.processes if entry.plan is killed.plan]
        await cluster.until(booted.scenario.whole, 10, "whole again")
        assert cluster.find("recorder").claimed

    cluster.run(main())


def test_traffic_flows_while_the_api_server_is_dead(booted: Booted) -> None:
    cluster, scenario = booted.cluster, booted.scenario

    async def main() -> None:
        await scenario.apply_workload()
        await scenario.request()
        service = await cluster.api.get(resources.SERVICES, "default", "my-api")
        cluster.pause(cluster.find("apiserver"))
        for _ in range(5):
            assert (await scenario.connect(service["spec"]["clusterIP"])).startswith("HTTP 200")
            await asyncio.sleep(5)

    cluster.run(main())


def test_a_paused_kube_proxy_leaves_its_rules_stale(booted: Booted) -> None:
    cluster, scenario = booted.cluster, booted.scenario
    last = cluster.layout.machines[-1].name

    async def main() -> None:
        await scenario.apply_workload()
        await scenario.request()
        proxy = cluster.find(f"kube-proxy@{last}")
        cluster.pause(proxy)
        pods = await cluster.api.list(resources.PODS, "default")
        service = await cluster.api.get(resources.SERVICES, "default", "my-api")
        for pod in pods:
            await cluster.api.delete(resources.PODS, "default", pod["metadata"]["name"])

        async def replaced() -> bool:
            found = await cluster.api.list(resources.PODS, "default")
            names = [pod["metadata"]["name"] for pod in found]
            old = [pod["metadata"]["name"] for pod in pods]
            return len(found) == REPLICAS and not set(names) & set(old) and all(is_ready(pod) for pod in found)

        await cluster.until(replaced, 90, "the pods are replaced")
        stale = await scenario.connect(service["spec"]["clusterIP"])
        assert not stale.startswith("HTTP 200"), "rules that nobody updated still point at the old pods"
        cluster.resume(proxy)
        assert (await scenario.request()).startswith("HTTP 200")

    cluster.run(main())


def test_a_node_that_is_silent_becomes_not_ready_and_its_pods_go(booted: Booted) -> None:
    cluster, scenario = booted.cluster, booted.scenario

    async def main() -> None:
        await scenario.apply_workload()
        cluster.pause(cluster.find("kubelet@node-1"))

        async def unknown() -> bool:
            node = await cluster.api.get(resources.NODES, "", "node-1")
            return any(c["type"] == "Ready" and c["status"] == "Unknown" for c in node["status"]["conditions"])

        took = await cluster.until(unknown, 60, "the node's Ready is Unknown")
        assert took > 25, "the grace period is 40 s since the last lease"

        async def moved() -> bool:
            pods = await cluster.api.list(resources.PODS, "default")
            ready = [pod for pod in pods if is_ready(pod) and not pod["metadata"].get("deletionTimestamp")]
            return len(ready) == REPLICAS and all(pod["spec"]["nodeName"] != "node-1" for pod in ready)

        took = await cluster.until(moved, 400, "the pods run elsewhere")
        assert took > 290, "they tolerate an unreachable node for 300 s"

    cluster.run(main())
