"""The bus in one process: the same bytes, limits, permissions, refusals and loss points as the real one.

The broker may delay links against each other by a seeded amount; order holds per publisher and subscriber, as on a
NATS server. Times are the running loop's, which is virtual in simulation.
"""

import asyncio
import contextvars
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from podwire.proto import subjects
from podwire.services.chassis.bus import base
from podwire.services.chassis.bus.permissions import Permissions
from podwire.services.chassis.bus.stream import Stream
from podwire.services.chassis.chance import RandomBits, below, hexadecimal
from podwire.services.chassis.clock import SECOND

logger = structlog.get_logger()


@dataclass(slots=True, eq=False)
class _Interest:
    """A subscription as the broker holds it."""

    connection: "MemoryBus"
    pattern: str
    handler: base.Handler
    queue: str
    context: contextvars.Context
    open: bool = True
    waiting: int = 0
    """The broker hands each message over as it delivers it."""

    def close(self) -> None:
        self.open = False
        self.connection.broker.forget(self)


@dataclass(slots=True, eq=False)
class _MemoryConsumer:
    """A push consumer: delivers in order, counts what it delivers, beats while it is idle."""

    connection: "MemoryBus"
    patterns: tuple[str, ...]
    on_message: Callable[[base.Delivery], None]
    on_heartbeat: Callable[[int], None]
    context: contextvars.Context
    pending: int = 0
    delivered: int = 0
    open: bool = True

    def close(self) -> None:
        self.open = False
        self.connection.broker.forget_consumer(self)

    def wants(self, subject: str) -> bool:
        return any(subjects.matches(pattern, subject) for pattern in self.patterns)

    def deliver(self, stored: base.Stored) -> None:
        self.delivered += 1
        delivery = base.Delivery(stored, self.delivered)
        self.connection.broker.hand_over(None, self, lambda: self.on_message(delivery))

    def heartbeat(self) -> None:
        """Says how many were delivered, unless some of them are still under way."""
        if self.open and not self.connection.broker.is_busy(self):
            self.on_heartbeat(self.delivered)


Receiver = _Interest | _MemoryConsumer


_OPEN_ANSWERS: Final = 65536
_INBOXES: Final = "_INBOX."
_STORED_BY: Final = (subjects.ALL_EVENTS, subjects.FLOOR)


