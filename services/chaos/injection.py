"""Doing to pods what experiments ask for; every call answers why it failed, or ""."""

from podwire.proto.kube import resources
from podwire.proto.kube.json_objects import section
from podwire.services.chaos.core import pods
from podwire.services.chaos.core.kinds import BadChaos, Json
from podwire.services.chaos.core.network import PodNetwork
from podwire.services.chaos.machines import MachineFailed, Machines
from podwire.services.chassis.api.client import STRATEGIC_MERGE_PATCH, ApiClient, ApiError, ApiUnavailable
from podwire.services.chassis.context import Context


class Injection:
    """Through the API server and on machines."""

    def __init__(self, context: Context, client: ApiClient, pause_image: str) -> None:
        self._client, self._pause_image = client, pause_image
        self._machines = Machines(context)

    async def network(self, pod: Json, wanted: PodNetwork) -> str:
        """Makes a pod's network what it should be."""
        if not section(pod, "spec").get("nodeName"):
            return "pod is not running"
        try:
            await self._machines.make(pod, wanted)
        except MachineFailed as error:
            return str(error)
        return ""

    async def clock(self, pod: Json, container: str, offset: int) -> str:
        """Shifts the clock of a container's programs by `offset` (ns) in all."""
        try:
            found = pods.container_of(pod, container)
        except BadChaos as error:
            return str(error) if offset else ""
        try:
            await self._machines.shift_clock(pod["spec"].get("nodeName", ""), found, offset)
        except MachineFailed as error:
            return str(error)
        return ""

    def forget(self, identifier: str) -> None:
        """A pod is gone."""
        self._machines.forget(identifier)

    async def apply(self, chaos: Json, pod: Json, container: str) -> str:
        """What a PodChaos does to one pod or container."""
        meta, action = pod["metadata"], chaos["spec"]["action"]
        try:
            if action == "pod-kill":
                options = {"gracePeriodSeconds": int(chaos["spec"].get("gracePeriod", 0))}
                await self._client.delete(resources.PODS, meta["namespace"], meta["name"], options)
            elif action == "container-kill":
                await self._machines.kill(pod["spec"].get("nodeName", ""), pods.container_of(pod, container))
            else:
                await self._patch(pod, pods.failing(chaos, pod, self._pause_image))
        except ApiError as error:
            return "" if error.code == 404 and action == "pod-kill" else str(error)
        except (ApiUnavailable, BadChaos, MachineFailed) as error:
            return str(error)
        return ""

    async def recover(self, chaos: Json, pod: Json) -> str:
        """Takes back what can be taken back."""
        patch = pods.recovering(chaos, pod)
        if patch is None:
            return ""
        try:
            await self._patch(pod, patch)
        except ApiError as error:
            return "" if error.code == 404 else str(error)
        except ApiUnavailable as error:
            return str(error)
        return ""

    async def _patch(self, pod: Json, patch: Json) -> None:
        meta = pod["metadata"]
        await self._client.patch(
            resources.PODS, meta["namespace"], meta["name"], patch, content_type=STRATEGIC_MERGE_PATCH
        )
