"""The API server's state: a fold of the event log, with the recent history that watches and continued lists need.

Objects are kept in their stored form and never changed in place. A tombstone's revision stays known until it is
compacted, since creating over it must expect it.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import msgspec

from podwire.proto.kube.json_objects import copy_json
from podwire.proto.messages.events import Change
from podwire.proto.subjects import ObjectKey
from podwire.services.apiserver.core.json_types import Json, to_json, unpack
from podwire.services.chassis.eventlog.log import StoredEvent

HISTORY: Final = 20_000
HELD: Final = 300 * 1_000_000_000
"""How long the state that a list shows stays reachable, in ns."""
_MOST: Final = 10

type Storage = tuple[str, str]


class Changed(NamedTuple):
    """One event as it was applied; `before` is None when the object did not exist."""

    revision: int
    key: ObjectKey
    change: Change
    object: Json
    before: Json | None
    time: int = 0
    """When it was written (ns)."""


class Foreign(ValueError):
    """An event whose object cannot be read."""


class Store:
    """All objects, by storage and then by (namespace, name)."""

    def __init__(self, history: int = HISTORY) -> None:
        self.revision = 0
        self.floor = 0
        """The log's floor: below it, events may have been removed."""
        self.oldest = 0
        """Changes after this revision are all in the history."""
        self._objects: dict[Storage, dict[tuple[str, str], Json]] = {}
        self._last: dict[ObjectKey, int] = {}
        self._history: deque[Changed] = deque()
        self._limit = history
        self._sorted: dict[Storage, list[Json]] = {}
        self._derived: dict[Storage, dict[Callable[[list[Json]], Any], Any]] = {}
        self._encoded: dict[Storage, dict[tuple[str, str], tuple[Json, msgspec.Raw]]] = {}

    def clear(self) -> None:
        """Forgets everything: the log is another one."""
        self.__init__(self._limit)  # type: ignore[misc]  # the same as new, by definition

    def apply(self, stored: StoredEvent) -> Changed | None:
        """Applies one event; None when it was applied before. Raises Foreign."""
        if stored.revision <= self.revision:
            return None
        key, event = stored.key, stored.event
        try:
            value = unpack(event.object)
            meta = value["metadata"]
            meta["resourceVersion"] = str(stored.revision)
        except (msgspec.MsgspecError, KeyError, TypeError, RecursionError) as error:
            self.revision = stored.revision
            raise Foreign(f"{key}: {error}") from None
        place = (key.namespace, key.name)
        objects = self._objects.setdefault((key.group, key.resource), {})
        before = objects.pop(place, None) if event.change == "DELETED" else objects.get(place)
        if event.change != "DELETED":
            objects[place] = value
        self._sorted.pop((key.group, key.resource), None)
        self._derived.pop((key.group, key.resource), None)
        self._encoded.get((key.group, key.resource), {}).pop(place, None)
        self._last[key] = self.revision = stored.revision
        return self._remember(Changed(stored.revision, key, event.change, value, before, event.time))

    def encoded(self, storage: Storage, value: Json) -> msgspec.Raw:
        """An object's JSON; that of a present object is made once."""
        meta = value["metadata"]
        place = (meta.get("namespace", ""), meta["name"])
        known = self._encoded.setdefault(storage, {})
        found = known.get(place)
        if found is not None and found[0] is value:
            return found[1]
        raw = msgspec.Raw(to_json(value))
        if self._objects.get(storage, {}).get(place) is value:
            known[place] = (value, raw)
        return raw

    def _remember(self, changed: Changed) -> Changed:
        self._history.append(changed)
        while len(self._history) > self._limit and not self._is_held(changed.time):
            self.oldest = self._history.popleft().revision
        return changed

    def _is_held(self, now: int) -> bool:
        """Whether a list may still be on its way through the oldest state; memory is bounded all the same."""
        return now - self._history[0].time <= HELD and len(self._history) <= self._limit * _MOST

    def advance(self, revision: int) -> None:
        """The log's end is known to be here, though nothing of ours stands there."""
        self.revision = max(self.revision, revision)

    def raise_floor(self, floor: int) -> None:
        """History up to the floor may be incomplete."""
        self.floor = max(self.floor, floor)
        self.oldest = max(self.oldest, floor)
        while self._history and self._history[0].revision <= floor:
            self._history.popleft()

    def forget_tombstone(self, key: ObjectKey) -> None:
        """The log has no event of this object any more."""
        if self.get(key) is None:
            self._last.pop(key, None)

    def get(self, key: ObjectKey) -> Json | None:
        """One object."""
        return self._objects.get((key.group, key.resource), {}).get((key.namespace, key.name))

    def last(self, key: ObjectKey) -> int:
        """The revision of the object's newest event, tombstones included; 0 when there is none."""
        return self._last.get(key, 0)

    def objects(self, storage: Storage, namespace: str = "") -> list[Json]:
        """Objects of a kind in order of namespace and name (as etcd's keys are)."""
        if storage not in self._sorted:
            objects = self._objects.get(storage, {})
            self._sorted[storage] = [objects[place] for place in sorted(objects)]
        values = self._sorted[storage]
        return [value for value in values if value["metadata"].get("namespace") == namespace] if namespace else values

    def derived[T](self, storage: Storage, make: Callable[[list[Json]], T]) -> T:
        """What `make` makes of a kind's objects, made once until one of them changes."""
        known = self._derived.setdefault(storage, {})
        if make not in known:
            known[make] = make(self.objects(storage))
        made: T = known[make]
        return made

    def objects_at(self, storage: Storage, namespace: str, revision: int) -> list[Json] | None:
        """The same as of an earlier revision; None when history does not reach back so far."""
        if revision < self.oldest:
            return None
        objects = dict(self._objects.get(storage, {}))
        for changed in reversed(self._history):
            if changed.revision <= revision:
                break
            if (changed.key.group, changed.key.resource) == storage:
                _undo(objects, changed)
        return [objects[place] for place in sorted(objects) if not namespace or place[0] == namespace]

    def since(self, revision: int) -> Iterator[Changed]:
        """Changes after a revision, oldest first; the caller has compared it with `oldest`."""
        newer: deque[Changed] = deque()
        for changed in reversed(self._history):
            if changed.revision <= revision:
                break
            newer.appendleft(changed)
        return iter(newer)

    def history(self) -> Iterator[Changed]:
        """All remembered changes, oldest first."""
        return iter(list(self._history))


def _undo(objects: dict[tuple[str, str], Json], changed: Changed) -> None:
    place = (changed.key.namespace, changed.key.name)
    if changed.before is None:
        objects.pop(place, None)
    else:
        objects[place] = changed.before


def stored_form(value: Json) -> Json:
    """An object as it goes into an event: without its resourceVersion."""
    copied = copy_json(value)
    copied["metadata"].pop("resourceVersion", None)
    return copied