class Broker:
    """The server: connections, interests, the stream. `down` is a server that was killed."""

    def __init__(self, random: RandomBits, delay_ns: int = 0) -> None:
        self.down = False
        self.delay_ns = delay_ns
        self.stream = Stream(hexadecimal(random, 16))
        self.consumers: dict[_MemoryConsumer, None] = {}
        self.connections: dict[MemoryBus, None] = {}
        self.users: dict[str, Permissions] = {}
        self._random = random
        self._exact: dict[str, list[_Interest]] = {}
        self._patterns: list[_Interest] = []
        self._matching: dict[str, list[_Interest]] = {}
        self._wanting: dict[str, list[_MemoryConsumer]] = {}
        self._busy: dict[tuple[MemoryBus | None, Receiver], int] = {}
        self._beating = False
        self._inboxes = 0

    def reseed(self, random: RandomBits) -> None:
        """From now on delays and choices follow from another stream."""
        self._random = random

    def connect(self, name: str, user: str = "") -> "MemoryBus":
        """A connection; a user that is not in `users` may do everything."""
        connection = MemoryBus(self, name, self.users.get(user, Permissions()))
        self.connections[connection] = None
        return connection

    def next_inbox(self) -> int:
        """A number that no other inbox has."""
        self._inboxes += 1
        return self._inboxes

    def remember(self, interest: _Interest) -> None:
        if "*" in interest.pattern or ">" in interest.pattern:
            self._patterns.append(interest)
            self._matching.clear()
        else:
            self._exact.setdefault(interest.pattern, []).append(interest)

    def forget(self, interest: _Interest) -> None:
        if interest in self._patterns:
            self._patterns.remove(interest)
            self._matching.clear()
        elif interest in (exact := self._exact.get(interest.pattern, [])):
            exact.remove(interest)
            if not exact:
                del self._exact[interest.pattern]

    def interested(self, subject: str) -> list[_Interest]:
        """Who gets a message: every plain subscription, and one member of each queue group."""
        matching = [*self._exact.get(subject, ()), *self._by_pattern(subject)]
        plain = [entry for entry in matching if not entry.queue]
        groups: dict[str, list[_Interest]] = {}
        for entry in matching:
            if entry.queue:
                groups.setdefault(entry.queue, []).append(entry)
        return plain + [members[below(self._random, len(members))] for members in groups.values()]

    def _by_pattern(self, subject: str) -> list[_Interest]:
        if subject.startswith(_INBOXES):
            return []
        found = self._matching.get(subject)
        if found is None:
            found = [entry for entry in self._patterns if subjects.matches(entry.pattern, subject)]
            self._matching[subject] = found
        return found

    def route(self, sender: "MemoryBus | None", message: base.Message) -> int:
        """Hands a message to its receivers; returns how many there are."""
        receivers = self.interested(message.subject)
        for entry in receivers:
            if message.reply:
                entry.connection.may_answer(message.reply)
            self.hand_over(sender, entry, lambda entry=entry: entry.handler(message))  # type: ignore[misc]  # mypy cannot type a lambda's default
        return len(receivers)

    def hand_over(self, sender: "MemoryBus | None", receiver: Receiver, call: Callable[[], None]) -> None:
        """Schedules a delivery: in order on each link, after a seeded delay."""
        loop = asyncio.get_running_loop()
        if not self.delay_ns:
            loop.call_soon(self._arrive, receiver, call, context=receiver.context)
            return
        now = round(loop.time() * SECOND)
        link = (sender, receiver)
        due = max(self._busy.get(link, 0) + 1, now + below(self._random, self.delay_ns) + 1)
        self._busy[link] = due
        loop.call_at(due / SECOND, self._arrive, receiver, call, context=receiver.context)

    def _arrive(self, receiver: Receiver, call: Callable[[], None]) -> None:
        if self.down or not receiver.open or not receiver.connection.connected:
            return
        try:
            call()
        except Exception:
            logger.exception("a handler failed")

    def is_busy(self, consumer: _MemoryConsumer) -> bool:
        """Whether deliveries to it are under way."""
        return self._busy.get((None, consumer), 0) > round(asyncio.get_running_loop().time() * SECOND)

    def keep_beating(self) -> None:
        """Idle consumers hear of the server twice a second, those of a connection together."""
        if not self._beating:
            self._beating = True
            self._beat_later()

    def _beat_later(self) -> None:
        asyncio.get_running_loop().call_later(base.HEARTBEAT_INTERVAL, self._beat, context=contextvars.Context())

    def _beat(self) -> None:
        of_connection: dict[MemoryBus, list[_MemoryConsumer]] = {}
        for consumer in self.consumers:
            of_connection.setdefault(consumer.connection, []).append(consumer)
        loop = asyncio.get_running_loop()
        for consumers in of_connection.values():
            loop.call_soon(self._heartbeats, consumers, context=consumers[0].context)
        if of_connection:
            self._beat_later()
        else:
            self._beating = False

    def _heartbeats(self, consumers: list[_MemoryConsumer]) -> None:
        for consumer in consumers:
            if not self.down and consumer.connection.connected:
                consumer.heartbeat()

    def append(self, subject: str, payload: bytes, expected: int | None) -> int:
        if not any(subjects.matches(pattern, subject) for pattern in _STORED_BY):
            raise base.StreamUnavailable(f"{subject} is not a subject of the stream")
        stored = self.stream.append(subject, payload, expected)
        for consumer in self._wanting_it(subject):
            consumer.deliver(stored)
        return stored.sequence

    def _wanting_it(self, subject: str) -> list[_MemoryConsumer]:
        found = self._wanting.get(subject)
        if found is None:
            found = self._wanting[subject] = [consumer for consumer in self.consumers if consumer.wants(subject)]
        return found

    def add_consumer(self, consumer: _MemoryConsumer) -> None:
        """From now on it gets what is stored."""
        self.consumers[consumer] = None
        self._wanting.clear()

    def forget_consumer(self, consumer: _MemoryConsumer) -> None:
        self.consumers.pop(consumer, None)
        self._wanting.clear()

    def disconnect(self, connection: "MemoryBus") -> None:
        """A connection's end, told to whoever listens for it, as the server's system account does."""
        if connection not in self.connections:
            return
        del self.connections[connection]
        for link in [link for link in self._busy if link[0] is connection or link[1].connection is connection]:
            del self._busy[link]
        if not self.down:
            payload = f'{{"client":{{"name":"{connection.name}"}}}}'.encode()
            self.route(None, base.Message(subjects.DISCONNECTS, payload, ""))

    def kill(self) -> None:
        """kill -9 of the server: connections and consumers are gone, the stream is on disk."""
        self.down = True
        for consumer in list(self.consumers):
            consumer.close()
        for connection in list(self.connections):
            connection.lost()

    def restart(self) -> None:
        """The server is back; clients find it again."""
        self.down = False
        for connection in list(self.connections):
            connection.found()


