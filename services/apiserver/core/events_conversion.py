"""events.k8s.io/v1 and core/v1 Events are one storage: fields are renamed on the way in and out.

Source: kubernetes `pkg/apis/events/v1/conversion.go`.
"""

from typing import Final

from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.kinds import Kind

_NAMES: Final = (
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
    ("reportingController", "reportingComponent"),
)
_OUT: Final = {core: event for event, core in _NAMES}
_IN: Final = dict(_NAMES)


def to_storage(kind: Kind, value: Json) -> Json:
    """The stored form of an object of this kind."""
    if kind.stored_as is None:
        return value
    return {_IN.get(key, key): entry for key, entry in value.items()} | {"apiVersion": "v1"}


def from_storage(kind: Kind, value: Json) -> Json:
    """The served form of a stored object."""
    if kind.stored_as is None:
        return value
    return {_OUT.get(key, key): entry for key, entry in value.items()} | {"apiVersion": kind.api_version}
