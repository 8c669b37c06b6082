"""Which changes are listed: by namespace, kind, name, time and who made them."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from podwire.scripts.history.changes import Change
from podwire.services.chassis.eventlog.compaction import LAST_STATE_ONLY
from podwire.services.chassis.eventlog.log import StoredEvent


@dataclass(frozen=True, slots=True)
class Filter:
    """What a change must have; "" and () take any. Names and writers are globs.

    Of kinds whose last state alone is kept (Leases, Events) nothing is listed unless they are named.
    """

    namespace: str = ""
    storages: tuple[tuple[str, str], ...] = ()
    name: str = ""
    by: str = ""
    since: int = 0

    def may_take(self, stored: StoredEvent) -> bool:
        """Whether an event can be wanted, before its object is looked at."""
        key = stored.key
        place = (key.group, key.resource)
        return (
            (place in self.storages if self.storages else place not in LAST_STATE_ONLY)
            and self.namespace in ("", key.namespace)
            and (not self.name or fnmatchcase(key.name, self.name))
            and stored.event.time >= self.since
        )

    def takes(self, change: Change) -> bool:
        """Whether it is of who is asked for: a user, or a field manager."""
        return not self.by or any(fnmatchcase(who, self.by) for who in (change.user, change.manager))
