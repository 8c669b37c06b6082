"""The event log on every bus: outcomes are always known, followers see everything once and in order."""

import asyncio
from collections.abc import Callable, Sequence

import msgspec
import pytest

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages.events import Change, ObjectEvent
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.bus import base
from podwire.services.chassis.eventlog.compaction import Revision, compact
from podwire.services.chassis.eventlog.follow import Follower
from podwire.services.chassis.eventlog.log import Conflict, EventLog, LogUnavailable, StoredEvent, read_event
from podwire.services.chassis.tasks import OrderedTaskGroup

from .conftest import Harness

Fault = Callable[[int], str]
"""From the number of the append: "" (none), "before" or "after" the server has it, the answer is lost."""


def pod(name: str) -> ObjectKey:
    return ObjectKey("", "pods", "default", name)


def event(write_id: str, change: Change = "ADDED") -> ObjectEvent:
    raw = msgspec.Raw(codec.encode({"metadata": {"name": write_id}}))
    return ObjectEvent(change=change, write_id=write_id, previous=0, actor="test", time=0, object=raw)


class Lossy:
    """A bus that loses the answers of some appends: before the server has them, or after."""

    def __init__(self, inner: base.Bus, fault: Fault) -> None:
        self.inner, self.fault = inner, fault
        self.appends = 0
        self.name = inner.name
        self.request, self.publish, self.subscribe = inner.request, inner.publish, inner.subscribe
        self.on_connection, self.flush, self.close = inner.on_connection, inner.flush, inner.close
        self.last, self.stream_state = inner.last, inner.stream_state
        self.consume, self.purge = inner.consume, inner.purge

    @property
    def connected(self) -> bool:
        return self.inner.connected

    async def append(self, subject: str, payload: bytes, expected: int | None, timeout: float) -> int:
        self.appends += 1
        fault = self.fault(self.appends)
        if fault != "before":
            sequence = await self.inner.append(subject, payload, expected, timeout)
        if fault:
            raise base.RequestTimeout(f"{subject}: the answer was lost")
        return sequence


class Reader:
    """Follows subjects and keeps what it is told."""

    def __init__(
        self, bus: base.Bus, tasks: OrderedTaskGroup, start: int | None = 1, filters: Sequence[str] = ()
    ) -> None:
        self.events: list[StoredEvent] = []
        self.currents: list[int] = []
        self.resets = 0
        self._changed = asyncio.Event()
        self.follower: Follower = EventLog(bus).follow(
            filters or [subjects.ALL_EVENTS], start, self._event, self._current, self._reset
        )
        self._tasks = tasks
        tasks.start(self.follower.run(), "follow")

    def _event(self, event: StoredEvent) -> None:
        self.events.append(event)
        self._changed.set()

    def _current(self, revision: int) -> None:
        self.currents.append(revision)
        self._changed.set()

    def _reset(self) -> None:
        self.resets += 1
        self.events.clear()
        self._changed.set()

    @property
    def writes(self) -> list[str]:
        return [entry.event.write_id for entry in self.events]

    @property
    def revisions(self) -> list[int]:
        return [entry.revision for entry in self.events]

    async def until(self, condition: Callable[[], bool], seconds: float = 10) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


async def stored_writes(bus: base.Bus, key: ObjectKey) -> list[str]:
    """The write ids of an object's whole history."""
    found: list[base.Stored] = []
    consumer = await bus.consume(
        [subjects.object_events(key)], 1, lambda delivery: found.append(delivery.stored), lambda _: None, 5
    )
    async with asyncio.timeout(5):
        while len(found) < consumer.pending:
            await asyncio.sleep(0)
    consumer.close()
    return [read_event(entry).event.write_id for entry in found]


