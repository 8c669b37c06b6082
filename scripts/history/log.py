"""A copy of the event log in memory: what every history command works on, wherever it was read."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages.events import Floor
from podwire.proto.messages.telemetry import Hop
from podwire.proto.subjects import SubjectError
from podwire.scripts.cluster.folder import Shape
from podwire.services.chassis.bus.base import Stored
from podwire.services.chassis.eventlog.log import StoredEvent, read_event


@dataclass(frozen=True)
class Log:
    """The stored messages in order of revision; `last` is the stream's end, which may be later than the last of them.

    `hops` are those of the packets that the recorder still knew when the log was read.
    """

    birth: str
    shape: Shape
    records: tuple[Stored, ...]
    last: int
    hops: tuple[Hop, ...] = ()

    @cached_property
    def floor(self) -> int:
        """The revision before which history may be incomplete (services/chassis/eventlog/compaction.py)."""
        floors = [record for record in self.records if record.subject == subjects.FLOOR]
        return codec.decode(Floor, floors[-1].payload).revision if floors else 0

    @property
    def first(self) -> int:
        """The oldest revision that can be asked for (0: there is none)."""
        return max(self.floor, self.events[0].revision) if self.events else 0

    @cached_property
    def events(self) -> tuple[StoredEvent, ...]:
        """Every change of an object, oldest first; foreign messages are left out, as the API server does."""
        return tuple(self._read())

    def _read(self) -> Iterator[StoredEvent]:
        for record in self.records:
            try:
                yield read_event(record)
            except (codec.ForeignMessage, SubjectError):
                continue

    def until(self, revision: int) -> tuple[StoredEvent, ...]:
        """The events up to a revision, it included."""
        return self.events[: bisect_right(self.events, revision, key=lambda event: event.revision)]

    def at(self, revision: int) -> StoredEvent:
        """The change that made a revision."""
        return self.until(revision)[-1]

    def cut(self, revision: int) -> "Log":
        """The log as it was at a revision, of which it still has all that counts: its floor stays known."""
        kept = tuple(record for record in self.records if record.sequence <= revision)
        if self.floor and not any(record.subject == subjects.FLOOR for record in kept):
            floor = Stored(revision + 1, subjects.FLOOR, codec.encode(Floor(revision=self.floor)))
            return replace(self, records=(*kept, floor), last=revision + 1, hops=())
        return replace(self, records=kept, last=revision, hops=())

    def time_of(self, revision: int) -> int:
        """When the last change up to a revision was written (nanoseconds since the epoch; 0: before any)."""
        events = self.until(revision)
        return events[-1].event.time if events else 0
