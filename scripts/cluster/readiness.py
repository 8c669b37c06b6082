"""Waiting until a cluster is whole: its manifests are applied, its nodes and system pods are Ready."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from podwire.proto.kube import resources
from podwire.proto.kube.resources import Resource
from podwire.scripts.cluster.client import Client
from podwire.scripts.errors import UserError
from podwire.services.chassis.api.client import ApiError, ApiUnavailable
from podwire.services.chassis.bus.base import BusError
from podwire.services.chassis.live.nats_server import NatsServer

Json = dict[str, Any]
_PAUSE: Final = 0.05
_REPLICAS: Final = 3
"""Of the event log on a bus of several servers: it is whole, and writable, while two of three are there."""


@dataclass(slots=True)
class Progress:
    """How far a start is, in phases with their times (seconds since the start)."""

    tell: Callable[[str], None]
    began: float = field(default_factory=time.monotonic)
    since: str = field(default_factory=lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    """What was reported before is of an earlier life of the same cluster."""
    phases: dict[str, float] = field(default_factory=dict)

    def reached(self, phase: str) -> None:
        """Notes a phase once."""
        if phase not in self.phases:
            self.phases[phase] = time.monotonic() - self.began
            self.tell(f"{self.phases[phase]:6.2f} s  {phase}")


async def make_whole(
    client: Client, bodies: list[tuple[Resource, Json]], progress: Progress, timeout: float = 60.0
) -> None:
    """Makes the stream, creates the objects, waits. Raises UserError when it takes too long."""
    missing = "the event log"
    try:
        async with asyncio.timeout(timeout):
            await _make_stream(client)
            progress.reached("event log")
            missing = "the API server"
            await _until_api(client)
            progress.reached("API server")
            await apply_manifests(client, bodies)
            progress.reached("system objects applied")
            while missing := await _missing(client, progress):
                await asyncio.sleep(_PAUSE)
    except TimeoutError:
        raise UserError(f"not whole after {timeout:g} s: {missing}; see {client.folder.logs}") from None
    progress.reached("all system pods Ready")


async def _make_stream(client: Client) -> None:
    while True:
        replicas = _REPLICAS if client.bus.is_clustered else 1
        try:
            await client.bus.create_stream({**NatsServer.STREAM, "num_replicas": replicas}, 5.0)
            return
        except BusError:
            await asyncio.sleep(_PAUSE)


async def _until_api(client: Client) -> None:
    while True:
        try:
            await client.api.get(resources.NAMESPACES, "", "kube-system")
            return
        except (ApiUnavailable, ApiError):
            await asyncio.sleep(_PAUSE)


async def apply_manifests(client: Client, bodies: list[tuple[Resource, Json]]) -> None:
    """Creates the objects of manifests; those that are there already stay as they are."""
    for resource, body in bodies:
        await _create(client, resource, body)


async def _create(client: Client, resource: Resource, body: Json) -> None:
    while True:
        try:
            await client.api.create(resource, body["metadata"].get("namespace", ""), body)
            return
        except ApiError as error:
            if error.reason == "AlreadyExists":
                return
            raise
        except ApiUnavailable:
            await asyncio.sleep(_PAUSE)


async def _missing(client: Client, progress: Progress) -> str:
    try:
        nodes = await client.api.list(resources.NODES)
        pods = await client.api.list(resources.PODS, "kube-system")
    except (ApiError, ApiUnavailable) as error:
        return str(error)
    wanted_nodes = client.cluster.workers + 1
    ready = [node for node in nodes if is_ready(node) and _is_reported_since(node, progress.since)]
    if len(ready) < wanted_nodes:
        return f"{len(ready)} of {wanted_nodes} nodes are Ready"
    progress.reached("all nodes Ready")
    wanted_pods = 2 * wanted_nodes + 2 + 4
    unready = [
        pod["metadata"]["name"] for pod in pods if not (is_ready(pod) and _is_started_since(pod, progress.since))
    ]
    if len(pods) < wanted_pods:
        return f"{len(pods)} of {wanted_pods} system pods exist"
    return f"not Ready: {', '.join(unready)}" if unready else ""


def _is_reported_since(node: Json, since: str) -> bool:
    conditions = node["status"].get("conditions") or []
    return any(entry["type"] == "Ready" and entry.get("lastHeartbeatTime", "") >= since for entry in conditions)


def _is_started_since(pod: Json, since: str) -> bool:
    containers = pod["status"].get("containerStatuses") or []
    return all((entry["state"].get("running") or {}).get("startedAt", "") >= since for entry in containers)


def is_ready(body: Json) -> bool:
    """Whether an object's Ready condition is True."""
    conditions = (body.get("status") or {}).get("conditions") or []
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)
