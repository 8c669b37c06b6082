"""Brings CustomResourceDefinitions on as they and their objects change (the API server's own controllers for them)."""

import asyncio
from typing import Final

from podwire.proto.messages.api import ApiResponse
from podwire.services.apiserver.core.authorization import Requester
from podwire.services.apiserver.core.custom import establishing
from podwire.services.apiserver.core.custom.definition import STORAGE
from podwire.services.apiserver.core.store import Changed
from podwire.services.apiserver.replica import Replica
from podwire.services.apiserver.writer import Writer
from podwire.services.chassis.context import Context

_RETRY: Final = 0.5
_EXPECTED: Final = (404, 409)
"""Another server was first."""


class DefinitionsLoop:
    """Accepts names, establishes, and cleans up after definitions that are deleted."""

    def __init__(self, context: Context, replica: Replica, writer: Writer, who: Requester) -> None:
        self._context, self._replica, self._writer, self._who = context, replica, writer, who
        self._due = asyncio.Event()
        self._due.set()
        replica.listen(self._on_change)

    def _on_change(self, changed: Changed | None) -> None:
        storage = STORAGE if changed is None else (changed.key.group, changed.key.resource)
        if storage == STORAGE or (changed is not None and changed.change == "DELETED"):
            self._due.set()

    async def run(self) -> None:
        """Works until cancelled."""
        while True:
            await self._due.wait()
            self._due.clear()
            await self._replica.current.wait()
            for request in establishing.due(self._replica.store, self._context.clock.now_ns()):
                outcome = await self._writer.handle(request, self._who)
                if isinstance(outcome, ApiResponse) and outcome.code >= 300 and outcome.code not in _EXPECTED:
                    self._context.log.warning("a definition", path=request.path, answer=outcome.body.decode())
                    await asyncio.sleep(_RETRY)
                    self._due.set()