class TestAppending:
    """A write takes place once or not at all, and the writer knows which."""

    async def test_the_revision_is_the_streams_sequence(self, harness: Harness) -> None:
        log = EventLog(await harness.connect("w", "admin"))
        first = await log.append(pod("a"), event("1"), 0)
        assert await log.append(pod("b"), event("2"), 0) == first + 1
        assert await log.append(pod("a"), event("3", "MODIFIED"), first) == first + 2

    @pytest.mark.parametrize("off", [-1, 1, 1000])
    async def test_another_revision_is_a_conflict_that_tells_the_newest(self, harness: Harness, off: int) -> None:
        log = EventLog(await harness.connect("w", "admin"))
        newest = await log.append(pod("a"), event("1"), await log.append(pod("a"), event("0"), 0))
        with pytest.raises(Conflict) as raised:
            await log.append(pod("a"), event("2"), newest + off)
        assert raised.value.last == newest

    async def test_creating_what_exists_is_a_conflict(self, harness: Harness) -> None:
        log = EventLog(await harness.connect("w", "admin"))
        first = await log.append(pod("a"), event("1"), 0)
        with pytest.raises(Conflict) as raised:
            await log.append(pod("a"), event("2"), 0)
        assert raised.value.last == first

    async def test_over_a_tombstone_one_creates_with_its_sequence(self, harness: Harness) -> None:
        log = EventLog(await harness.connect("w", "admin"))
        tombstone = await log.append(pod("a"), event("2", "DELETED"), await log.append(pod("a"), event("1"), 0))
        with pytest.raises(Conflict) as raised:
            await log.append(pod("a"), event("3"), 0)
        assert raised.value.last == tombstone
        assert await log.append(pod("a"), event("3"), tombstone) == tombstone + 1

    @pytest.mark.parametrize("where", ["before", "after"])
    async def test_a_lost_answer_counts_once(self, harness: Harness, where: str) -> None:
        bus = await harness.connect("w", "admin")
        lossy = Lossy(bus, lambda number: where if number == 1 else "")
        first = await EventLog(lossy).append(pod("a"), event("1"), 0)
        assert await EventLog(bus).append(pod("a"), event("2", "MODIFIED"), first) == first + 1
        assert await stored_writes(bus, pod("a")) == ["1", "2"]

    async def test_a_lost_write_that_another_overtook_is_a_conflict(self, harness: Harness) -> None:
        bus = await harness.connect("w", "admin")
        other = EventLog(await harness.connect("o", "admin"))

        class Overtaken(Lossy):
            async def append(self, subject: str, payload: bytes, expected: int | None, timeout: float) -> int:
                await other.append(pod("a"), event("theirs"), 0)
                raise base.RequestTimeout("lost before the server had it")

        with pytest.raises(Conflict):
            await EventLog(Overtaken(bus, lambda _: "")).append(pod("a"), event("ours"), 0)
        assert await stored_writes(bus, pod("a")) == ["theirs"]

    async def test_without_a_server_the_outcome_is_said_to_be_unknown(self, harness: Harness) -> None:
        log = EventLog(await harness.connect("w", "admin"), patience=0.5)
        await harness.kill()
        with pytest.raises(LogUnavailable):
            await log.append(pod("a"), event("1"), 0)

    async def test_of_many_writers_one_wins_each_revision(self, harness: Harness) -> None:
        bus = await harness.connect("w", "admin")
        first = await EventLog(bus).append(pod("a"), event("0"), 0)

        async def attempt(number: int) -> str:
            try:
                await EventLog(bus).append(pod("a"), event(f"w{number}", "MODIFIED"), first)
            except Conflict:
                return ""
            return f"w{number}"

        winners = [name for name in await asyncio.gather(*(attempt(number) for number in range(20))) if name]
        assert len(winners) == 1 and await stored_writes(bus, pod("a")) == ["0", *winners]


class Writers:
    """Concurrent writers, each updating an object of its own; `acknowledged` are the writes that were answered."""

    def __init__(self, log: EventLog) -> None:
        self.acknowledged: list[tuple[int, str]] = []
        self._log = log

    async def write(self, number: int, count: int) -> None:
        revision = 0
        for step in range(count):
            name = f"{number}.{step}"
            revision = await self._log.append(pod(f"p{number}"), event(name), revision)
            self.acknowledged.append((revision, name))


