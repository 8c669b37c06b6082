"""A component's watch: opened by asking, current from the log, given up when the API server's heartbeats stop."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from simulated import ToyApiServer, event, pod_key, simulate

from podwire.proto import subjects
from podwire.proto.kube import resources
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.api.client import ApiClient, ApiUnavailable
from podwire.services.chassis.api.watch import GIVE_UP_AFTER, SILENT_AFTER, Watch, Watching
from podwire.services.chassis.bus.memory import Broker
from podwire.services.chassis.bus.stream import Stream
from podwire.services.chassis.eventlog.log import EventLog
from podwire.services.chassis.simulation.loop import SimulatedClock, SimulationLoop
from podwire.services.chassis.tasks import OrderedTaskGroup

Wanted = Callable[[ObjectKey, str], bool]


class Setting:
    """A broker, a toy API server that beats, a writer, and one watch of pods."""

    def __init__(self, broker: Broker, tasks: OrderedTaskGroup, wanted: Wanted | None, namespace: str) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulationLoop)
        self.broker, self.tasks = broker, tasks
        self.api = ToyApiServer(broker, tasks)
        self.writer = EventLog(broker.connect("writer"))
        self.changes: list[str | None] = []
        self.reader = broker.connect("reader")
        self.client = ApiClient(self.reader, "u")
        watching = Watching(self.reader, SimulatedClock(loop), self.client, tasks)
        tasks.start(self._beat(), "beat")
        self.watch: Watch[dict[str, Any]] = watching.watch(
            resources.PODS, dict[str, Any], self._on_change, namespace, wanted
        )

    async def _beat(self) -> None:
        while True:
            self.api.beat()
            await asyncio.sleep(0.2)

    def _on_change(self, key: ObjectKey | None) -> None:
        self.changes.append(key.name if key else None)

    @property
    def names(self) -> list[str]:
        return [key.name for key in self.watch.objects]

    async def add(self, name: str, expected: int = 0, **options: Any) -> int:
        return await self.writer.append(pod_key(name), event("ADDED", f"w-{name}-{expected}", **options), expected)


def watched(
    body: Callable[[Setting], Coroutine[Any, Any, None]], wanted: Wanted | None = None, namespace: str = ""
) -> None:
    """Runs `body` beside a watch, in virtual time."""

    async def main(broker: Broker) -> None:
        async with OrderedTaskGroup() as tasks:
            await body(Setting(broker, tasks, wanted, namespace))
            tasks.cancel_all()

    simulate(main)


def test_the_list_is_told_once_and_then_each_change() -> None:
    async def body(setting: Setting) -> None:
        await setting.add("a")
        first = await setting.add("b")
        await setting.watch.synced.wait()
        assert setting.names == ["a", "b"] and setting.changes == [None]
        await setting.writer.append(pod_key("b"), event("DELETED", "gone"), first)
        last = await setting.add("c")
        await asyncio.sleep(0.1)
        assert setting.names == ["a", "c"] and setting.changes == [None, "b", "c"]
        assert setting.watch.revision == last == setting.watch.revisions[pod_key("c")]
        assert setting.watch.named("default", "c") is not None and setting.watch.named("default", "b") is None

    watched(body)


def test_an_empty_collection_is_current_at_once() -> None:
    async def body(setting: Setting) -> None:
        async with asyncio.timeout(1):
            await setting.watch.synced.wait()
        assert setting.changes == [None] and setting.names == []

    watched(body)


def test_only_the_wanted_objects_are_kept_and_those_that_leave_the_selection_go() -> None:
    async def body(setting: Setting) -> None:
        await setting.add("mine", node="node-1")
        await setting.add("other", node="node-2")
        pending = await setting.add("pending")
        await setting.watch.synced.wait()
        assert setting.names == ["mine"]
        bound = await setting.writer.append(pod_key("pending"), event("MODIFIED", "bound", node="node-1"), pending)
        await asyncio.sleep(0.1)
        assert setting.names == ["mine", "pending"]
        await setting.writer.append(pod_key("pending"), event("MODIFIED", "moved", node="node-2"), bound)
        await asyncio.sleep(0.1)
        assert setting.names == ["mine"] and setting.changes == [None, "pending", "pending"]

    watched(body, wanted=lambda _, node: node == "node-1")


def test_one_namespace_alone() -> None:
    async def body(setting: Setting) -> None:
        await setting.writer.append(pod_key("a", "production"), event("ADDED", "1"), 0)
        await setting.writer.append(pod_key("a", "staging"), event("ADDED", "2"), 0)
        await setting.watch.synced.wait()
        assert [key.namespace for key in setting.watch.objects] == ["production"]

    watched(body, namespace="production")


def test_what_cannot_be_read_is_counted_and_skipped() -> None:
    async def body(setting: Setting) -> None:
        await setting.watch.synced.wait()
        subject = subjects.object_events(pod_key("foreign"))
        await setting.writer.bus.append(subject, b"\xff\xff", 0, 1)
        await setting.writer.append(pod_key("shapeless"), event("ADDED", "s", body=[1]), 0)
        await setting.add("good")
        await asyncio.sleep(0.1)
        assert setting.watch.foreign == 2 and setting.names == ["good"]

    watched(body)


def test_a_refused_watch_is_asked_for_again() -> None:
    async def body(setting: Setting) -> None:
        setting.api.refusal = 403
        await setting.add("a")
        await asyncio.sleep(5)
        assert setting.names == [] and not setting.watch.synced.is_set() and len(setting.api.opened) > 10
        setting.api.refusal = 0
        await asyncio.sleep(1)
        assert setting.names == ["a"]

    watched(body)


def test_it_is_given_up_when_heartbeats_stop_and_goes_on_from_where_it_was() -> None:
    async def body(setting: Setting) -> None:
        await setting.add("a")
        await setting.watch.synced.wait()
        setting.api.alive = False
        await asyncio.sleep(2 * GIVE_UP_AFTER)
        await setting.add("unseen")
        await asyncio.sleep(5)
        assert setting.names == ["a"], "what was seen stays; nothing new is seen"
        setting.api.alive = True
        await asyncio.sleep(3)
        assert setting.names == ["a", "unseen"] and setting.changes == [None, "unseen"], "no second list"

    watched(body)


def test_below_the_floor_it_lists_again() -> None:
    async def body(setting: Setting) -> None:
        gone = await setting.add("gone")
        await setting.watch.synced.wait()
        setting.api.alive = False
        await asyncio.sleep(2 * GIVE_UP_AFTER)
        tombstone = await setting.writer.append(pod_key("gone"), event("DELETED", "d"), gone)
        await setting.add("new")
        await setting.writer.bus.purge(subjects.object_events(pod_key("gone")), tombstone + 1, 1)
        setting.api.floor, setting.api.alive = tombstone + 1, True
        await asyncio.sleep(3)
        assert setting.names == ["new"], "the tombstone is compacted away: only a new list shows that it is gone"
        assert setting.changes == [None, None]

    watched(body)


def test_a_stream_of_another_birth_is_another_cluster() -> None:
    async def body(setting: Setting) -> None:
        await setting.add("old")
        await setting.watch.synced.wait()
        setting.broker.kill()
        setting.broker.stream = Stream("another")
        setting.broker.restart()
        await setting.add("new")
        await asyncio.sleep(2)
        assert setting.names == ["new"] and setting.changes.count(None) == 2

    watched(body)


def test_what_a_dead_api_server_was_asked_fails_once_another_beats() -> None:
    async def body(setting: Setting) -> None:
        await setting.watch.synced.wait()
        setting.api.silent = True
        asking = asyncio.get_running_loop().create_task(setting.client.open_watch(resources.PODS))
        await asyncio.sleep(0.3)
        assert not asking.done(), "it may still answer"
        setting.api.instance = "its successor"
        with pytest.raises(ApiUnavailable, match="went away"):
            async with asyncio.timeout(2 * SILENT_AFTER):
                await asking
        setting.api.silent = False
        await setting.client.open_watch(resources.PODS)

    watched(body)
