"""The API server's own copy of the cluster: follows the event log, tells who waits for a revision or a change."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from podwire.proto import subjects
from podwire.proto.subjects import ObjectKey
from podwire.services.apiserver.core.ledger import Ledger
from podwire.services.apiserver.core.store import Changed, Foreign, Store
from podwire.services.chassis.bus.base import Stored
from podwire.services.chassis.eventlog.log import EventLog, StoredEvent

logger = structlog.get_logger()

type Listener = Callable[[Changed | None], None]

PATIENCE: Final = 5.0
"""Seconds to wait for the own fold to see a write that is known to be stored."""


class Behind(Exception):
    """The fold did not reach a revision in time."""


class Replica:
    """The fold, kept current. Listeners get each change, or None when everything was forgotten."""

    def __init__(self, log: EventLog) -> None:
        self.store = Store()
        self.ledger = Ledger()
        self.current = asyncio.Event()
        self.foreign = 0
        self._listeners: dict[Listener, None] = {}
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._follower = log.follow(
            [subjects.ALL_EVENTS], 1, self._apply, self._on_current, self._reset, self._on_foreign
        )

    @property
    def birth(self) -> str:
        """The identity of the stream that is followed."""
        return self._follower.birth

    async def run(self) -> None:
        """Follows until cancelled."""
        await self._follower.run()

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Calls the listener with every change; answers how to stop that."""
        self._listeners[listener] = None
        return lambda: self._listeners.pop(listener, None)

    async def until(self, revision: int, patience: float = PATIENCE) -> None:
        """Returns when the fold has applied a revision. Raises Behind after `patience` seconds."""
        if self.store.revision >= revision:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (revision, future)
        self._waiting.append(entry)
        try:
            await asyncio.wait_for(future, patience)
        except TimeoutError:
            raise Behind(f"revision {revision} has not arrived") from None
        finally:
            if entry in self._waiting:
                self._waiting.remove(entry)

    async def catch_up(self, key: ObjectKey, last: int) -> None:
        """Learns what a conflict said: the object's newest revision. Raises Behind."""
        if last == 0:
            self.store.forget_tombstone(key)
        else:
            await self.until(last)

    def _apply(self, stored: StoredEvent) -> None:
        self.ledger.record(stored)
        try:
            changed = self.store.apply(stored)
        except Foreign as error:
            self.foreign += 1
            logger.warning("an event that cannot be read was skipped", reason=str(error))
            changed = None
        self._wake()
        if changed is not None:
            for listener in list(self._listeners):
                listener(changed)

    def _on_foreign(self, stored: Stored, reason: str) -> None:
        self.foreign += 1
        self.store.advance(stored.sequence)
        logger.warning("a foreign message in the event log was skipped", subject=stored.subject, reason=reason)
        self._wake()

    def _on_current(self, revision: int) -> None:
        self.store.advance(revision)
        self._wake()
        self.current.set()

    def _reset(self) -> None:
        logger.warning("the event log is another one: everything is forgotten")
        self.current.clear()
        self.store.clear()
        self.ledger.clear()
        for listener in list(self._listeners):
            listener(None)

    def _wake(self) -> None:
        revision = self.store.revision
        for wanted, future in list(self._waiting):
            if wanted <= revision and not future.done():
                future.set_result(None)
