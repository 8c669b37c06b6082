"""One line of history: who did what to which object, and which of its fields became what."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

import msgspec

from podwire.proto.kube.json_objects import items, section
from podwire.proto.kube.times import SECOND, rfc3339
from podwire.services.apiserver.core.json_types import Json, unpack
from podwire.services.chassis.eventlog.log import StoredEvent

_SHOWN: Final = 3
_LONGEST: Final = 40
_KEYS: Final = ("name", "type", "uid", "ip", "key", "containerPort", "port")
"""Fields that tell one member of a list from another (the API's `listMapKeys`)."""
_VERBS: Final = {"ADDED": "create", "MODIFIED": "update", "DELETED": "delete"}
_BOOKKEEPING: Final = (("metadata", "managedFields"), ("metadata", "resourceVersion"), ("metadata", "generation"))


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field's path and what it was and is; None where it is not there."""

    path: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.path} {_shown(self.before)} -> {_shown(self.after)}"


@dataclass(frozen=True, slots=True)
class Change:
    """One event, for people and machines. `time` is nanoseconds since the epoch."""

    revision: int
    time: int
    user: str
    manager: str
    """The program that the user wrote with ("" where it has no name of its own)."""
    verb: str
    group: str
    resource: str
    namespace: str
    name: str
    fields: tuple[FieldChange, ...] = ()
    owner: str = ""
    """KIND/NAME of the controller of an object that was created."""

    @property
    def target(self) -> str:
        """`pods default/web-0`."""
        kind = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{kind} {self.namespace}/{self.name}" if self.namespace else f"{kind} {self.name}"

    @property
    def clock(self) -> str:
        """The time of writing, UTC, to the millisecond."""
        return f"{rfc3339(self.time)[:-1]}.{self.time % SECOND // 1_000_000:03d}Z"

    @property
    def by(self) -> str:
        """User, and manager if that is another name."""
        return f"{self.user} ({self.manager})" if self.manager else self.user

    def summary(self) -> str:
        """What changed, in one line."""
        if self.verb == "create":
            return f"for {self.owner}" if self.owner else ""
        told = [str(field) for field in self.fields[:_SHOWN]]
        left = len(self.fields) - len(told)
        return "; ".join(told) + (f"; and {left} more" if left else "")

    def as_json(self) -> Json:
        """Everything, with the time as text."""
        return asdict(self) | {"time": self.clock, "fields": [asdict(field) for field in self.fields]}


def change(stored: StoredEvent) -> Change:
    """What an event says."""
    key, event = stored.key, stored.event
    after, before = _object(event.object), _object(event.before)
    fields: tuple[FieldChange, ...] = ()
    if event.change == "MODIFIED":
        fields = tuple(fields_changed(_plain(before), _plain(after)))
    owner = "" if before else _owner(after)
    verb = _verb(event.change, fields, before, after)
    return Change(stored.revision, event.time, event.actor, event.manager, verb, *key, fields, owner)


def _object(raw: msgspec.Raw) -> Json:
    try:
        return unpack(raw)
    except msgspec.MsgspecError:
        return {}


def _plain(value: Json) -> Json:
    """Without what changes with every write."""
    meta = {name: entry for name, entry in section(value, "metadata").items() if ("metadata", name) not in _BOOKKEEPING}
    return value | {"metadata": meta}


def _verb(change: str, fields: tuple[FieldChange, ...], before: Json, after: Json) -> str:
    """What was done, as far as the object tells: server-side appliers are written into it, and status is written
    alone."""
    if change != "DELETED" and _appliers(before) != _appliers(after):
        return "apply"
    if fields and all(field.path.startswith("status") for field in fields):
        return "update status"
    return _VERBS[change]


def _appliers(value: Json) -> list[Json]:
    entries = items(section(value, "metadata"), "managedFields")
    return [entry for entry in entries if entry.get("operation") == "Apply"]


def _owner(value: Json) -> str:
    for entry in items(section(value, "metadata"), "ownerReferences"):
        if entry.get("controller"):
            return f"{entry.get('kind')}/{entry.get('name')}"
    return ""


def fields_changed(before: Any, after: Any, path: str = "") -> Iterator[FieldChange]:
    """The smallest fields that differ; members of a list are matched by what names them, else by their place."""
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys((*before, *after)):
            yield from fields_changed(before.get(name), after.get(name), _joined(path, name))
    elif isinstance(before, list) and isinstance(after, list):
        old, new = _members(before), _members(after)
        for name in dict.fromkeys((*old, *new)):
            yield from fields_changed(old.get(name), new.get(name), f"{path}[{name}]")
    else:
        yield FieldChange(path, before, after)


def _joined(path: str, name: str) -> str:
    step = f"[{name}]" if "." in name or "/" in name else name
    return f"{path}{'' if step.startswith('[') or not path else '.'}{step}"


def _members(values: list[Any]) -> dict[str, Any]:
    for key in _KEYS:
        named = {str(value[key]): value for value in values if isinstance(value, dict) and key in value}
        if named and len(named) == len(values):
            return named
    return {str(place): value for place, value in enumerate(values)}


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    text = value if isinstance(value, str) and value else msgspec.json.encode(value).decode()
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
