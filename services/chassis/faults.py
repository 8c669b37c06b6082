"""Faults of one process's link to the others: messages lost or late, by subject.

A fault is told on `process.<component>.<instance>` and acts between the service and its bus, so both buses, live and
simulated, have it. What a process and its own machine share is local and is never cut.
"""

import asyncio
from collections.abc import Callable, Sequence

from podwire.proto import subjects
from podwire.proto.messages.process import Fault
from podwire.services.chassis.bus import base
from podwire.services.chassis.chance import RandomBits, below
from podwire.services.chassis.clock import SECOND

_CERTAIN = 1_000_000


class Faults:
    """The faults in force. `local` are subject patterns that no fault touches."""

    def __init__(self, random: RandomBits, local: Sequence[str] = ()) -> None:
        self.rules: tuple[Fault, ...] = ()
        self.lost = 0
        self._random, self._local = random, tuple(local)

    def delay(self, subject: str) -> int | None:
        """Nanoseconds by which a message is late; None: it is lost."""
        if not self.rules or any(subjects.matches(pattern, subject) for pattern in self._local):
            return 0
        late = 0
        for rule in self.rules:
            if not subjects.matches(rule.subject, subject):
                continue
            if rule.loss and below(self._random, _CERTAIN) < rule.loss * _CERTAIN:
                self.lost += 1
                return None
            late += rule.delay + (below(self._random, rule.jitter) if rule.jitter else 0)
        return late


class FaultyBus:
    """A bus whose messages pass the faults in force, in both directions."""

    def __init__(self, inner: base.Bus, faults: Faults) -> None:
        self.name = inner.name
        self.faults = faults
        self._inner = inner

    @property
    def connected(self) -> bool:
        return self._inner.connected

    def publish(self, subject: str, payload: bytes, reply: str = "") -> None:
        late = self.faults.delay(subject)
        if late is None:
            return
        if late:
            asyncio.get_running_loop().call_later(late / SECOND, self._inner.publish, subject, payload, reply)
        else:
            self._inner.publish(subject, payload, reply)

    async def request(self, subject: str, payload: bytes, timeout: float) -> bytes:
        await self._pass(subject, timeout)
        return await self._inner.request(subject, payload, timeout)

    async def _pass(self, subject: str, timeout: float) -> None:
        """The way to the server. Raises RequestTimeout where the message is lost."""
        late = self.faults.delay(subject)
        if late is None or late / SECOND > timeout:
            await asyncio.sleep(timeout)
            raise base.RequestTimeout(f"{subject}: no answer within {timeout} s")
        if late:
            await asyncio.sleep(late / SECOND)

    def subscribe(self, subject: str, handler: base.Handler, queue: str = "") -> base.Subscription:
        def deliver(message: base.Message) -> None:
            late = self.faults.delay(message.subject)
            if late:
                asyncio.get_running_loop().call_later(late / SECOND, handler, message)
            elif late == 0:
                handler(message)

        return self._inner.subscribe(subject, deliver, queue)

    def on_connection(self, listener: Callable[[bool], None]) -> None:
        self._inner.on_connection(listener)

    async def flush(self) -> None:
        await self._inner.flush()

    async def append(self, subject: str, payload: bytes, expected: int | None, timeout: float) -> int:
        await self._pass(subject, timeout)
        return await self._inner.append(subject, payload, expected, timeout)

    async def last(self, subject: str, timeout: float) -> base.Stored | None:
        await self._pass(subject, timeout)
        return await self._inner.last(subject, timeout)

    async def stream_state(self, timeout: float) -> base.StreamState:
        return await self._inner.stream_state(timeout)

    async def consume(
        self,
        subjects: Sequence[str],
        start: int | None,
        on_message: Callable[[base.Delivery], None],
        on_heartbeat: Callable[[int], None],
        timeout: float,
    ) -> base.Consumer:
        """Lost deliveries are gaps, which the follower notices; late ones are not reordered by it."""

        def deliver(delivery: base.Delivery) -> None:
            if self.faults.delay(delivery.stored.subject) is not None:
                on_message(delivery)

        return await self._inner.consume(subjects, start, deliver, on_heartbeat, timeout)

    async def purge(self, subject: str, before: int, timeout: float) -> int:
        return await self._inner.purge(subject, before, timeout)

    async def close(self) -> None:
        await self._inner.close()
