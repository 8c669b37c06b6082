"""The scene of a rolling update: a Deployment behind one Service, clients inside and outside, what is killed when."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from podwire.proto.kube import resources
from podwire.scripts.cluster.readiness import is_ready
from podwire.scripts.inject.outside import outside_host
from podwire.services.chassis.chance import RandomStream, below, derive
from podwire.services.node.network.sockets import Network

from ..conftest import RULES_SETTLE
from .history import Outage
from .load import WAYS, Load, Request, Source
from .stage import Stage

Json = dict[str, Any]
APP: Final = "web"
NODE_PORT: Final = 30080
REPLICAS: Final = 4
MIN_READY: Final = 3
"""Seconds that each new pod is Ready before the next old one goes."""
RATE: Final = 4.0
"""Requests a second in each way."""
CALM: Final = 2.0
"""Seconds of load before the update."""
VICTIMS: Final = ("kube-proxy", "coredns", "controllers", "cloud-provider")
KILLS: Final = 3
"""How often each of them dies."""
DEATHS_WITHIN_MS: Final = 12_000
LONGEST_PAUSE_MS: Final = 3000


def deployment(pre_stop: int) -> Json:
    """Four replicas of agnhost; with `pre_stop` seconds of sleep before each is told to end (0: none)."""
    container: Json = {
        "name": "web",
        "image": "agnhost",
        "args": ["netexec", "--http-port=8080"],
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1},
    }
    if pre_stop:
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": pre_stop}}}
    template = {"metadata": {"labels": {"app": APP}}, "spec": {"containers": [container]}}
    one_by_one = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    spec: Json = {"replicas": REPLICAS, "minReadySeconds": MIN_READY, "strategy": one_by_one}
    return {"metadata": {"name": APP}, "spec": spec | {"selector": {"matchLabels": {"app": APP}}, "template": template}}


SERVICE: Final[Json] = {
    "metadata": {"name": APP},
    "spec": {
        "type": "LoadBalancer",
        "selector": {"app": APP},
        "ports": [{"port": 80, "targetPort": 8080, "nodePort": NODE_PORT}],
    },
}


def client_pod(name: str, node: str) -> Json:
    """A pod from which requests are sent; its resolver is glibc's."""
    container = {"name": "c", "image": "debian", "command": ["sleep", "infinity"]}
    return {"metadata": {"name": name}, "spec": {"nodeName": node, "containers": [container]}}


class Scene:
    """One cluster with the workload and its clients."""

    def __init__(self, stage: Stage, pre_stop: int, seed: int) -> None:
        self.outages: list[Outage] = []
        self._stage, self._api, self._pre_stop = stage, stage.api, pre_stop
        self._chance: RandomStream = derive(seed, "what is killed when")

    async def build(self) -> Load:
        """Applies everything and waits until it serves."""
        await self._api.create(resources.DEPLOYMENTS, "default", deployment(self._pre_stop))
        await self._api.create(resources.SERVICES, "default", SERVICE)
        pods = {"cluster IP": client_pod("caller", "node-1"), "name": client_pod("namer", "node-2")}
        for body in pods.values():
            await self._api.create(resources.PODS, "default", body)
        await self._stage.until(self._serves, 60, "the workload is Ready")
        await asyncio.sleep(RULES_SETTLE)
        service = await self._api.get(resources.SERVICES, "default", APP)
        address = service["spec"]["clusterIP"]
        machines = self._stage.machines()
        sources = {
            "cluster IP": Source(address, 80, "node-1", "caller"),
            "name": Source("", 80, "node-2", "namer"),
            "node port": Source(machines["node-2"], NODE_PORT),
            "load balancer": Source(service["status"]["loadBalancer"]["ingress"][0]["ip"], 80),
        }
        assert tuple(sources) == WAYS
        host = outside_host(self._stage.bus, self._stage.clock, ("172.18.255.9",), seed=5)
        namer = await self._api.get(resources.PODS, "default", "namer")
        return Load(self._stage, sources, Network(host, ""), self._look_up(namer))

    async def _serves(self) -> bool:
        pods = await self._api.list(resources.PODS, "default")
        service = await self._api.get(resources.SERVICES, "default", APP)
        ready = [pod for pod in pods if is_ready(pod)]
        return len(ready) == len(pods) == REPLICAS + 2 and bool(service["status"].get("loadBalancer"))

    def _look_up(self, pod: Json) -> Callable[[], Awaitable[str]]:
        async def address() -> str:
            output, code = await self._stage.execute(pod, ["getent", "hosts", APP])
            return output.split()[0] if code == 0 else ""

        return address

    async def play(self, *, deaths: bool) -> list[Request]:
        """Load, a rolling update under it and, if so, deaths during it; all requests, when each has its fate."""
        load, stop, loop = await self.build(), asyncio.Event(), asyncio.get_running_loop()
        sending = loop.create_task(load.run(RATE, stop), name="load")
        await asyncio.sleep(CALM)
        dying = [loop.create_task(self.break_things(), name="deaths")] if deaths else []
        await self.update()
        await asyncio.gather(*dying)
        await asyncio.sleep(CALM)
        stop.set()
        await sending
        return load.requests

    async def update(self) -> None:
        """A rolling update to a template with another annotation; returns when it is complete."""
        body = {"spec": {"template": {"metadata": {"annotations": {"version": "2"}}}}}
        await self._api.patch(resources.DEPLOYMENTS, "default", APP, body)
        await self._stage.until(self._is_updated, 180, "the rolling update is complete")

    async def _is_updated(self) -> bool:
        found = await self._api.get(resources.DEPLOYMENTS, "default", APP)
        status, generation = found["status"], found["metadata"]["generation"]
        pods = await self._api.list(resources.PODS, "default")
        return (
            status.get("observedGeneration") == generation
            and status.get("updatedReplicas") == status.get("availableReplicas") == status.get("replicas") == REPLICAS
            and len(pods) == REPLICAS + 2
        )

    # -- deaths

    async def break_things(self) -> None:
        """Each victim hangs and is killed some times, at moments that the seed chooses."""
        loop = asyncio.get_running_loop()
        deaths = [
            loop.create_task(self._break(component, below(self._chance, DEATHS_WITHIN_MS) / 1000))
            for component in VICTIMS
            for _ in range(KILLS)
        ]
        await asyncio.gather(*deaths)

    async def _break(self, component: str, after: float) -> None:
        await asyncio.sleep(after)
        working = self._stage.victims(component)
        if not working:
            return
        victim, begun = working[below(self._chance, len(working))], self._stage.clock.now_ns()
        victim.pause()
        await asyncio.sleep(below(self._chance, LONGEST_PAUSE_MS) / 1000)
        killed = self._stage.clock.now_ns()
        if victim.kill():
            self.outages.append(Outage(component, victim.node, begun, killed))
