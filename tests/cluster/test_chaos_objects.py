"""Chaos objects in a whole cluster, on virtual time: what they break, what they say, how they end."""

import asyncio
from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from podwire.proto.kube import resources
from podwire.proto.kube.resources import Resource
from podwire.proto.messages.machine import Connect, Outcome
from podwire.scripts.chaos.checks import carry_out
from podwire.scripts.chaos.plan import Check, Dns
from podwire.services.chassis.api.client import ApiError

from .conftest import Booted
from .operating import ask, execute, shell

Json = dict[str, Any]
NETWORK = Resource("chaos-mesh.org", "v1alpha1", "networkchaos", "NetworkChaos")
POD = Resource("chaos-mesh.org", "v1alpha1", "podchaos", "PodChaos")
DNS = Resource("chaos-mesh.org", "v1alpha1", "dnschaos", "DNSChaos")
TIME = Resource("chaos-mesh.org", "v1alpha1", "timechaos", "TimeChaos")
SCHEDULES = Resource("chaos-mesh.org", "v1alpha1", "schedules", "Schedule")
MILLISECOND = 1_000_000
SECOND = 1000 * MILLISECOND
CLIENT, SERVER = {"labelSelectors": {"app": "client"}}, {"labelSelectors": {"app": "server"}}


class Stage:
    """A client on node-1, and two servers, one on each machine."""

    def __init__(self, booted: Booted) -> None:
        self.booted, self.api = booted, booted.cluster.api

    async def set(self) -> None:
        for name, app, node in (("client", "client", 1), ("near", "server", 1), ("far", "server", 2)):
            container = {"name": "main", "image": "nginx"}
            spec = {"containers": [container], "nodeName": f"node-{node}", "terminationGracePeriodSeconds": 0}
            await self.api.create(
                resources.PODS, "default", {"metadata": {"name": name, "labels": {"app": app}}, "spec": spec}
            )
        await self.until(self.all_ready, 30, "the pods are Ready")
        assert await self.took("near") is not None and await self.took("far") is not None

    async def until(self, condition: Callable[[], Awaitable[bool]], seconds: float, what: str) -> None:
        await self.booted.cluster.until(condition, seconds, what)

    async def all_ready(self) -> bool:
        listed = await self.api.list(resources.PODS, "default")
        return len(listed) >= 3 and all(
            status["ready"] for pod in listed for status in pod["status"].get("containerStatuses") or [{"ready": False}]
        )

    async def pod(self, name: str) -> Json:
        return await self.api.get(resources.PODS, "default", name)

    async def took(self, target: str, source: str = "client") -> int | None:
        """How long (ns) a request took; None for no answer within three seconds."""
        pod, other = await self.pod(source), await self.pod(target)
        call = Connect(
            trace="", namespace="default", pod=source, kind="http", address=other["status"]["podIP"], port=80, timeout=3
        )
        answer = await ask(self.booted, pod["spec"]["nodeName"], call)
        assert isinstance(answer, Outcome)
        return answer.duration if answer.success else None

    async def chaos(self, name: str, resource: Resource = NETWORK, **spec: Any) -> None:
        body = {"metadata": {"name": name}, "spec": {"mode": "all", "selector": CLIENT, **spec}}
        await self.api.create(resource, "default", body)

    async def condition(self, name: str, kind: str, resource: Resource = NETWORK, value: str = "True") -> None:
        async def holds() -> bool:
            found = (await self.api.get(resource, "default", name)).get("status", {}).get("conditions", [])
            return any(entry["type"] == kind and entry["status"] == value for entry in found)

        await self.until(holds, 30, f"{name}: {kind} is {value}")

    async def gone(self, name: str, resource: Resource = NETWORK) -> None:
        await self.api.delete(resource, "default", name)

        async def looked() -> bool:
            try:
                await self.api.get(resource, "default", name)
            except ApiError as error:
                return error.code == 404
            return False

        await self.until(looked, 30, f"{name} is gone")

    async def said(self, name: str) -> list[str]:
        events = await self.api.list(resources.EVENTS, "default")
        return [event["message"] for event in events if event["involvedObject"]["name"] == name]


