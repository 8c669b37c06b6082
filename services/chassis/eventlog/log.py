"""Appending to the event log so that the outcome is always known.

A write is a compare-and-append on the object's subject. After a timeout, a lost connection or a refusal the writer
reads the subject's last event: its own write id there means that the write took place (a retried append is answered
"wrong last sequence" by JetStream, not "duplicate": measured).
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages.events import Floor, ObjectEvent
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.bus import base
from podwire.services.chassis.eventlog.follow import Follower, Silence

_ATTEMPT: Final = 2.0
_PAUSE: Final = 0.1

UNKNOWN_OUTCOMES: Final = (base.RequestTimeout, base.Disconnected, base.StreamUnavailable)


class Conflict(Exception):
    """The object changed since the writer looked; `last` is the sequence of its newest event (0: none)."""

    def __init__(self, last: int) -> None:
        super().__init__(f"the newest revision is {last}")
        self.last = last


class LogUnavailable(Exception):
    """The log did not answer in time: the write may or may not have taken place."""


class StoredEvent(NamedTuple):
    """One event and the revision at which it stands."""

    revision: int
    key: ObjectKey
    event: ObjectEvent


class EventLog:
    """The event log over one bus connection; `patience` is how long a write is pursued, in seconds."""

    def __init__(self, bus: base.Bus, patience: float = 10.0) -> None:
        self.bus = bus
        self._patience = patience
        self._silence = Silence()

    async def append(self, key: ObjectKey, event: ObjectEvent, expected: int) -> int:
        """The new revision. Raises Conflict where `expected` does not hold, LogUnavailable."""
        subject = subjects.object_events(key)
        return await self._append(subject, codec.encode(event), expected, event.write_id)

    async def _append(self, subject: str, payload: bytes, expected: int, write_id: str) -> int:
        try:
            async with asyncio.timeout(self._patience):
                while True:
                    try:
                        return await self.bus.append(subject, payload, expected, _ATTEMPT)
                    except (base.WrongLastSequence, *UNKNOWN_OUTCOMES):
                        outcome = await self._outcome(subject, expected, write_id)
                    if outcome is not None:
                        return outcome
                    await asyncio.sleep(_PAUSE)
        except TimeoutError:
            raise LogUnavailable(f"{subject}: no answer from the event log") from None

    async def _outcome(self, subject: str, expected: int, write_id: str) -> int | None:
        """The revision if the write took place, None if it is to be tried (again); raises Conflict."""
        try:
            stored = await self.bus.last(subject, _ATTEMPT)
        except UNKNOWN_OUTCOMES:
            return None
        if stored is not None and read_event(stored).event.write_id == write_id:
            return stored.sequence
        last = 0 if stored is None else stored.sequence
        if last != expected:
            raise Conflict(last)
        return None

    def follow(
        self,
        subjects: Sequence[str],
        start: int | None,
        on_event: Callable[[StoredEvent], None],
        on_current: Callable[[int], None],
        on_reset: Callable[[], None],
        on_foreign: Callable[[base.Stored, str], None] | None = None,
    ) -> Follower:
        """A follower of these subjects' events from revision `start` on (None: the newest of each object first).

        `on_current` is called with the stream's last revision each time that all older events have been handed
        over; `on_reset` when the stream is another one (or was set back): forget everything, it begins anew.
        """

        def apply(stored: base.Stored) -> None:
            try:
                event = read_event(stored)
            except (codec.ForeignMessage, subjects_error) as error:
                if on_foreign is not None:
                    on_foreign(stored, str(error))
                return
            on_event(event)

        return Follower(self.bus, subjects, start, apply, on_current, on_reset, self._silence)

    async def floor(self) -> int:
        """The revision below which history may be gone. Raises LogUnavailable."""
        return (await self._floor())[0]

    async def _floor(self) -> tuple[int, int]:
        try:
            stored = await self.bus.last(subjects.FLOOR, _ATTEMPT)
        except UNKNOWN_OUTCOMES as error:
            raise LogUnavailable(str(error)) from None
        if stored is None:
            return 0, 0
        return codec.decode(Floor, stored.payload).revision, stored.sequence

    async def raise_floor(self, revision: int) -> None:
        """Stores a higher floor before anything below it is removed. Raises Conflict, LogUnavailable."""
        now, sequence = await self._floor()
        if revision <= now:
            return
        try:
            await self.bus.append(subjects.FLOOR, codec.encode(Floor(revision=revision)), sequence, _ATTEMPT)
        except base.WrongLastSequence:
            raise Conflict(sequence) from None
        except UNKNOWN_OUTCOMES as error:
            raise LogUnavailable(str(error)) from None
        await self._forget_old_floors()

    async def _forget_old_floors(self) -> None:
        _, sequence = await self._floor()
        await self.bus.purge(subjects.FLOOR, sequence, _ATTEMPT)


subjects_error = subjects.SubjectError


def read_event(stored: base.Stored) -> StoredEvent:
    """The event in a stored message. Raises ForeignMessage or SubjectError for anything else."""
    key = subjects.parse_object_events(stored.subject)
    return StoredEvent(stored.sequence, key, codec.decode(ObjectEvent, stored.payload))