class TestFollowing:
    """A follower hands over every event once and in order, whatever happens to server and consumer."""

    async def test_twenty_writers_and_two_deaths_of_the_server_lose_nothing(self, harness: Harness) -> None:
        bus, reading = await harness.connect("w", "admin"), await harness.connect("r", "admin")
        async with OrderedTaskGroup() as tasks:
            reader, writers = Reader(reading, tasks), Writers(EventLog(bus, patience=30))
            running = [tasks.start(writers.write(number, 15), f"writer {number}") for number in range(20)]
            for so_far in (60, 180):
                await reader.until(lambda so_far=so_far: len(reader.events) >= so_far)  # type: ignore[misc]  # mypy cannot type a lambda's default
                await harness.kill()
                await harness.restart()
            await asyncio.gather(*running)
            await reader.until(lambda: len(reader.events) >= 300)
            reader.follower.close()
        assert len(writers.acknowledged) == 300
        assert list(zip(reader.revisions, reader.writes, strict=True)) == sorted(writers.acknowledged)
        assert reader.resets == 0

    async def test_the_first_new_write_after_a_restart_is_seen_within_a_second(self, harness: Harness) -> None:
        bus, reading = await harness.connect("w", "admin"), await harness.connect("r", "admin")
        async with OrderedTaskGroup() as tasks:
            reader = Reader(reading, tasks)
            await reader.until(lambda: bool(reader.currents))
            await harness.kill()
            await harness.restart()
            await EventLog(bus, patience=30).append(pod("a"), event("1"), 0)
            await reader.until(lambda: reader.writes == ["1"], seconds=1)
            assert reader.resets == 0
            reader.follower.close()

    async def test_the_newest_of_each_object_then_what_comes(self, harness: Harness) -> None:
        bus = await harness.connect("w", "admin")
        log = EventLog(bus)
        for name in ("a", "b"):
            revision = await log.append(pod(name), event(f"{name}1"), 0)
            await log.append(pod(name), event(f"{name}2", "MODIFIED"), revision)
        async with OrderedTaskGroup() as tasks:
            reader = Reader(bus, tasks, start=None)
            await reader.until(lambda: bool(reader.currents))
            assert reader.writes == ["a2", "b2"]
            await log.append(pod("c"), event("c1"), 0)
            await reader.until(lambda: reader.writes == ["a2", "b2", "c1"])
            reader.follower.close()

    async def test_current_is_told_after_the_list_and_with_the_streams_end(self, harness: Harness) -> None:
        bus = await harness.connect("w", "admin")
        await EventLog(bus).append(pod("a"), event("1"), 0)
        last = await EventLog(bus).append(ObjectKey("apps", "deployments", "default", "x"), event("2"), 0)
        async with OrderedTaskGroup() as tasks:
            reader = Reader(bus, tasks, filters=[subjects.resource_events("", "pods")])
            await reader.until(lambda: bool(reader.currents))
            assert (reader.writes, reader.currents) == (["1"], [last])
            reader.follower.close()

    async def test_from_a_revision_on(self, harness: Harness) -> None:
        bus = await harness.connect("w", "admin")
        revisions = [await EventLog(bus).append(pod(str(number)), event(str(number)), 0) for number in range(5)]
        async with OrderedTaskGroup() as tasks:
            reader = Reader(bus, tasks, start=revisions[3])
            await reader.until(lambda: bool(reader.currents))
            assert reader.revisions == revisions[3:]
            reader.follower.close()

    async def test_foreign_messages_are_passed_over(self, harness: Harness) -> None:
        bus = await harness.connect("w", "admin")
        async with OrderedTaskGroup() as tasks:
            reader = Reader(bus, tasks)
            await reader.until(lambda: bool(reader.currents))
            await bus.append(subjects.object_events(pod("foreign")), b"\xc1", 0, 5)
            await bus.append("kube.events.too.short", b"", 0, 5)
            last = await EventLog(bus).append(pod("a"), event("1"), 0)
            await reader.until(lambda: reader.writes == ["1"])
            assert (reader.follower.cursor, reader.follower.remade) == (last, 0)
            reader.follower.close()


class Meddling(Lossy):
    """A bus between follower and server that loses deliveries or heartbeats, or tells of another stream."""

    def __init__(self, inner: base.Bus) -> None:
        super().__init__(inner, lambda _: "")
        self.lose_delivery = 0
        self.is_deaf = False
        self.birth = ""
        self.consume = self._consume
        self.stream_state = self._stream_state

    async def _stream_state(self, timeout: float) -> base.StreamState:
        state = await self.inner.stream_state(timeout)
        return base.StreamState(self.birth, state.first, state.last) if self.birth else state

    async def _consume(
        self,
        subjects: Sequence[str],
        start: int | None,
        on_message: Callable[[base.Delivery], None],
        on_heartbeat: Callable[[int], None],
        timeout: float,
    ) -> base.Consumer:
        is_deaf = self.is_deaf

        def deliver(delivery: base.Delivery) -> None:
            if delivery.stored.sequence == self.lose_delivery:
                self.lose_delivery = 0
            elif not is_deaf:
                on_message(delivery)

        def beat(sequence: int) -> None:
            if not is_deaf:
                on_heartbeat(sequence)

        self.is_deaf = False
        return await self.inner.consume(subjects, start, deliver, beat, timeout)


