"""A task group whose order is its own: tasks are started, failed and cancelled in the order of their start.

asyncio.TaskGroup keeps a set and cancels in address order, which differs from run to run.
"""

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self


class GroupClosing(RuntimeError):
    """A task was to be started in a group that is ending."""


class OrderedTaskGroup:
    """Runs tasks until the block ends; the first failure cancels the rest and is raised from the block."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._owner: asyncio.Task[Any] | None = None
        self._failure: BaseException | None = None
        self._closing = False
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._owner = asyncio.current_task()
        return self

    def start[T](self, coroutine: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Starts a task; its failure ends the group. Raises GroupClosing."""
        if self._closing:
            coroutine.close()
            raise GroupClosing(f"the task group is closing: {name} was not started")
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks[task] = None
        task.add_done_callback(self._done)
        return task

    def cancel_all(self) -> None:
        """Cancels every task, so that the block's end does not wait for their work."""
        self._closing = True
        for task in list(self._tasks):
            task.cancel()

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        self._changed.set()
        if task.cancelled() or (failure := task.exception()) is None:
            return
        if self._failure is None:
            self._failure = failure
            if not self._closing and self._owner is not None:
                self._owner.cancel()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            await self._wait_for_all()
        self._closing = True
        await self._cancel_all()
        if self._failure is not None:
            if kind is asyncio.CancelledError and self._owner is not None:
                self._owner.uncancel()
            raise self._failure

    async def _wait_for_all(self) -> None:
        try:
            while self._tasks and self._failure is None:
                self._changed.clear()
                await self._changed.wait()
        except asyncio.CancelledError:
            if self._failure is None:
                await self._cancel_all()
                raise
            if self._owner is not None:
                self._owner.uncancel()

    async def _cancel_all(self) -> None:
        self.cancel_all()
        while self._tasks:
            self._changed.clear()
            await self._changed.wait()
