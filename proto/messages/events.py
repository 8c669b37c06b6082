"""The event log's record: one change of one API object."""

from typing import Final, Literal

import msgspec

SCHEMA: Final = 1

NOTHING: Final = msgspec.Raw(b"\xc0")
"""MessagePack's nil."""

Change = Literal["ADDED", "MODIFIED", "DELETED"]


class ObjectEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A change as it stands in the stream. Its sequence is the object's resourceVersion.

    `object` and `before` are the MessagePack bytes of the JSON object (without metadata.resourceVersion, which is
    only known once the record is stored); for DELETED, `object` is the last state. `node` and `labels` repeat what
    most readers filter by, so that they can skip the body.
    """

    schema: int = SCHEMA
    change: Change
    write_id: str
    previous: int
    actor: str
    time: int
    """Nanoseconds since the epoch, from the writer's clock."""
    manager: str = ""
    """The program that the actor wrote with, where it has another name (its field manager or user agent)."""
    node: str = ""
    labels: dict[str, str] = {}
    object: msgspec.Raw
    before: msgspec.Raw = msgspec.field(default_factory=lambda: NOTHING)


class Floor(msgspec.Struct, frozen=True, kw_only=True):
    """The revision below which history may be gone, stored before anything is removed."""

    schema: int = SCHEMA
    revision: int


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """The API server's sign of life; watchers give up when it stops (their watch would be dead on a real cluster)."""

    schema: int = SCHEMA
    instance: str
    revision: int
    birth: str
