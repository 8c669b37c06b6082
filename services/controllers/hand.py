"""Carries writes out through the API server, each until its outcome is known.

An unavailable API server is asked again with the same write (creations have their name, the others a condition, so
that nothing happens twice); a refusal is final, and the next decision is made on newer state.
"""

import asyncio
from typing import Any, Final

import structlog

from podwire.proto.kube.resources import EVENTS, NAMESPACES, Resource
from podwire.services.chassis.api.client import ApiClient, ApiError, ApiUnavailable
from podwire.services.controllers.core.writes import Create, Delete, Finalize, Patch, Write

logger = structlog.get_logger()

_RETRY: Final = 0.2
_AT_ONCE: Final = 16
_EXPECTED: Final = (404, 409)


class Hand:
    """Writes of one controller."""

    def __init__(self, client: ApiClient, name: str) -> None:
        self.client, self._name = client, name

    async def carry_out(self, writes: list[Write]) -> tuple[dict[Resource, int], bool]:
        """The newest revision written of each resource, and whether something was refused."""
        revisions: dict[Resource, int] = {}
        refused = False
        for start in range(0, len(writes), _AT_ONCE):
            batch = writes[start : start + _AT_ONCE]
            outcomes = await asyncio.gather(*(self._write(write) for write in batch))
            for write, revision in zip(batch, outcomes, strict=True):
                refused = refused or revision is None
                if revision and not isinstance(write, Finalize):
                    revisions[write.resource] = max(revisions.get(write.resource, 0), revision)
        return revisions, refused

    async def _write(self, write: Write) -> int | None:
        """The revision of the result (0: none is known); None when the API server refused."""
        while True:
            try:
                return _revision(await self._send(write))
            except ApiUnavailable as error:
                if isinstance(write, Create) and write.resource is EVENTS:
                    return 0
                logger.info("the API server is away", controller=self._name, reason=str(error))
                await asyncio.sleep(_RETRY)
            except ApiError as error:
                return self._refused(write, error)

    def _refused(self, write: Write, error: ApiError) -> int | None:
        if isinstance(write, Create) and write.resource is EVENTS:
            return 0
        if isinstance(write, Delete | Finalize) and error.code == 404:
            return 0
        if error.code not in _EXPECTED and "is being terminated" not in str(error):
            logger.warning("a write was refused", controller=self._name, code=error.code, reason=str(error))
        return None

    async def _send(self, write: Write) -> dict[str, Any]:
        client = self.client
        if isinstance(write, Create):
            return await client.create(write.resource, write.namespace, write.body)
        if isinstance(write, Patch):
            return await client.patch(
                write.resource, write.namespace, write.name, _conditional(write), write.subresource
            )
        if isinstance(write, Delete):
            options: dict[str, Any] = {"preconditions": {"uid": write.uid}, "propagationPolicy": "Background"}
            if write.grace is not None:
                options["gracePeriodSeconds"] = write.grace
            return await client.delete(write.resource, write.namespace, write.name, options)
        body = {"metadata": {"name": write.name}, "spec": {"finalizers": []}}
        return await client.update(NAMESPACES, body, "finalize")


def _conditional(write: Patch) -> dict[str, Any]:
    if not write.revision:
        return write.body
    metadata = {**write.body.get("metadata", {}), "resourceVersion": str(write.revision)}
    return {**write.body, "metadata": metadata}


def _revision(answer: dict[str, Any]) -> int:
    text = (answer.get("metadata") or {}).get("resourceVersion", "")
    return int(text) if str(text).isdecimal() else 0
