"""What the load runs on: a Service with a pod on each worker, callers, and the addresses of all of them."""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from podwire.proto.kube import resources
from podwire.scripts.cluster.client import Client
from podwire.scripts.cluster.readiness import is_ready

Json = dict[str, Any]
WORKERS: Final = ("node-1", "node-2", "node-3")
NODE_PORT: Final = 30080
SERVER_PORT: Final = 8080
_PATIENCE: Final = 60.0


def server(node: str) -> Json:
    """A pod of the Service `web`, on this node."""
    container = {
        "name": "web",
        "image": "agnhost",
        "args": ["netexec", f"--http-port={SERVER_PORT}"],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": SERVER_PORT}, "periodSeconds": 1},
    }
    return {
        "metadata": {"name": f"web-{node}", "labels": {"app": "web"}},
        "spec": {"nodeName": node, "containers": [container]},
    }


def sleeper(name: str, node: str = "") -> Json:
    """A pod that does nothing, on this node or wherever it is put."""
    spec: Json = {"containers": [{"name": "c", "image": "busybox", "command": ["sleep", "infinity"]}]}
    metadata = {"name": name, "labels": {"app": name}}
    return {"metadata": metadata, "spec": spec | ({"nodeName": node} if node else {})}


def service(name: str, kind: str = "ClusterIP", node_port: int = 0) -> Json:
    """A Service with the servers behind it."""
    port: Json = {"port": 80, "targetPort": SERVER_PORT} | ({"nodePort": node_port} if node_port else {})
    return {"metadata": {"name": name}, "spec": {"type": kind, "selector": {"app": "web"}, "ports": [port]}}


def delay_for(app: str, name: str) -> Json:
    """A NetworkChaos object that makes what these pods send a millisecond late."""
    selector = {"namespaces": ["default"], "labelSelectors": {"app": app}}
    spec = {"action": "delay", "mode": "all", "selector": selector, "delay": {"latency": "1ms"}, "duration": "1h"}
    return {"metadata": {"name": name}, "spec": spec}


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where requests go."""

    servers: dict[str, str]
    """Pod addresses by node."""
    cluster_ip: str
    balancer: str
    node: str
    """Of the machine node-1."""
    dns: str


async def deploy(client: Client) -> Addresses:
    """Creates everything, and waits until it serves."""
    for node in WORKERS:
        await client.api.create(resources.PODS, "default", server(node))
    await client.api.create(resources.PODS, "default", sleeper("caller", "node-1"))
    await client.api.create(resources.PODS, "default", sleeper("sleeper", "node-2"))
    await client.api.create(resources.SERVICES, "default", service("web", "LoadBalancer", NODE_PORT))
    async with asyncio.timeout(_PATIENCE):
        while (found := await _addresses(client)) is None:
            await asyncio.sleep(0.1)
    return found


async def _addresses(client: Client) -> Addresses | None:
    pods = {pod["metadata"]["name"]: pod for pod in await client.api.list(resources.PODS, "default")}
    web = await client.api.get(resources.SERVICES, "default", "web")
    ingress = web["status"].get("loadBalancer", {}).get("ingress")
    if not ingress or not all(is_ready(pod) for pod in pods.values()):
        return None
    dns = await client.api.get(resources.SERVICES, "kube-system", "kube-dns")
    return Addresses(
        {node: pods[f"web-{node}"]["status"]["podIP"] for node in WORKERS},
        web["spec"]["clusterIP"],
        ingress[0]["ip"],
        pods["web-node-1"]["status"]["hostIP"],
        dns["spec"]["clusterIP"],
    )
