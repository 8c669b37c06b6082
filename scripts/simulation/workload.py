"""What a simulated cluster is busy with while it is being broken: a Deployment behind Services, callers on every
machine, and somebody who changes things all the time."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from podwire.proto.kube import resources
from podwire.proto.kube.resources import Resource
from podwire.services.chassis.api.client import (
    STRATEGIC_MERGE_PATCH,
    ApiClient,
    ApiError,
    ApiUnavailable,
)
from podwire.services.chassis.chance import RandomBits, below, choose

Json = dict[str, Any]
NAMESPACE: Final = "default"
WEB: Final = "web"
CALLER: Final = "caller"
HTTP_PORT: Final = 80
UDP_PORT: Final = 81
POD_HTTP_PORT: Final = 9376
POD_UDP_PORT: Final = 9377
"""Nobody else listens there: an address may be another pod's before the last machine has heard of it."""
_FAILURES: Final = (ApiError, ApiUnavailable)
_CHANGE_EVERY_MS: Final = 15_000
NOTES: Final = tuple(f"note-{number}" for number in range(4))
"""ConfigMaps that are written."""


def _labelled(name: str) -> Json:
    return {"metadata": {"name": name, "labels": {"app": name}}}


def _pod(container: Json, **spec: Any) -> Json:
    return {"spec": {"containers": [container], "terminationGracePeriodSeconds": 2, **spec}}


def _workload(kind_spec: Json, name: str, template: Json) -> Json:
    template = {**template, "metadata": {"labels": {"app": name}}}
    return {**_labelled(name), "spec": {"selector": {"matchLabels": {"app": name}}, "template": template, **kind_spec}}


def _service(name: str, **spec: Any) -> Json:
    ports = [
        {"name": "http", "port": HTTP_PORT, "targetPort": POD_HTTP_PORT},
        {"name": "udp", "port": UDP_PORT, "targetPort": POD_UDP_PORT, "protocol": "UDP"},
    ]
    return {"metadata": {"name": name}, "spec": {"selector": {"app": WEB}, "ports": ports, **spec}}


_SERVER: Final[Json] = {
    "name": "server",
    "image": "registry.k8s.io/e2e-test-images/agnhost:2.53",
    "args": ["netexec", f"--http-port={POD_HTTP_PORT}", f"--udp-port={POD_UDP_PORT}"],
    "readinessProbe": {"httpGet": {"path": "/healthz", "port": POD_HTTP_PORT}, "periodSeconds": 5},
}
_IDLE: Final[Json] = {"name": "idle", "image": "registry.k8s.io/pause:3.10"}

OBJECTS: Final[tuple[tuple[Resource, Json], ...]] = (
    (resources.DEPLOYMENTS, _workload({"replicas": 3}, WEB, _pod(_SERVER))),
    (resources.SERVICES, _service(WEB)),
    (resources.SERVICES, _service("web-outside", type="NodePort")),
    (resources.DAEMON_SETS, _workload({}, CALLER, _pod(_IDLE))),
    *((resources.CONFIG_MAPS, {"metadata": {"name": name}, "data": {"state": ""}}) for name in NOTES),
)


@dataclass(slots=True)
class Writes:
    """What was written to one object: its last acknowledged state, and what later writes without an answer may have
    made of it."""

    acknowledged: str = ""
    possible: list[str] = field(default_factory=list)

    def may_be(self, state: str) -> bool:
        """Whether an object in this state has lost nothing that was acknowledged."""
        return state == self.acknowledged or state in self.possible


class Churn:
    """Somebody who changes the cluster: scales, deletes pods, restarts the rollout, writes ConfigMaps."""

    def __init__(self, api: ApiClient, random: RandomBits) -> None:
        self.writes: dict[str, Writes] = {name: Writes() for name in NOTES}
        self.refused = 0
        self._api, self._random = api, random
        self._turn = 0

    async def run(self) -> None:
        """Changes things until cancelled; what fails is not tried again."""
        deeds: tuple[Callable[[], Awaitable[object]], ...] = (
            self._write_note,
            self._write_note,
            self._scale,
            self._delete_a_pod,
            self._restart_rollout,
        )
        while True:
            await asyncio.sleep(below(self._random, 2 * _CHANGE_EVERY_MS) / 1000)
            self._turn += 1
            try:
                await choose(self._random, deeds)()
            except _FAILURES:
                self.refused += 1

    async def _scale(self) -> None:
        replicas = 1 + below(self._random, 4)
        await self._api.patch(resources.DEPLOYMENTS, NAMESPACE, WEB, {"spec": {"replicas": replicas}})

    async def _restart_rollout(self) -> None:
        stamp = {"kubectl.kubernetes.io/restartedAt": str(self._turn)}
        body = {"spec": {"template": {"metadata": {"annotations": stamp}}}}
        await self._api.patch(resources.DEPLOYMENTS, NAMESPACE, WEB, body, content_type=STRATEGIC_MERGE_PATCH)

    async def _delete_a_pod(self) -> None:
        pods = await self._api.list(resources.PODS, NAMESPACE)
        if pods:
            await self._api.delete(resources.PODS, NAMESPACE, choose(self._random, pods)["metadata"]["name"])

    async def _write_note(self) -> None:
        """A write on condition that nobody wrote since: one without an answer cannot take place after later ones."""
        name = choose(self._random, list(self.writes))
        writes, state = self.writes[name], str(self._turn)
        body = await self._api.get(resources.CONFIG_MAPS, NAMESPACE, name)
        writes.possible.append(state)
        try:
            await self._api.update(resources.CONFIG_MAPS, {**body, "data": {"state": state}})
        except ApiError as error:
            if error.code < 500:
                writes.possible.remove(state)
            raise
        writes.acknowledged, writes.possible = state, []