class MemoryBus:
    """One connection to the broker."""

    def __init__(self, broker: Broker, name: str, permissions: Permissions) -> None:
        self.broker = broker
        self.name = name
        self.dropped = 0
        self._permissions = permissions
        self._closed = False
        self._listeners: list[Callable[[bool], None]] = []
        self._interests: list[_Interest] = []
        self._waiting: dict[asyncio.Future[bytes], None] = {}
        self._answers: dict[str, None] = {}

    def may_answer(self, reply: str) -> None:
        """A request allows one answer to its reply subject (NATS's allow_responses)."""
        self._answers[reply] = None
        if len(self._answers) > _OPEN_ANSWERS:
            del self._answers[next(iter(self._answers))]

    def _may_publish(self, subject: str) -> bool:
        if subject in self._answers:
            del self._answers[subject]
            return True
        return self._permissions.may_publish(subject)

    @property
    def connected(self) -> bool:
        return not self._closed and not self.broker.down

    def on_connection(self, listener: Callable[[bool], None]) -> None:
        self._listeners.append(listener)

    def lost(self) -> None:
        """The server went away."""
        for waiting in list(self._waiting):
            if not waiting.done():
                waiting.set_exception(base.Disconnected("the bus went away"))
        for listener in self._listeners:
            listener(False)

    def found(self) -> None:
        """The server is back; subscriptions are made anew by the client library."""
        for listener in self._listeners:
            listener(True)

    def publish(self, subject: str, payload: bytes, reply: str = "") -> None:
        self._check_size(subject, payload)
        if not self.connected or not self._may_publish(subject):
            self.dropped += 1
            return
        self.broker.route(self, base.Message(subject, bytes(payload), reply))

    def _check_size(self, subject: str, payload: bytes) -> None:
        if len(payload) > base.MAX_PAYLOAD:
            raise base.PayloadTooLarge(f"{subject}: {len(payload)} bytes, at most {base.MAX_PAYLOAD}")

    async def request(self, subject: str, payload: bytes, timeout: float) -> bytes:
        self._check_size(subject, payload)
        if not self.connected:
            raise base.Disconnected(f"{subject}: the bus is away")
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        inbox = _Interest(self, "", lambda message: _resolve(answer, message), "", contextvars.copy_context())
        reply = self.broker_inbox(inbox)
        self._waiting[answer] = None
        try:
            return await asyncio.wait_for(self._ask(subject, payload, reply, answer), timeout)
        except TimeoutError:
            raise base.RequestTimeout(f"{subject}: no answer within {timeout} s") from None
        finally:
            inbox.close()
            self._waiting.pop(answer, None)

    def broker_inbox(self, inbox: _Interest) -> str:
        """Registers an inbox under a fresh subject of this connection's own."""
        inbox.pattern = f"_INBOX.{subjects.token(self.name)}.{self.broker.next_inbox()}"
        self.broker.remember(inbox)
        return inbox.pattern

    async def _ask(self, subject: str, payload: bytes, reply: str, answer: asyncio.Future[bytes]) -> bytes:
        permitted = self._permissions.may_publish(subject)
        if permitted and not self.broker.route(self, base.Message(subject, bytes(payload), reply)):
            raise base.NoResponders(subject)
        return await answer

    def subscribe(self, subject: str, handler: base.Handler, queue: str = "") -> base.Subscription:
        interest = _Interest(self, subject, handler, queue, contextvars.copy_context())
        if self._closed or not self._permissions.may_subscribe(subject):
            self.dropped += 1
            interest.open = False
            return interest
        self.broker.remember(interest)
        self._interests.append(interest)
        return interest

    async def flush(self) -> None:
        if not self.connected:
            raise base.Disconnected("the bus is away")
        await asyncio.sleep(0)

    async def _at_the_server(self, subject: str) -> None:
        """One way to the server: a stop here is a request that may be lost or answered too late."""
        if not self.connected:
            raise base.Disconnected(f"{subject}: the bus is away")
        if not self._permissions.may_publish(subject):
            raise base.RequestTimeout(f"{subject}: no answer")
        delay = self.broker.delay_ns
        await asyncio.sleep(below(self.broker._random, delay) / SECOND if delay else 0)
        if not self.connected:
            raise base.Disconnected(f"{subject}: the bus went away")

    async def append(self, subject: str, payload: bytes, expected: int | None, timeout: float) -> int:
        self._check_size(subject, payload)
        await self._at_the_server(subject)
        sequence = self.broker.append(subject, bytes(payload), expected)
        await self._at_the_server(subject)
        return sequence

    async def last(self, subject: str, timeout: float) -> base.Stored | None:
        await self._at_the_server(f"$JS.API.STREAM.MSG.GET.{subjects.STREAM}")
        sequence = self.broker.stream.newest.get(subject)
        return None if sequence is None else self.broker.stream.messages[sequence]

    async def stream_state(self, timeout: float) -> base.StreamState:
        await self._at_the_server(f"$JS.API.STREAM.INFO.{subjects.STREAM}")
        stream = self.broker.stream
        return base.StreamState(stream.birth, next(iter(stream.messages), stream.last + 1), stream.last)

    async def purge(self, subject: str, before: int, timeout: float) -> int:
        await self._at_the_server(f"$JS.API.STREAM.PURGE.{subjects.STREAM}")
        return self.broker.stream.purge(subject, before)

    async def consume(
        self,
        subjects: Sequence[str],
        start: int | None,
        on_message: Callable[[base.Delivery], None],
        on_heartbeat: Callable[[int], None],
        timeout: float,
    ) -> base.Consumer:
        await self._at_the_server("$JS.API.CONSUMER.CREATE.KUBE.watch")
        consumer = _MemoryConsumer(self, tuple(subjects), on_message, on_heartbeat, contextvars.copy_context())
        waiting = [stored for stored in self.broker.stream.replay(start) if consumer.wants(stored.subject)]
        consumer.pending = len(waiting)
        self.broker.add_consumer(consumer)
        for stored in waiting:
            consumer.deliver(stored)
        self.broker.keep_beating()
        return consumer

    def cut(self) -> None:
        """kill -9 of the process: nothing that it does from now on leaves it."""
        if self._closed:
            return
        self._closed = True
        for interest in list(self._interests):
            interest.close()
        for consumer in [entry for entry in self.broker.consumers if entry.connection is self]:
            consumer.close()
        self.broker.disconnect(self)

    async def close(self) -> None:
        self.cut()


def _resolve(answer: asyncio.Future[bytes], message: base.Message) -> None:
    if not answer.done():
        answer.set_result(message.payload)