def play(booted: Booted, scene: Callable[[Stage], Awaitable[None]]) -> None:
    async def main() -> None:
        stage = Stage(booted)
        await stage.set()
        await scene(stage)

    booted.cluster.run(main())


def test_a_partition_stands_until_its_object_goes(booted: Booted) -> None:
    async def scene(stage: Stage) -> None:
        target = {"mode": "all", "selector": {"pods": {"default": ["far"]}}}
        await stage.chaos("cut", action="partition", direction="both", target=target)
        await stage.condition("cut", "AllInjected")
        assert await stage.took("far") is None and await stage.took("far", "near") is not None
        assert await stage.took("near") is not None
        cut = await stage.api.get(NETWORK, "default", "cut")
        assert cut["metadata"]["finalizers"] == ["chaos-mesh/records"]
        records = cut["status"]["experiment"]["containerRecords"]
        found = [(record["id"], record["selectorKey"], record["phase"], record["injectedCount"]) for record in records]
        assert found == [("default/client", ".", "Injected", 1), ("default/far", ".Target", "Injected", 1)]
        assert "Successfully apply chaos for default/client" in await stage.said("cut")
        await stage.gone("cut")
        assert await stage.took("far") is not None
        namespaces, _ = await shell(booted, "node-1", "ip netns list")
        names = [line.split()[0] for line in namespaces.splitlines()]
        rules = [(await shell(booted, "node-1", f"ip netns exec {name} iptables-save"))[0] for name in names]
        assert not any("CHAOS" in text for text in rules)

    play(booted, scene)


def test_a_delay_is_on_the_way_to_its_target_alone_and_ends_with_its_duration(booted: Booted) -> None:
    async def scene(stage: Stage) -> None:
        target = {"mode": "all", "selector": {"pods": {"default": ["far"]}}}
        delay = {"latency": "200ms", "correlation": "25"}
        await stage.chaos("slow", action="delay", delay=delay, target=target, duration="30s")
        await stage.condition("slow", "AllInjected")
        far, near = await stage.took("far"), await stage.took("near")
        assert far is not None and far >= 400 * MILLISECOND
        assert near is not None and near < 100 * MILLISECOND
        await stage.condition("slow", "AllRecovered")
        far = await stage.took("far")
        assert far is not None and far < 100 * MILLISECOND
        assert "Time up according to the duration" in await stage.said("slow")

    play(booted, scene)


@pytest.mark.slow
def test_a_pause_heals_for_a_while(booted: Booted) -> None:
    async def scene(stage: Stage) -> None:
        await stage.chaos("lossy", action="loss", loss={"loss": "100"})
        await stage.condition("lossy", "AllInjected")
        assert await stage.took("near") is None
        annotation: Json = {"metadata": {"annotations": {"experiment.chaos-mesh.org/pause": "true"}}}
        await stage.api.patch(NETWORK, "default", "lossy", annotation)
        await stage.condition("lossy", "Paused")
        await stage.condition("lossy", "AllRecovered")
        assert await stage.took("near") is not None
        annotation["metadata"]["annotations"]["experiment.chaos-mesh.org/pause"] = None
        await stage.api.patch(NETWORK, "default", "lossy", annotation)
        await stage.condition("lossy", "AllInjected")
        assert await stage.took("near") is None

    play(booted, scene)


@pytest.mark.slow
def test_faults_outlive_the_controllers_and_come_back_after_a_boot(booted: Booted) -> None:
    async def scene(stage: Stage) -> None:
        cluster = booted.cluster
        await stage.chaos("lossy", action="loss", loss={"loss": "100"}, selector={"pods": {"default": ["far"]}})
        await stage.condition("lossy", "AllInjected")
        cluster.kill(cluster.find("chaos"), back_after=20)
        await asyncio.sleep(5)
        assert await stage.took("far") is None
        await stage.api.delete(NETWORK, "default", "lossy")
        await asyncio.sleep(5)
        assert await stage.took("far") is None
        await asyncio.sleep(15)
        assert await stage.took("far") is not None
        await stage.chaos("again", action="loss", loss={"loss": "100"}, selector={"pods": {"default": ["far"]}})
        await stage.condition("again", "AllInjected")
        cluster.power_off("node-2")
        await asyncio.sleep(3)
        cluster.power_on("node-2")
        await stage.until(stage.all_ready, 60, "the pods are Ready again")
        await asyncio.sleep(12)
        assert await stage.took("far") is None
        await stage.gone("again")
        assert await stage.took("far") is not None

    play(booted, scene)


