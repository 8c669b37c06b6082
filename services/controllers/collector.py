"""The garbage collector's shell: suspicions from the watches, certainty from the API server."""

import asyncio
from typing import Final

from podwire.proto.kube.resources import Resource
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.api.client import ApiClient, ApiError, ApiUnavailable
from podwire.services.controllers.core import garbage
from podwire.services.controllers.core.cluster import Cluster, is_going
from podwire.services.controllers.hand import Hand

_PAUSE: Final = 0.1
_RETRY: Final = 1.0


class Collector:
    """Deletes objects whose owners are gone; serves the finalizers of foreground deletion and orphaning."""

    def __init__(self, client: ApiClient, cluster: Cluster) -> None:
        self._client, self._cluster = client, cluster
        self._hand = Hand(client, "garbage-collector")
        self._due = asyncio.Event()

    def on_change(self, resource: Resource, key: ObjectKey | None) -> None:
        """Looks when something went, is going, or lacks its owner."""
        value = None if key is None else self._cluster[resource].objects.get(key)
        if value is None or is_going(value) or garbage.suspect(resource, value, self._cluster) is not None:
            self._due.set()

    async def run(self) -> None:
        """Works until cancelled."""
        while True:
            await self._due.wait()
            await asyncio.sleep(_PAUSE)
            self._due.clear()
            try:
                await self._collect()
            except ApiUnavailable:
                await asyncio.sleep(_RETRY)
                self._due.set()

    async def _collect(self) -> None:
        for suspect in garbage.suspects(self._cluster):
            if not await self._any_owner_lives(suspect):
                await self._hand.carry_out([suspect.write])
        _, refused = await self._hand.carry_out(garbage.finalized(self._cluster))
        if refused:
            self._due.set()

    async def _any_owner_lives(self, suspect: garbage.Suspect) -> bool:
        for resource, namespace, name, uid in suspect.owners:
            try:
                owner = await self._client.get(resource, namespace, name)
            except ApiError as error:
                if error.code != 404:
                    raise ApiUnavailable(str(error)) from None
                continue
            if owner["metadata"].get("uid") == uid:
                return True
        return False
