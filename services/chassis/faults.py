"""Faults of one process: its connection to the others loses messages or is late, its NIC's links are bad, its clock is
wrong.

They are told on `process.<component>.<instance>` and act between the service and its bus, so both buses, live and
simulated, have them. What a process and its own machine share is local and is never cut. A connection keeps its order,
as TCP does: what is late holds up what is behind it.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog

from podwire.proto import subjects
from podwire.proto.messages.process import Fault, Impairment, SetFaults, Way
from podwire.services.chassis.bus import base
from podwire.services.chassis.chance import RandomBits, below
from podwire.services.chassis.clock import MILLISECOND, SECOND, Clock
from podwire.services.chassis.impairment import happens
from podwire.services.chassis.tasks import GroupClosing

logger = structlog.get_logger()

_RETRANSMISSION_TIMEOUT: Final = 200 * MILLISECOND
"""Linux's TCP_RTO_MIN; doubled each time (RFC 6298, section 5.5)."""
_NO_LINKS: Final[Mapping[str, Impairment]] = {}


class Faults:
    """The faults in force. `local` are subject patterns that no fault touches."""

    def __init__(self, random: RandomBits, local: Sequence[str] = ()) -> None:
        self.random = random
        self.rules: tuple[Fault, ...] = ()
        self.links: Mapping[str, Impairment] = _NO_LINKS
        self.skew_ns = 0
        self.lost = 0
        self._local = tuple(local)

    def set(self, told: SetFaults) -> None:
        """Replaces what is in force."""
        self.rules, self.links, self.skew_ns = tuple(told.faults), told.links, told.skew

    def delay(self, subject: str, way: Way = "both") -> int | None:
        """Nanoseconds by which a message that goes this way is late; None: it is lost."""
        if not self.rules or any(subjects.matches(pattern, subject) for pattern in self._local):
            return 0
        late = 0
        for rule in self.rules:
            goes = "both" in (way, rule.way) or way == rule.way
            if not goes or not subjects.matches(rule.subject, subject):
                continue
            if happens(self.random, rule.loss):
                self.count_loss()
                return None
            late += rule.delay + (below(self.random, rule.jitter) if rule.jitter else 0)
            late += self._retransmissions(rule.retransmission)
        return late

    def count_loss(self) -> None:
        """One message or frame did not arrive."""
        self.lost += 1

    def _retransmissions(self, probability: float) -> int:
        late, timeout = 0, _RETRANSMISSION_TIMEOUT
        while happens(self.random, probability):
            late += timeout
            timeout *= 2
        return late


class SkewedClock:
    """A process's clock: its machine's wall clock may be wrong, what has passed is measured rightly."""

    def __init__(self, inner: Clock, faults: Faults) -> None:
        self._inner, self._faults = inner, faults

    def now_ns(self) -> int:
        return self._inner.now_ns() + self._faults.skew_ns

    def monotonic_ns(self) -> int:
        return self._inner.monotonic_ns()


class _InOrder:
    """One direction of a connection."""

    def __init__(self) -> None:
        self.waiting = 0
        """Messages that are under way."""
        self._free_at = 0.0

    def carry(self, late: int, call: Callable[[], None]) -> None:
        """Calls at once, or when the message is due; never before an earlier message's call."""
        if not late and not self.waiting:
            call()
            return
        loop = asyncio.get_running_loop()
        self._free_at = max(self._free_at + 1 / SECOND, loop.time() + late / SECOND)
        self.waiting += 1
        loop.call_at(self._free_at, self._arrive, call)

    def _arrive(self, call: Callable[[], None]) -> None:
        self.waiting -= 1
        try:
            call()
        except Exception:
            logger.exception("a handler failed")


class FaultyBus:
    """A bus whose messages pass the faults in force, in both directions."""

    def __init__(self, inner: base.Bus, faults: Faults) -> None:
        self.name = inner.name
        self.faults = faults
        self._inner = inner
        self._out, self._in = _InOrder(), _InOrder()

    @property
    def connected(self) -> bool:
        return self._inner.connected

    def publish(self, subject: str, payload: bytes, reply: str = "") -> None:
        if not self.faults.rules and not self._out.waiting:
            self._inner.publish(subject, payload, reply)
            return
        late = self.faults.delay(subject, "out")
        if late is not None:
            self._out.carry(late, lambda: self._inner.publish(subject, payload, reply))

    async def request(self, subject: str, payload: bytes, timeout: float) -> bytes:
        await self._pass(subject, "out", timeout)
        answer = await self._inner.request(subject, payload, timeout)
        await self._pass(subject, "in", timeout)
        return answer

    async def _pass(self, subject: str, way: Way, timeout: float) -> None:
        """The way to the server, or back. Raises RequestTimeout where the message is lost."""
        late = self.faults.delay(subject, way)
        if late is None or late / SECOND > timeout:
            await asyncio.sleep(timeout)
            raise base.RequestTimeout(f"{subject}: no answer within {timeout} s")
        if late:
            await asyncio.sleep(late / SECOND)

    def subscribe(self, subject: str, handler: base.Handler, queue: str = "") -> base.Subscription:
        def handle(message: base.Message) -> None:
            try:
                handler(message)
            except GroupClosing:
                logger.debug("the process ends: a message was passed over", subject=message.subject)

        def deliver(message: base.Message) -> None:
            if not self.faults.rules and not self._in.waiting:
                handle(message)
                return
            late = self.faults.delay(message.subject, "in")
            if late is not None:
                self._in.carry(late, lambda: handle(message))

        return self._inner.subscribe(subject, deliver, queue)

    def on_connection(self, listener: Callable[[bool], None]) -> None:
        self._inner.on_connection(listener)

    async def flush(self) -> None:
        await self._inner.flush()

    async def append(self, subject: str, payload: bytes, expected: int | None, timeout: float) -> int:
        await self._pass(subject, "out", timeout)
        sequence = await self._inner.append(subject, payload, expected, timeout)
        await self._pass(subject, "in", timeout)
        return sequence

    async def last(self, subject: str, timeout: float) -> base.Stored | None:
        await self._pass(subject, "both", timeout)
        return await self._inner.last(subject, timeout)

    async def stream_state(self, timeout: float) -> base.StreamState:
        await self._pass(f"$JS.API.STREAM.INFO.{subjects.STREAM}", "both", timeout)
        return await self._inner.stream_state(timeout)

    async def consume(
        self,
        subjects: Sequence[str],
        start: int | None,
        on_message: Callable[[base.Delivery], None],
        on_heartbeat: Callable[[int], None],
        timeout: float,
    ) -> base.Consumer:
        """Lost deliveries are gaps, and lost heartbeats silence, which the follower notices."""
        asked = subjects[0]
        await self._pass(asked, "both", timeout)

        def deliver(delivery: base.Delivery) -> None:
            if not self.faults.rules and not self._in.waiting:
                on_message(delivery)
                return
            late = self.faults.delay(delivery.stored.subject, "in")
            if late is not None:
                self._in.carry(late, lambda: on_message(delivery))

        def beat(sequence: int) -> None:
            if not self.faults.rules and not self._in.waiting:
                on_heartbeat(sequence)
                return
            late = self.faults.delay(asked, "in")
            if late is not None:
                self._in.carry(late, lambda: on_heartbeat(sequence))

        return await self._inner.consume(subjects, start, deliver, beat, timeout)

    async def purge(self, subject: str, before: int, timeout: float) -> int:
        return await self._inner.purge(subject, before, timeout)

    async def close(self) -> None:
        await self._inner.close()
