"""What the log still holds, by revision, time and size: from it follows how far the floor may rise."""

from typing import NamedTuple

from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.eventlog.compaction import Removal, Revision
from podwire.services.chassis.eventlog.log import StoredEvent


class _Entry(NamedTuple):
    revision: Revision
    time: int
    size: int


class Ledger:
    """One entry for each event that the log holds."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []
        self._bytes = 0

    def clear(self) -> None:
        """The log is another one."""
        self._entries.clear()
        self._bytes = 0

    def record(self, stored: StoredEvent) -> None:
        """Notes an event."""
        size = len(bytes(stored.event.object)) + len(bytes(stored.event.before))
        revision = Revision(stored.key, stored.revision, stored.event.change)
        self._entries.append(_Entry(revision, stored.event.time, size))
        self._bytes += size

    def revisions(self) -> list[Revision]:
        """All events, oldest first."""
        return [entry.revision for entry in self._entries]

    def floor(self, now_ns: int, keep_ns: int, keep_bytes: int) -> int:
        """The newest revision that is too old, or beyond what may be kept."""
        floor, kept = 0, self._bytes
        for entry in self._entries:
            if entry.time >= now_ns - keep_ns and kept <= keep_bytes:
                break
            floor = entry.revision.revision
            kept -= entry.size
        return floor

    def forget(self, removed: list[Removal]) -> list[ObjectKey]:
        """Drops what was removed; answers the objects of which nothing is left."""
        before = {removal.key: removal.before for removal in removed}
        self._entries = [
            entry for entry in self._entries if entry.revision.revision >= before.get(entry.revision.key, 0)
        ]
        self._bytes = sum(entry.size for entry in self._entries)
        left = {entry.revision.key: None for entry in self._entries}
        return [key for key in before if key not in left]