class TestRemaking:
    """The consumer is made anew at a gap, at silence; another stream means to begin anew."""

    async def test_a_lost_delivery_is_a_gap(self, harness: Harness) -> None:
        bus = Meddling(await harness.connect("w", "admin"))
        log = EventLog(bus)
        async with OrderedTaskGroup() as tasks:
            reader = Reader(bus, tasks)
            await reader.until(lambda: bool(reader.currents))
            bus.lose_delivery = await log.append(pod("a"), event("1"), 0) + 1
            await log.append(pod("b"), event("2"), 0)
            await log.append(pod("c"), event("3"), 0)
            await reader.until(lambda: reader.writes == ["1", "2", "3"] and len(reader.currents) == 2)
            assert reader.follower.remade == 1
            reader.follower.close()

    async def test_a_lost_last_delivery_shows_in_the_heartbeat(self, harness: Harness) -> None:
        bus = Meddling(await harness.connect("w", "admin"))
        async with OrderedTaskGroup() as tasks:
            reader = Reader(bus, tasks)
            await reader.until(lambda: bool(reader.currents))
            bus.lose_delivery = (await bus.stream_state(5)).last + 1
            await EventLog(bus).append(pod("a"), event("1"), 0)
            await reader.until(lambda: reader.writes == ["1"], seconds=1)
            assert reader.follower.remade == 1
            reader.follower.close()

    async def test_silence_ends_a_consumer(self, harness: Harness) -> None:
        bus = Meddling(await harness.connect("w", "admin"))
        bus.is_deaf = True
        async with OrderedTaskGroup() as tasks:
            reader = Reader(bus, tasks)
            await EventLog(bus).append(pod("a"), event("1"), 0)
            await reader.until(lambda: reader.writes == ["1"], seconds=2)
            assert reader.follower.remade == 1
            reader.follower.close()

    async def test_another_birth_is_another_cluster(self, harness: Harness) -> None:
        bus = Meddling(await harness.connect("w", "admin"))
        await EventLog(bus).append(pod("a"), event("1"), 0)
        async with OrderedTaskGroup() as tasks:
            reader = Reader(bus, tasks)
            await reader.until(lambda: bool(reader.currents))
            bus.birth = "another"
            await harness.kill()
            await harness.restart()
            await reader.until(lambda: reader.resets == 1 and reader.writes == ["1"])
            assert reader.follower.birth == "another"
            reader.follower.close()

    async def test_a_stream_that_was_set_back_is_another_cluster(self, harness: Harness) -> None:
        bus = await harness.connect("w", "admin")
        await EventLog(bus).append(pod("a"), event("1"), 0)
        async with OrderedTaskGroup() as tasks:
            reader = Reader(bus, tasks)
            await reader.until(lambda: bool(reader.currents))
            reader.follower.cursor += 1000
            await harness.kill()
            await harness.restart()
            await reader.until(lambda: reader.resets == 1 and reader.writes == ["1"])
            reader.follower.close()


class TestCompaction:
    """The floor is stored first; what lies below it and matters no more is removed, exactly."""

    async def test_the_floor_only_rises(self, harness: Harness) -> None:
        log = EventLog(await harness.connect("w", "admin"))
        assert await log.floor() == 0
        for wanted, floor in ((5, 5), (3, 5), (9, 9)):
            await log.raise_floor(wanted)
            assert await log.floor() == floor

    async def test_what_is_kept(self, harness: Harness) -> None:
        bus = await harness.connect("w", "admin")
        log = EventLog(bus)
        history: list[Revision] = []
        lease = ObjectKey("coordination.k8s.io", "leases", "kube-node-lease", "node-1")

        async def write(key: ObjectKey, name: str, change: Change = "MODIFIED") -> int:
            last = max((entry.revision for entry in history if entry.key == key), default=0)
            revision = await log.append(key, event(name, change), last)
            history.append(Revision(key, revision, change))
            return revision

        for name in ("a1", "a2", "a3"):
            await write(pod("a"), name)
        await write(pod("gone"), "g1")
        await write(pod("gone"), "g2", "DELETED")
        floor = await write(pod("b"), "b1")
        await write(pod("a"), "a4")
        await write(pod("late"), "l1")
        await write(pod("late"), "l2", "DELETED")
        end = [await write(lease, f"beat{number}") for number in range(4)][-1]
        await compact(log, history, floor, end)
        assert await log.floor() == floor
        left = {key.name: await stored_writes(bus, key) for key in dict.fromkeys(entry.key for entry in history)}
        assert left == {"a": ["a3", "a4"], "gone": [], "b": ["b1"], "late": ["l1", "l2"], "node-1": ["beat3"]}

    async def test_compacting_again_removes_nothing(self, harness: Harness) -> None:
        bus = await harness.connect("w", "admin")
        log = EventLog(bus)
        first = await log.append(pod("a"), event("1"), 0)
        second = await log.append(pod("a"), event("2", "MODIFIED"), first)
        history = [Revision(pod("a"), first, "ADDED"), Revision(pod("a"), second, "MODIFIED")]
        assert len(await compact(log, history, second, second)) == 1
        assert await compact(log, history[1:], second, second) == []
        assert await stored_writes(bus, pod("a")) == ["2"]
