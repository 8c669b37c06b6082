"""Who manages which fields, and how an object's `metadata.managedFields` says so.

Source: apimachinery `util/managedfields/internal/managedfields.go`, `capmanagers.go`.
"""

from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from podwire.proto.kube.times import SECOND
from podwire.services.apiserver.core.apply import field_set
from podwire.services.apiserver.core.apply.elements import MalformedElement
from podwire.services.apiserver.core.apply.field_set import FieldSet
from podwire.services.apiserver.core.errors import show
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.times import parse_time

APPLY: Final = "Apply"
UPDATE: Final = "Update"
MOST_UPDATERS: Final = 10
_ANCIENT: Final = "ancient-changes"
_FORM: Final = "FieldsV1"


class Writer(NamedTuple):
    """Who manages fields. One name may write by apply and by update, through several subresources."""

    name: str
    operation: str
    api_version: str = ""
    """For updates: one entry for each version. Appliers have one entry, whatever they apply in."""
    subresource: str = ""

    def __str__(self) -> str:
        """As a conflict names it (printManager)."""
        text = show(self.name)
        if self.subresource:
            text += f" with subresource {show(self.subresource)}"
        return f"{text} using {self.api_version}" if self.operation == UPDATE else text


@dataclass(frozen=True, slots=True)
class Owned:
    """The fields of one writer, in one version of the kind, and the time of its last change (RFC 3339, or "")."""

    fields: FieldSet
    api_version: str
    time: str = ""


type Managed = dict[Writer, Owned]


class MalformedManagers(ValueError):
    """Text that is no managedFields."""


def applier(name: str, subresource: str = "") -> Writer:
    """Who applies."""
    return Writer(name, APPLY, "", subresource)


def updater(name: str, api_version: str, subresource: str = "") -> Writer:
    """Who creates, updates or patches."""
    return Writer(name, UPDATE, api_version, subresource)


def decode(entries: Any) -> Managed:
    """The managers that `managedFields` holds; raises MalformedManagers."""
    managed: Managed = {}
    for index, entry in enumerate(entries or ()):
        writer, owned = _decode_entry(index, entry)
        managed[writer] = owned
    return managed


def _decode_entry(index: int, entry: Json) -> tuple[Writer, Owned]:
    operation, version = entry.get("operation"), entry.get("apiVersion", "")
    if operation not in (APPLY, UPDATE):
        raise MalformedManagers("operation must be `Apply` or `Update`")
    if not version:
        raise MalformedManagers("apiVersion must not be empty")
    form = entry.get("fieldsType", "")
    if form != _FORM:
        problem = f'invalid fieldsType "{form}"' if form else "missing fieldsType"
        raise MalformedManagers(f"{problem} in managed fields entry {index}")
    try:
        fields = field_set.decode(entry.get("fieldsV1", {}))
    except MalformedElement as error:
        raise MalformedManagers(f"error decoding set: {error}") from None
    shown = version if operation == UPDATE else ""
    writer = Writer(entry.get("manager", ""), operation, shown, entry.get("subresource", ""))
    return writer, Owned(fields, version, entry.get("time", ""))


def encode(managed: Managed) -> list[Json]:
    """`managedFields`: appliers first, then the older entries first."""
    return [_encode_entry(writer, managed[writer]) for writer in sorted(managed, key=lambda one: _order(one, managed))]


def _order(writer: Writer, managed: Managed) -> tuple[str, int, str, str, str]:
    owned = managed[writer]
    return writer.operation, _seconds(owned), writer.name, owned.api_version, writer.subresource


def _seconds(owned: Owned) -> int:
    return (parse_time(owned.time) or 0) // SECOND


def _encode_entry(writer: Writer, owned: Owned) -> Json:
    entry: Json = {}
    if writer.name:
        entry["manager"] = writer.name
    entry |= {"operation": writer.operation, "apiVersion": owned.api_version}
    if owned.time:
        entry["time"] = owned.time
    entry |= {"fieldsType": _FORM, "fieldsV1": field_set.encode(owned.fields)}
    if writer.subresource:
        entry["subresource"] = writer.subresource
    return entry


def same_fields(one: Managed, other: Managed) -> bool:
    """Whether two say the same, but for the times."""
    return one.keys() == other.keys() and all(
        (owned.fields, owned.api_version) == (other[writer].fields, other[writer].api_version)
        for writer, owned in one.items()
    )


def cap(managed: Managed) -> Managed:
    """No more than ten updaters: of each version the oldest become one, `ancient-changes`."""
    updaters = [writer for writer in managed if writer.operation == UPDATE]
    updaters.sort(key=lambda writer: (_seconds(managed[writer]), writer))
    left, result = len(updaters), dict(managed)
    first: dict[str, Writer] = {}
    for writer in updaters:
        if left <= MOST_UPDATERS:
            break
        owned = result[writer]
        if owned.api_version not in first:
            first[owned.api_version] = writer
            continue
        bucket = updater(_ANCIENT, owned.api_version)
        if bucket not in result:
            result[bucket] = result.pop(first[owned.api_version])
        result[bucket] = replace(owned, fields=owned.fields.union(result[bucket].fields))
        if writer != bucket:
            del result[writer]
        left -= 1
    return result