@pytest.mark.slow
def test_pods_are_killed_fail_and_lose_containers(booted: Booted) -> None:
    async def scene(stage: Stage) -> None:
        near = {"pods": {"default": ["near"]}}
        await stage.chaos("crash", POD, action="container-kill", containerNames=["main"], selector=near)
        await stage.condition("crash", "AllInjected", POD)

        async def restarted() -> bool:
            status = (await stage.pod("near"))["status"]["containerStatuses"][0]
            return bool(status["restartCount"] == 1 and status["ready"])

        await stage.until(restarted, 30, "the container runs again")
        await stage.chaos("failing", POD, action="pod-failure", selector=near, duration="20s")
        await stage.condition("failing", "AllInjected", POD)
        assert (await stage.pod("near"))["spec"]["containers"][0]["image"].endswith("pause:latest")
        await asyncio.sleep(5)
        assert await stage.took("near") is None
        await stage.condition("failing", "AllRecovered", POD)
        assert (await stage.pod("near"))["spec"]["containers"][0]["image"] == "nginx"
        await stage.until(stage.all_ready, 60, "the pod serves again")
        assert await stage.took("near") is not None
        await stage.chaos("kill", POD, action="pod-kill", selector=SERVER, mode="fixed", value="1")
        await stage.condition("kill", "AllInjected", POD)

        async def fewer() -> bool:
            return len(await stage.api.list(resources.PODS, "default")) == 2

        await stage.until(fewer, 10, "one server is gone")
        await stage.gone("kill", POD)

    play(booted, scene)


@pytest.mark.slow
def test_a_schedule_makes_one_a_minute_and_keeps_the_last(booted: Booted) -> None:
    async def scene(stage: Stage) -> None:
        spec = {"mode": "all", "selector": CLIENT, "action": "loss", "loss": {"loss": "100"}, "duration": "20s"}
        body = {"schedule": "* * * * *", "type": "NetworkChaos", "historyLimit": 1, "networkChaos": spec}
        await stage.api.create(SCHEDULES, "default", {"metadata": {"name": "minutely"}, "spec": body})
        broken = 0
        for _ in range(36):
            await asyncio.sleep(5)
            broken += await stage.took("near") is None
        assert 6 <= broken <= 12
        made = await stage.api.list(NETWORK, "default")
        assert 1 <= len(made) <= 2
        assert all(each["metadata"]["ownerReferences"][0]["name"] == "minutely" for each in made)
        await stage.api.delete(SCHEDULES, "default", "minutely")

        async def none_left() -> bool:
            return not await stage.api.list(NETWORK, "default")

        await stage.until(none_left, 30, "what the schedule made is gone")
        assert await stage.took("near") is not None

    play(booted, scene)


@pytest.mark.slow
def test_names_are_answered_wrongly_for_those_who_are_selected(booted: Booted) -> None:
    async def scene(stage: Stage) -> None:
        async def resolved(source: str, name: str) -> str:
            pod = await stage.pod(source)
            call = Dns(from_=source, name=f"{name}.svc.cluster.local")
            check = Check(name="x", dns=call)
            assert pod["metadata"]["name"] == source
            return (await carry_out(booted.cluster.client, check, "default")).said

        right = await resolved("client", "kubernetes.default")
        assert right == "10.96.0.1"
        await stage.chaos("wrong", DNS, action="error", patterns=["kubernetes.*"])
        await stage.condition("wrong", "AllInjected", DNS)
        await asyncio.sleep(1)
        assert await resolved("client", "kubernetes.default") == "SERVFAIL"
        assert await resolved("near", "kubernetes.default") == right
        assert await resolved("client", "kube-dns.kube-system") == "10.96.0.10"
        await stage.gone("wrong", DNS)
        await asyncio.sleep(1)
        assert await resolved("client", "kubernetes.default") == right
        await stage.chaos("random", DNS, action="random", selector=SERVER, duration="10s")
        await stage.condition("random", "AllInjected", DNS)
        await asyncio.sleep(1)
        answers = {await resolved("near", "kubernetes.default") for _ in range(3)}
        assert len(answers) > 1 and right not in answers
        await stage.condition("random", "AllRecovered", DNS)
        await asyncio.sleep(1)
        assert await resolved("near", "kubernetes.default") == right

    play(booted, scene)


