"""A component's watch: what a kind of object looks like now, kept current from the event log.

It is opened by asking the API server (who may refuse), then reads the stream itself, and is given up when the API
server's heartbeats stop: on a real cluster the connection would be dead too. What was seen stays; the watch goes on
from where it was once an API server answers again. Handlers only record; work is done elsewhere.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import msgspec
import structlog

from podwire.proto import subjects
from podwire.proto.kube.resources import Resource
from podwire.proto.messages import codec
from podwire.proto.messages.events import Heartbeat
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.api.client import ApiClient, ApiError, ApiUnavailable
from podwire.services.chassis.bus import base
from podwire.services.chassis.clock import SECOND, Clock
from podwire.services.chassis.eventlog.follow import Follower
from podwire.services.chassis.eventlog.log import EventLog, StoredEvent
from podwire.services.chassis.tasks import OrderedTaskGroup

HEARTBEAT_EVERY: Final = 0.5
GIVE_UP_AFTER: Final = 4 * HEARTBEAT_EVERY
SILENT_AFTER: Final = 2.5 * HEARTBEAT_EVERY
"""Seconds after which an API server that others outlive is dead."""
_LOOK_AGAIN: Final = 0.01
_RETRY: Final = 0.1

logger = structlog.get_logger()


class ApiServerLiveness:
    """Whether heartbeats of an API server arrive; one for each process. `on_death`: one stopped, another beats."""

    def __init__(self, bus: base.Bus, clock: Clock, on_death: Callable[[], None]) -> None:
        self._clock, self._on_death = clock, on_death
        self._last: int | None = None
        self._heard: dict[str, int] = {}
        self._death: asyncio.Future[None] | None = None
        bus.subscribe(subjects.HEARTBEAT, self._hear)

    def _hear(self, message: base.Message) -> None:
        try:
            beat = codec.decode(Heartbeat, message.payload)
        except codec.ForeignMessage:
            return
        self._last = now = self._clock.monotonic_ns()
        self._heard[beat.instance] = now
        for instance in [name for name, at in self._heard.items() if now - at > SILENT_AFTER * SECOND]:
            del self._heard[instance]
            self._on_death()

    def answered(self) -> None:
        """An answer is a sign of life as well."""
        self._last = self._clock.monotonic_ns()

    @property
    def alive(self) -> bool:
        """Whether an API server was heard of within the last two seconds."""
        return self._last is not None and self._clock.monotonic_ns() - self._last < GIVE_UP_AFTER * SECOND

    async def until_dead(self) -> None:
        """Returns when the heartbeats have stopped."""
        if not self.alive:
            return
        if self._death is None:
            self._death = asyncio.get_running_loop().create_future()
            self._check_later()
        await asyncio.shield(self._death)

    def _check_later(self) -> None:
        """Looks again when the heartbeats will have stopped, unless another one arrives."""
        silent = self._clock.monotonic_ns() - (self._last or 0)
        asyncio.get_running_loop().call_later(max(GIVE_UP_AFTER - silent / SECOND, _LOOK_AGAIN), self._check)

    def _check(self) -> None:
        if self.alive:
            self._check_later()
        elif self._death is not None:
            death, self._death = self._death, None
            death.set_result(None)


class Watch[T]:
    """The objects of one resource. `on_change` gets the key of each object that changed (None: all may have)."""

    def __init__(
        self,
        watching: "Watching",
        resource: Resource,
        view: type[T],
        on_change: Callable[[ObjectKey | None], None],
        namespace: str = "",
        wanted: Callable[[ObjectKey, str], bool] | None = None,
    ) -> None:
        self.objects: dict[ObjectKey, T] = {}
        self.revisions: dict[ObjectKey, int] = {}
        self.revision = 0
        self.foreign = 0
        self.synced = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self._watching, self._resource, self._view = watching, resource, view
        self._on_change, self._namespace, self._wanted = on_change, namespace, wanted
        self._follower: Follower = watching.log.follow(
            [subjects.resource_events(resource.group, resource.resource, namespace)],
            None,
            self._apply,
            self._current,
            self._reset,
            self._skip,
        )

    def named(self, namespace: str, name: str) -> T | None:
        """The object of that name."""
        return self.objects.get(ObjectKey(self._resource.group, self._resource.resource, namespace, name))

    def end(self) -> None:
        """Watches no more; what was seen stays."""
        if self.task is not None:
            self.task.cancel()

    async def run(self) -> None:
        """Keeps the objects current until cancelled."""
        while True:
            await self._open()
            following = asyncio.get_running_loop().create_task(self._follower.run())
            try:
                await self._watching.liveness.until_dead()
            finally:
                following.cancel()

    async def _open(self) -> None:
        while True:
            try:
                opened = await self._watching.client.open_watch(self._resource, self._namespace)
            except (ApiUnavailable, ApiError) as error:
                logger.debug("cannot open a watch", resource=self._resource.resource, reason=str(error))
            else:
                self._watching.liveness.answered()
                self._check_floor(opened.floor)
                return
            await asyncio.sleep(_RETRY)

    def _check_floor(self, floor: int) -> None:
        """410 Gone: what lies between the cursor and the floor may be gone, so list again."""
        if 0 < self._follower.cursor < floor:
            self._follower.forget()

    def _apply(self, stored: StoredEvent) -> None:
        key, event = stored.key, stored.event
        if event.change == "DELETED" or (self._wanted is not None and not self._wanted(key, event.node)):
            gone = self.objects.pop(key, None)
            self.revisions.pop(key, None)
            if gone is None:
                return
        else:
            try:
                self.objects[key] = codec.decode(self._view, event.object)
            except codec.ForeignMessage as error:
                self.foreign += 1
                logger.warning("an object that cannot be read was skipped", key="/".join(key), reason=str(error))
                return
            self.revisions[key] = stored.revision
        self.revision = stored.revision
        if self.synced.is_set():
            self._on_change(key)

    def _skip(self, stored: base.Stored, reason: str) -> None:
        self.foreign += 1

    def _current(self, revision: int) -> None:
        self.revision = max(self.revision, revision)
        if not self.synced.is_set():
            self.synced.set()
            self._on_change(None)

    def _reset(self) -> None:
        self.objects.clear()
        self.revisions.clear()
        self.revision = 0
        self.synced.clear()


class Watching:
    """Opens watches for one process."""

    def __init__(self, bus: base.Bus, clock: Clock, client: ApiClient, tasks: OrderedTaskGroup) -> None:
        self.log = EventLog(bus)
        self.client = client
        self.liveness = ApiServerLiveness(bus, clock, client.give_up_waiting)
        self._tasks = tasks

    def watch[T](
        self,
        resource: Resource,
        view: type[T],
        on_change: Callable[[ObjectKey | None], None],
        namespace: str = "",
        wanted: Callable[[ObjectKey, str], bool] | None = None,
    ) -> Watch[T]:
        """A running watch; await its `synced` before acting on `objects`."""
        watch = Watch(self, resource, view, on_change, namespace, wanted)
        watch.task = self._tasks.start(watch.run(), name=f"watch {resource.resource}")
        return watch


def plain(raw: msgspec.Raw) -> dict[str, Any]:
    """An event's object as a JSON dictionary. Raises ForeignMessage."""
    return codec.decode(dict[str, Any], raw)
