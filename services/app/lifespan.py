"""The lifespan protocol: an application starts up before its first request and shuts down after its last (ASGI 2.0)."""

import asyncio
from typing import Any

from podwire.services.app.loading import Application


class StartupFailed(Exception):
    """The application does not want to start; says why."""


class Lifespan:
    """One application's life. Applications that do not know the protocol are served all the same."""

    def __init__(self, application: Application) -> None:
        self.state: dict[str, Any] = {}
        self._application = application
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises StartupFailed."""
        self._task = asyncio.get_running_loop().create_task(self._run())
        answer = await self._ask("lifespan.startup")
        if answer.get("type") == "lifespan.startup.failed":
            raise StartupFailed(str(answer.get("message", "")) or "the application refused to start")

    async def stop(self) -> None:
        """Waits for the application's own shutdown."""
        if self._task is not None and not self._task.done():
            await self._ask("lifespan.shutdown")

    async def _ask(self, kind: str) -> dict[str, Any]:
        await self._events.put({"type": kind})
        return await self._told.get()

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._application(scope, self._events.get, self._told.put)
        except Exception:
            pass  # it does not know the protocol: the specification says to go on without
        await self._told.put({})
