"""Pods of a whole simulated cluster, as a user makes them and sees them."""

from collections.abc import Awaitable, Callable
from typing import Any

from podwire.proto.kube import resources
from podwire.proto.messages.api import ApiRequest

from .conftest import Booted

Json = dict[str, Any]


def shell(name: str, script: str, **more: Any) -> Json:
    return {"name": name, "image": "busybox", "command": ["sh", "-c", script]} | more


class Pods:
    """What a user sees of the pods of one cluster."""

    def __init__(self, booted: Booted) -> None:
        self._cluster, self.api = booted.cluster, booted.cluster.api

    async def create(self, name: str, *containers: Json, **spec: Any) -> None:
        body = {"metadata": {"name": name}, "spec": {"containers": list(containers), **spec}}
        await self.api.create(resources.PODS, "default", body)

    async def get(self, name: str) -> Json:
        return await self.api.get(resources.PODS, "default", name)

    async def until(self, name: str, holds: Callable[[Json], bool], seconds: float, what: str) -> Json:
        async def looked() -> bool:
            return holds(await self.get(name))

        await self._cluster.until(looked, seconds, what)
        return await self.get(name)

    async def until_gone(self, name: str, seconds: float) -> float:
        async def looked() -> bool:
            return name not in [pod["metadata"]["name"] for pod in await self.api.list(resources.PODS, "default")]

        return await self._cluster.until(looked, seconds, f"{name} is gone")

    async def log(self, name: str, container: str, namespace: str = "default", *, previous: bool = False) -> str:
        path = resources.PODS.path(namespace, name, "log")
        query = [("container", container), *([("previous", "true")] if previous else [])]
        answer = await self.api.request(ApiRequest(method="GET", path=path, query=query))
        return answer.body.decode()

    async def events(self, name: str, reason: str) -> list[str]:
        events = await self.api.list(resources.EVENTS, "default")
        mine = [event for event in events if event["involvedObject"]["name"] == name and event["reason"] == reason]
        return [event["message"] for event in sorted(mine, key=lambda event: event["metadata"]["resourceVersion"])]


def run(booted: Booted, work: Callable[[Pods], Awaitable[None]]) -> None:
    async def main() -> None:
        await work(Pods(booted))

    booted.cluster.run(main())


async def output_of(pods: Pods, name: str, script: str) -> str:
    """What a shell script in a pod of its own prints, with both streams."""
    await pods.create(name, shell("c", f"{{ {script} ; }} 2>&1"), restartPolicy="Never")
    await pods.until(name, lambda pod: pod["status"]["phase"] in ("Succeeded", "Failed"), 60, f"{name} has ended")
    return await pods.log(name, "c")
