"""What `podwire sim` does: boots a cluster, serves a request through a Service, kills a kube-proxy, and looks again."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from podwire.proto.kube import resources
from podwire.proto.messages.machine import Connect
from podwire.scripts.cluster.manifests import load_manifests
from podwire.scripts.cluster.readiness import is_ready
from podwire.scripts.simulation.cluster import SimulatedCluster, SimulationFailed
from podwire.services.chassis.api.client import ApiError, ApiUnavailable

Json = dict[str, Any]
REPLICAS: Final = 2
_FAILURES: Final = (ApiError, ApiUnavailable)

WORKLOAD: Final[tuple[tuple[resources.Resource, Json], ...]] = (
    (
        resources.DEPLOYMENTS,
        {
            "metadata": {"name": "my-api"},
            "spec": {
                "replicas": REPLICAS,
                "selector": {"matchLabels": {"app": "my-api"}},
                "template": {
                    "metadata": {"labels": {"app": "my-api"}},
                    "spec": {"containers": [{"name": "web", "image": "nginx", "ports": [{"containerPort": 80}]}]},
                },
            },
        },
    ),
    (
        resources.SERVICES,
        {"metadata": {"name": "my-api"}, "spec": {"selector": {"app": "my-api"}, "ports": [{"port": 80}]}},
    ),
)


@dataclass(frozen=True, slots=True)
class Report:
    """What a run came to; the digest is the hash of its event log."""

    seed: int
    digest: str
    virtual_seconds: float
    steps: int
    revision: int


class Scenario:
    """One run on one simulated cluster; `tell` gets a line for each step."""

    def __init__(
        self, cluster: SimulatedCluster, manifests: Path, tell: Callable[[str], None], proxy_mode: str = "iptables"
    ) -> None:
        self._cluster, self._tell = cluster, tell
        self._bodies = load_manifests(manifests, cluster.addressing, proxy_mode)

    def run(self) -> Report:
        """Runs it. Raises SimulationFailed."""
        cluster = self._cluster
        try:
            cluster.run(self._main())
            return Report(
                seed=cluster.seed,
                digest=cluster.digest(),
                virtual_seconds=cluster.loop.now_ns / 1e9,
                steps=cluster.loop.steps,
                revision=cluster.broker.stream.last,
            )
        finally:
            cluster.close()

    def _say(self, text: str) -> None:
        self._tell(f"{self._cluster.loop.now_ns / 1e9:8.3f} s  {text}")

    async def _main(self) -> None:
        await self.boot()
        await self.apply_workload()
        self._say(f"request through the Service: {await self.request()}")
        await self._lose_a_kube_proxy()
        self._say(f"request through the Service: {await self.request()}")

    async def boot(self) -> None:
        """Starts everything and waits until the cluster is whole."""
        cluster = self._cluster
        cluster.start_all()
        await cluster.until(self._api_answers, 30, "the API server answers")
        self._say("API server answers")
        for resource, body in self._bodies:
            await cluster.api.create(resource, body["metadata"].get("namespace", ""), body)
        await cluster.until(self.whole, 60, "all nodes and system pods are Ready")
        self._say("all nodes and system pods Ready")

    async def _api_answers(self) -> bool:
        try:
            await self._cluster.api.get(resources.NAMESPACES, "", "kube-system")
        except _FAILURES:
            return False
        return True

    async def whole(self) -> bool:
        """Whether every machine's node and every system pod is Ready."""
        try:
            nodes = await self._cluster.api.list(resources.NODES)
            pods = await self._cluster.api.list(resources.PODS, "kube-system")
        except _FAILURES:
            return False
        machines = len(self._cluster.layout.machines)
        enough = len(nodes) == machines and len(pods) >= 2 * machines + 2 + 4
        return enough and all(is_ready(entry) for entry in (*nodes, *pods))

    async def apply_workload(self) -> None:
        """A two-replica Deployment behind a Service of the tutorial's `my-api` shape."""
        for resource, body in WORKLOAD:
            await self._cluster.api.create(resource, "default", body)
        await self._cluster.until(self._workload_ready, 60, "the Deployment is available")
        self._say(f"my-api: {REPLICAS} pods Ready")

    async def _workload_ready(self) -> bool:
        pods = await self._cluster.api.list(resources.PODS, "default")
        slices = await self._cluster.api.list(resources.ENDPOINT_SLICES, "default")
        own = [entry for entry in slices if entry["metadata"]["name"].startswith("my-api-")]
        endpoints = [endpoint for entry in own for endpoint in entry.get("endpoints") or []]
        ready = [endpoint for endpoint in endpoints if endpoint["conditions"].get("ready")]
        return len(pods) == REPLICAS == len(ready) and all(is_ready(pod) for pod in pods)

    async def request(self) -> str:
        """One HTTP request from a node to the Service's cluster IP; tried until the rules have it."""
        service = await self._cluster.api.get(resources.SERVICES, "default", "my-api")
        answer = ""

        async def served() -> bool:
            nonlocal answer
            answer = await self.connect(service["spec"]["clusterIP"])
            return answer.startswith("HTTP 200")

        await self._cluster.until(served, 30, "a request through the Service is answered")
        return answer

    async def connect(self, address: str) -> str:
        """One HTTP request from the last node; what came of it."""
        node = self._cluster.layout.machines[-1].name
        call = Connect(trace="", kind="http", address=address, port=80, timeout=2.0)
        return (await self._cluster.prober.connect(node, call)).text

    async def _lose_a_kube_proxy(self) -> None:
        cluster = self._cluster
        victim = cluster.find("kube-proxy@node-1")
        cluster.kill(victim)
        self._say("killed kube-proxy@node-1")
        took = await cluster.until(self._kube_proxy_is_back, 30, "kube-proxy@node-1 serves again")
        self._say(f"kube-proxy@node-1 serves again after {took:.1f} s, RESTARTS 1")

    async def _kube_proxy_is_back(self) -> bool:
        pods = await self._cluster.api.list(resources.PODS, "kube-system")
        for pod in pods:
            name, node = pod["metadata"]["name"], pod["spec"].get("nodeName")
            if name.startswith("kube-proxy-") and node == "node-1":
                return is_ready(pod) and bool(pod["status"]["containerStatuses"][0]["restartCount"] == 1)
        raise SimulationFailed("kube-proxy's pod of node-1 is gone")
