"""Following the stream without losing a message.

A named ephemeral push consumer is made from the cursor on; a gap in its own count, a reconnect, or silence for one and
a half heartbeats means that it is made anew, at once. The cursor is the last revision that was handed over. A stream of
another birth, or one whose end lies before the cursor, is another cluster: everything is forgotten.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from podwire.services.chassis.bus import base

_CALL: Final = 2.0
_RETRY: Final = 0.05
_SILENCE: Final = 1.5 * base.HEARTBEAT_INTERVAL
"""Seconds; a heartbeat may be late by half an interval before it is missed."""


class Silence:
    """Looks every one and a half heartbeats who of a process's followers has heard nothing since."""

    def __init__(self) -> None:
        self._listening: dict[Follower, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def listen(self, follower: "Follower") -> None:
        """From now on the follower must hear something."""
        self._listening[follower] = None
        if self._timer is None:
            self._look_later()

    def forget(self, follower: "Follower") -> None:
        """The follower does not listen any more."""
        self._listening.pop(follower, None)

    def _look_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_SILENCE, self._look)

    def _look(self) -> None:
        self._timer = None
        for follower in list(self._listening):
            follower.check_silence()
        if self._listening:
            self._look_later()


class Follower:
    """Hands over every stored message of some subjects, once and in order."""

    def __init__(
        self,
        bus: base.Bus,
        subjects: Sequence[str],
        start: int | None,
        on_message: Callable[[base.Stored], None],
        on_current: Callable[[int], None],
        on_reset: Callable[[], None],
        silence: Silence,
    ) -> None:
        self.cursor = 0 if start is None else start - 1
        self.birth = ""
        self.remade = 0
        self._bus, self._subjects = bus, tuple(subjects)
        self._newest_first = start is None
        self._on_message, self._on_current, self._on_reset = on_message, on_current, on_reset
        self._consumer: base.Consumer | None = None
        self._expected = 1
        self._awaited = 0
        self._end = 0
        self._current = False
        self._stale = asyncio.Event()
        self._heard = False
        self._closed = False
        self._generation = 0
        self._silence = silence
        bus.on_connection(self._on_connection)

    def close(self) -> None:
        """Nothing is handed over any more; `run` returns."""
        self._closed = True
        self._stale.set()
        self._drop_consumer()

    async def run(self) -> None:
        """Follows until closed or cancelled; called again, it goes on from its cursor."""
        try:
            while not self._closed:
                await self._follow_once()
        finally:
            self._drop_consumer()

    def forget(self) -> None:
        """Begins anew at the next `run`: the newest of each object, then what follows."""
        self.cursor, self._newest_first = 0, True
        self._on_reset()

    async def _follow_once(self) -> None:
        self._stale.clear()
        try:
            await self._open()
        except base.BusError:
            self._drop_consumer()
            await asyncio.sleep(_RETRY)
            return
        self._heard = True
        self._silence.listen(self)
        try:
            await self._stale.wait()
        finally:
            self._silence.forget(self)
        self._drop_consumer()
        self.remade += 1

    def check_silence(self) -> None:
        """Nothing was heard since the last look: the consumer is made anew."""
        if not self._heard:
            self._stale.set()
        self._heard = False

    async def _open(self) -> None:
        state = await self._bus.stream_state(_CALL)
        if self.birth and (state.birth != self.birth or state.last < self.cursor):
            self.cursor = 0
            self._newest_first = True
            self._on_reset()
        self.birth, self._end = state.birth, state.last
        self._generation += 1
        generation = self._generation
        self._expected, self._current, self._awaited = 1, False, -1
        start = None if self._newest_first else self.cursor + 1
        consumer = await self._bus.consume(
            self._subjects,
            start,
            lambda delivery: self._deliver(generation, delivery),
            lambda sequence: self._heartbeat(generation, sequence),
            _CALL,
        )
        if self._closed:
            consumer.close()
            return
        self._consumer = consumer
        self._awaited = consumer.pending
        self._check_current()

    def _deliver(self, generation: int, delivery: base.Delivery) -> None:
        if generation != self._generation or self._closed or self._stale.is_set():
            return
        self._heard = True
        if delivery.consumer_sequence != self._expected:
            self._stale.set()
            return
        self._expected += 1
        sequence = delivery.stored.sequence
        if sequence > self.cursor:
            self.cursor = sequence
            self._on_message(delivery.stored)
        self._check_current()

    def _check_current(self) -> None:
        if self._current or self._awaited < 0 or self._expected - 1 < self._awaited:
            return
        self._current, self._newest_first = True, False
        self.cursor = max(self.cursor, self._end)
        self._on_current(self.cursor)

    def _heartbeat(self, generation: int, sequence: int) -> None:
        if generation != self._generation:
            return
        self._heard = True
        if sequence >= self._expected:
            self._stale.set()

    def _on_connection(self, connected: bool) -> None:
        self._stale.set()

    def _drop_consumer(self) -> None:
        self._generation += 1
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None
