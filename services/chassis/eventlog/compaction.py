"""Bounded history: what may be removed below a floor.

Stream limits, TTLs and mirrors lose or revive objects (measured), so the API server compacts by itself: it stores a
floor, then keeps per object the newest event at or below the floor and everything above, and drops objects whose newest
event is a tombstone at or below it. Kinds that only matter in their last state are compacted as if the floor were the
end.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from podwire.proto import subjects
from podwire.proto.messages.events import Change
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.eventlog.log import EventLog

LAST_STATE_ONLY: Final = (("coordination.k8s.io", "leases"), ("", "events"))


class Revision(NamedTuple):
    """One event as the compactor sees it."""

    key: ObjectKey
    revision: int
    change: Change


class Removal(NamedTuple):
    """Of this object's events, remove all with a revision below `before`."""

    key: ObjectKey
    before: int


def removals(history: Iterable[Revision], floor: int, end: int) -> Iterator[Removal]:
    """What to remove, given all events in order, the floor, and the revision up to which they were read."""
    by_key: dict[ObjectKey, list[Revision]] = {}
    for entry in history:
        by_key.setdefault(entry.key, []).append(entry)
    for key, entries in by_key.items():
        limit = end if (key.group, key.resource) in LAST_STATE_ONLY else floor
        if (before := _keep_from(entries, limit)) > entries[0].revision:
            yield Removal(key, before)


def _keep_from(entries: list[Revision], limit: int) -> int:
    below = [entry for entry in entries if entry.revision <= limit]
    if not below:
        return 0
    newest = below[-1]
    is_gone = newest is entries[-1] and newest.change == "DELETED"
    return newest.revision + 1 if is_gone else newest.revision


async def compact(log: EventLog, history: Iterable[Revision], floor: int, end: int) -> list[Removal]:
    """Raises the floor, then removes; a death in between leaves a higher floor and more history than needed."""
    await log.raise_floor(floor)
    done = list(removals(history, floor, end))
    for removal in done:
        await log.bus.purge(subjects.object_events(removal.key), removal.before, 5.0)
    return done
