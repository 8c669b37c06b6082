"""A watch over HTTP: events in JSON or protobuf, chunked (API concepts, "Efficient detection of changes")."""

import asyncio
from typing import Final

from aiohttp import web

from podwire.services.apiserver.core.decisions import OpenWatch
from podwire.services.apiserver.core.errors import expired
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.presentation import WatchForm, error_event
from podwire.services.apiserver.core.reading import bookmark, event_object, is_shown_as_stored, watch_event
from podwire.services.apiserver.core.store import Changed
from podwire.services.apiserver.http_watch_wires import Chunks, Messages
from podwire.services.apiserver.replica import Replica
from podwire.services.chassis.clock import Clock

type Event = tuple[str, Json]

_WAITING: Final = 10_000
_BOOKMARK_EVERY: Final = 60.0
_DEFAULT_TIMEOUT: Final = 1800


class HttpWatch:
    """One client's watch; a client that reads too slowly is cut off and lists again."""

    def __init__(self, opened: OpenWatch, replica: Replica, clock: Clock) -> None:
        self._opened, self._replica, self._clock = opened, replica, clock
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._form = WatchForm(opened.view.media)
        self._shares = self._form.is_text and is_shown_as_stored(opened)
        self._first = True
        self._stop = replica.listen(self._on_change)
        self._backlog = [] if opened.start < replica.store.oldest else list(replica.store.since(opened.start))

    def _on_change(self, changed: Changed | None) -> None:
        if changed is None or self._queue.qsize() >= _WAITING:
            self._stop()
            self._queue.put_nowait(None)
        elif (event := watch_event(self._opened, changed)) is not None:
            self._queue.put_nowait(event)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Writes events until the client goes, the time is up, or the watch is cut off."""
        socket = request.headers.get("Upgrade", "").lower() == "websocket"
        try:
            wire = await (Messages.open(request, self._form) if socket else Chunks.open(request, self._form))
            async with asyncio.timeout(self._opened.timeout_seconds or _DEFAULT_TIMEOUT):
                await wire.write(self._beginning())
                await self._follow(wire)
        except TimeoutError:
            pass
        finally:
            self._stop()
        await wire.close()
        return wire.response

    def _beginning(self) -> list[Json]:
        events = [self._event("ADDED", value) for value in self._opened.initial]
        if self._opened.initial_bookmark:
            events.append(self._bookmark(self._opened.start, True))
        backlog = [event for changed in self._backlog if (event := watch_event(self._opened, changed)) is not None]
        return events + [self._event(*event) for event in backlog]

    async def _follow(self, wire: Chunks | Messages) -> None:
        while not wire.is_over:
            try:
                event = await asyncio.wait_for(self._queue.get(), _BOOKMARK_EVERY)
            except TimeoutError:
                if self._opened.bookmarks:
                    await wire.write([self._bookmark(self._replica.store.revision, False)])
                continue
            if event is None:
                await wire.write([error_event(expired(self._opened.start, self._replica.store.oldest))])
                return
            await wire.write([self._event(*event)])

    def _event(self, kind: str, value: Json) -> Json:
        if self._shares:
            return {"type": kind, "object": self._replica.store.encoded(self._opened.kind.storage, value)}
        shown = event_object(self._opened, value, self._clock.now_ns(), self._first)
        self._first = False
        return {"type": kind, "object": shown}

    def _bookmark(self, revision: int, initial_end: bool) -> Json:
        return bookmark(self._opened, revision, initial_end, self._clock.now_ns())
