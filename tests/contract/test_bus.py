"""The bus contract: what every implementation does, refuses and loses."""

import asyncio
import json
from collections.abc import Callable

import pytest

from podwire.proto import subjects
from podwire.services.chassis.bus import base
from podwire.services.chassis.bus.base import Bus, Delivery, Message
from podwire.services.chassis.bus.pieces import PIECE, Responder, request
from podwire.services.chassis.tasks import OrderedTaskGroup

from .conftest import Harness

KEY = subjects.object_events(subjects.ObjectKey("", "pods", "default", "a"))
OTHER = subjects.object_events(subjects.ObjectKey("", "pods", "default", "b"))


class Inbox:
    """Collects messages and lets a test wait for a number of them."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.deliveries: list[Delivery] = []
        self.heartbeats: list[int] = []
        self._changed = asyncio.Event()

    def take(self, message: Message) -> None:
        self.messages.append(message)
        self._changed.set()

    def deliver(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)
        self._changed.set()

    def beat(self, sequence: int) -> None:
        self.heartbeats.append(sequence)
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


def echo(bus: Bus) -> Callable[[Message], None]:
    return lambda message: bus.publish(message.reply, b"re:" + message.payload)


async def test_messages_arrive_in_order_of_publishing(harness: Harness) -> None:
    sender, receiver, inbox = await harness.connect("s", "admin"), await harness.connect("r", "admin"), Inbox()
    receiver.subscribe("a.*", inbox.take)
    await receiver.flush()
    for number in range(100):
        sender.publish(f"a.{number % 3}", str(number).encode())
    await inbox.until(lambda: len(inbox.messages) == 100)
    assert [int(message.payload) for message in inbox.messages] == list(range(100))


async def test_a_queue_group_shares_messages(harness: Harness) -> None:
    sender, inboxes = await harness.connect("s", "admin"), [Inbox(), Inbox()]
    everything = Inbox()
    for number, inbox in enumerate(inboxes):
        bus = await harness.connect(f"q{number}", "admin")
        bus.subscribe("work", lambda message, inbox=inbox: (inbox.take(message), everything.take(message))[0], "group")
        await bus.flush()
    for number in range(60):
        sender.publish("work", str(number).encode())
    await everything.until(lambda: len(everything.messages) == 60)
    assert all(inbox.messages for inbox in inboxes)
    assert len(inboxes[0].messages) + len(inboxes[1].messages) == 60


async def test_a_request_is_answered(harness: Harness) -> None:
    server, client = await harness.connect("s", "admin"), await harness.connect("c", "admin")
    server.subscribe("ask", echo(server))
    await server.flush()
    assert await client.request("ask", b"x", 5) == b"re:x"


async def test_a_request_without_listener_fails_at_once(harness: Harness) -> None:
    client = await harness.connect("c", "admin")
    with pytest.raises(base.NoResponders):
        await client.request("nobody", b"", 5)


async def test_a_request_without_answer_times_out(harness: Harness) -> None:
    server, client = await harness.connect("s", "admin"), await harness.connect("c", "admin")
    server.subscribe("ask", lambda message: None)
    await server.flush()
    with pytest.raises(base.RequestTimeout):
        await client.request("ask", b"", 0.05)


async def test_a_request_that_waits_when_the_server_dies_fails_at_once(harness: Harness) -> None:
    server, client = await harness.connect("s", "admin"), await harness.connect("c", "admin")
    server.subscribe("ask", lambda message: None)
    await server.flush()
    asking = asyncio.get_running_loop().create_task(client.request("ask", b"", 5))
    await client.flush()
    await harness.kill()
    with pytest.raises(base.Disconnected):
        async with asyncio.timeout(1):
            await asking


async def test_a_flush_that_is_given_up_leaves_the_connection_whole(harness: Harness) -> None:
    bus, inbox = await harness.connect("r", "admin"), Inbox()
    bus.subscribe("a", inbox.take)
    given_up = asyncio.get_running_loop().create_task(bus.flush())
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    await bus.flush()
    bus.publish("a", b"still heard")
    await inbox.until(lambda: bool(inbox.messages))
    assert [message.payload for message in inbox.messages] == [b"still heard"]


async def test_a_payload_over_the_limit_is_refused(harness: Harness) -> None:
    client = await harness.connect("c", "admin")
    with pytest.raises(base.PayloadTooLarge):
        client.publish("a", bytes(base.MAX_PAYLOAD + 1))


async def test_larger_requests_go_in_pieces(harness: Harness) -> None:
    server, client = await harness.connect("s", "admin"), await harness.connect("c", "admin")
    question = bytes(range(256)) * (PIECE // 100)

    async def reverse(message: Message) -> bytes:
        return message.payload[::-1]

    async with OrderedTaskGroup() as tasks:
        Responder(server, tasks, reverse).serve("large")
        await server.flush()
        assert await request(client, "large", question, 10) == question[::-1]


async def test_a_handler_that_fails_does_not_end_its_subscription(harness: Harness) -> None:
    bus, inbox = await harness.connect("s", "admin"), Inbox()

    def handler(message: Message) -> None:
        inbox.take(message)
        raise ValueError("a foreign message")

    bus.subscribe("a", handler)
    await bus.flush()
    bus.publish("a", b"1")
    bus.publish("a", b"2")
    await inbox.until(lambda: len(inbox.messages) == 2)
    assert [message.payload for message in inbox.messages] == [b"1", b"2"]


async def test_what_is_not_permitted_is_lost(harness: Harness) -> None:
    admin, limited, inbox = await harness.connect("a", "admin"), await harness.connect("l", "limited"), Inbox()
    admin.subscribe(">", inbox.take)
    await admin.flush()
    limited.publish("forbidden", b"")
    limited.publish("allowed.x", b"")
    await inbox.until(lambda: any(message.subject == "allowed.x" for message in inbox.messages))
    assert all(message.subject != "forbidden" for message in inbox.messages)


async def test_what_is_not_permitted_is_not_received(harness: Harness) -> None:
    admin, limited, inbox = await harness.connect("a", "admin"), await harness.connect("l", "limited"), Inbox()
    limited.subscribe("secret.x", inbox.take)
    limited.subscribe("allowed.x", inbox.take)
    await limited.flush()
    admin.publish("secret.x", b"")
    admin.publish("allowed.x", b"")
    await inbox.until(lambda: bool(inbox.messages))
    assert [message.subject for message in inbox.messages] == ["allowed.x"]


async def test_the_end_of_a_connection_is_told_by_name(harness: Harness) -> None:
    admin, other, inbox = await harness.connect("a", "admin"), await harness.connect("coredns.17", "admin"), Inbox()
    admin.subscribe(subjects.DISCONNECTS, inbox.take)
    await admin.flush()
    await other.close()
    await inbox.until(lambda: bool(inbox.messages))
    assert json.loads(inbox.messages[0].payload)["client"]["name"] == "coredns.17"


class TestStream:
    """The event log's stream."""

    async def test_compare_and_append(self, harness: Harness) -> None:
        bus = await harness.connect("a", "admin")
        first = await bus.append(KEY, b"1", 0, 5)
        with pytest.raises(base.WrongLastSequence):
            await bus.append(KEY, b"2", 0, 5)
        assert await bus.append(OTHER, b"other", 0, 5) == first + 1
        assert await bus.append(KEY, b"2", first, 5) == first + 2

    async def test_a_subject_outside_the_stream_is_refused(self, harness: Harness) -> None:
        bus = await harness.connect("a", "admin")
        with pytest.raises(base.BusError):
            await bus.append("elsewhere", b"1", 0, 1)

    async def test_the_last_message_of_a_subject(self, harness: Harness) -> None:
        bus = await harness.connect("a", "admin")
        assert await bus.last(KEY, 5) is None
        first = await bus.append(KEY, b"1", 0, 5)
        assert await bus.last(KEY, 5) == base.Stored(first, KEY, b"1")

    async def test_a_consumer_gets_what_is_stored_then_what_comes(self, harness: Harness) -> None:
        bus, inbox = await harness.connect("a", "admin"), Inbox()
        sequences = [await bus.append(KEY, b"1", None, 5), await bus.append(OTHER, b"2", None, 5)]
        consumer = await bus.consume([subjects.resource_events("", "pods")], 1, inbox.deliver, inbox.beat, 5)
        assert consumer.pending == 2
        sequences.append(await bus.append(KEY, b"3", None, 5))
        await inbox.until(lambda: len(inbox.deliveries) == 3)
        assert [delivery.stored.sequence for delivery in inbox.deliveries] == sequences
        assert [delivery.consumer_sequence for delivery in inbox.deliveries] == [1, 2, 3]

    async def test_a_consumer_of_the_newest_of_each_subject(self, harness: Harness) -> None:
        bus, inbox = await harness.connect("a", "admin"), Inbox()
        for payload in (b"1", b"2"):
            await bus.append(KEY, payload, None, 5)
        await bus.append(OTHER, b"3", None, 5)
        consumer = await bus.consume([subjects.ALL_EVENTS], None, inbox.deliver, inbox.beat, 5)
        await inbox.until(lambda: len(inbox.deliveries) == 2)
        assert consumer.pending == 2
        assert [delivery.stored.payload for delivery in inbox.deliveries] == [b"2", b"3"]

    async def test_an_idle_consumer_beats_with_its_last_sequence(self, harness: Harness) -> None:
        bus, inbox = await harness.connect("a", "admin"), Inbox()
        await bus.append(KEY, b"1", None, 5)
        await bus.consume([subjects.ALL_EVENTS], 1, inbox.deliver, inbox.beat, 5)
        await inbox.until(lambda: inbox.heartbeats[-1:] == [1])
        assert [delivery.consumer_sequence for delivery in inbox.deliveries] == [1]

    async def test_purging_is_exact(self, harness: Harness) -> None:
        bus, inbox = await harness.connect("a", "admin"), Inbox()
        await bus.append(KEY, b"1", None, 5)
        newest = await bus.append(KEY, b"2", None, 5)
        await bus.append(OTHER, b"3", None, 5)
        assert await bus.purge(KEY, newest, 5) == 1
        await bus.consume([subjects.ALL_EVENTS], 1, inbox.deliver, inbox.beat, 5)
        await inbox.until(lambda: len(inbox.deliveries) == 2)
        assert [delivery.stored.payload for delivery in inbox.deliveries] == [b"2", b"3"]

    async def test_acknowledged_writes_survive_the_servers_death(self, harness: Harness) -> None:
        bus, inbox = await harness.connect("a", "admin"), Inbox()
        before = (await bus.stream_state(5)).birth
        first = await bus.append(KEY, b"1", 0, 5)
        await harness.kill()
        with pytest.raises(base.BusError):
            await bus.append(KEY, b"2", first, 0.2)
        await harness.restart()
        assert await bus.append(KEY, b"3", first, 5) > first
        assert (await bus.stream_state(5)).birth == before
        await bus.consume([subjects.ALL_EVENTS], 1, inbox.deliver, inbox.beat, 5)
        await inbox.until(lambda: len(inbox.deliveries) == 2)


async def test_subscriptions_come_back_after_the_servers_death(harness: Harness) -> None:
    bus, inbox = await harness.connect("a", "admin"), Inbox()
    seen: list[bool] = []
    bus.on_connection(seen.append)
    bus.subscribe("a", inbox.take)
    await bus.flush()
    await harness.kill()
    bus.publish("a", b"lost")
    await harness.restart()
    await bus.flush()
    bus.publish("a", b"kept")
    await inbox.until(lambda: bool(inbox.messages))
    assert [message.payload for message in inbox.messages] == [b"kept"]
    assert seen == [False, True]
