"""The end of a namespace: its content is deleted kind by kind, as discovery lists them; then it may go.

Source: kubernetes `pkg/controller/namespace/deletion/namespaced_resources_deleter.go`.
"""

import asyncio
from typing import Any, Final

from podwire.proto.kube.resources import NAMESPACES, Resource
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.api.client import ApiClient, ApiError, ApiUnavailable
from podwire.services.controllers.core.cluster import Cluster
from podwire.services.controllers.core.namespaces import terminating
from podwire.services.controllers.core.writes import Finalize
from podwire.services.controllers.hand import Hand

_RETRY: Final = 0.5


class NamespaceEnd:
    """Empties terminating namespaces."""

    def __init__(self, client: ApiClient, cluster: Cluster) -> None:
        self._client, self._cluster = client, cluster
        self._hand = Hand(client, "namespace")
        self._due = asyncio.Event()

    def on_change(self, resource: Resource, key: ObjectKey | None) -> None:
        """Looks when a namespace changes."""
        if resource is NAMESPACES:
            self._due.set()

    async def run(self) -> None:
        """Works until cancelled."""
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                left = [name for name in terminating(self._cluster) if not await self._end(name)]
            except (ApiUnavailable, ApiError):
                left = ["unknown"]
            if left:
                await asyncio.sleep(_RETRY)
                self._due.set()

    async def _end(self, namespace: str) -> bool:
        """Whether the namespace is empty and finalized."""
        is_empty = True
        for resource in await self._namespaced():
            path = resource.path(namespace)
            await self._client.call("DELETE", path)
            rest = await self._client.call("GET", path, limit="1")
            is_empty = is_empty and not rest.get("items")
        if is_empty:
            await self._hand.carry_out([Finalize(namespace)])
        return is_empty

    async def _namespaced(self) -> list[Resource]:
        groups = (await self._client.call("GET", "/apis")).get("groups", [])
        roots = [("", "v1", "/api/v1")]
        for group in groups:
            version = group["preferredVersion"]["version"]
            roots.append((group["name"], version, f"/apis/{group['name']}/{version}"))
        found: list[Resource] = []
        for name, version, path in roots:
            listed = (await self._client.call("GET", path)).get("resources", [])
            found += [resource for entry in listed if (resource := _deletable(name, version, entry)) is not None]
        return found


def _deletable(group: str, version: str, entry: dict[str, Any]) -> Resource | None:
    if not entry.get("namespaced") or "/" in entry["name"] or "deletecollection" not in entry.get("verbs", []):
        return None
    return Resource(group, version, entry["name"], entry["kind"])