@pytest.mark.slow
def test_the_clocks_of_programs_go_wrong(booted: Booted) -> None:
    async def scene(stage: Stage) -> None:
        async def wrong(name: str) -> int:
            """How many seconds the clock of a pod's web server is off."""
            address = (await stage.pod(name))["status"]["podIP"]
            command = f"curl -sI http://{address} | sed -n 's/^Date: //p'; date +%s"
            output, code = await execute(booted, await stage.pod("client"), ["sh", "-c", command])
            said, right = output.replace("\r", "").strip().splitlines()
            assert code == 0, output
            return round(parsedate_to_datetime(said).timestamp()) - int(right)

        async def is_wrong(name: str, seconds: int) -> bool:
            return abs(await wrong(name) - seconds) <= 1

        assert await is_wrong("near", 0)
        await stage.chaos("late", TIME, timeOffset="-10m100ns", selector=SERVER)
        await stage.condition("late", "AllInjected", TIME)
        assert await is_wrong("near", -600) and await is_wrong("far", -600) and await is_wrong("client", 0)
        assert (await execute(booted, await stage.pod("near"), ["date", "+%s"]))[0].strip() == (
            await shell(booted, "node-1", "date +%s")
        )[0].strip()
        only = {"pods": {"default": ["far"]}}
        await stage.chaos("early", TIME, timeOffset="1h", selector=only, duration="20s")
        await stage.condition("early", "AllInjected", TIME)
        assert await is_wrong("far", 3000) and await is_wrong("near", -600)
        await stage.condition("early", "AllRecovered", TIME)
        assert await is_wrong("far", -600)
        await stage.chaos("kill", POD, action="container-kill", containerNames=["main"], selector=SERVER)
        await stage.condition("kill", "AllInjected", POD)
        await asyncio.sleep(12)
        assert await is_wrong("near", -600)
        await stage.gone("late", TIME)
        assert await is_wrong("near", 0) and await is_wrong("far", 0)
        system = {"namespaces": ["kube-system"], "labelSelectors": {"k8s-app": "kube-dns"}}
        await stage.chaos("refused", TIME, timeOffset="1h", selector=system, mode="one")
        await stage.condition("refused", "AllInjected", TIME, value="False")
        await asyncio.sleep(2)
        assert "coredns is a process of the cluster's own" in " ".join(await stage.said("refused"))
        await stage.gone("refused", TIME)

    play(booted, scene)


def test_what_cannot_be_done_is_said(booted: Booted) -> None:
    async def scene(stage: Stage) -> None:
        await stage.chaos("nobody", action="loss", loss={"loss": "1"}, selector={"labelSelectors": {"app": "x"}})
        await stage.condition("nobody", "Selected", value="False")
        await stage.chaos("half", action="delay", selector=CLIENT)
        await stage.condition("half", "Selected", value="False")
        host = {"namespaces": ["kube-system"], "labelSelectors": {"k8s-app": "kube-proxy"}}
        await stage.chaos("host", action="loss", loss={"loss": "1"}, selector=host, mode="one")
        await stage.condition("host", "AllInjected", value="False")
        await asyncio.sleep(2)
        assert "Failed to select targets: no pod is selected" in await stage.said("nobody")
        assert "Failed to select targets: spec.delay: is needed for the action delay" in await stage.said("half")
        assert "It's dangerous to inject network chaos on a pod" in " ".join(await stage.said("host"))
        for name in ("nobody", "half", "host"):
            await stage.gone(name)

    play(booted, scene)
