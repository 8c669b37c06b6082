"""The managers of an object through a request: who writes, what the others lose, and when nothing is kept.

An object is tracked from its first server-side apply on: what it had until then is `before-first-apply`'s.
Source: apimachinery `util/managedfields/internal/fieldmanager.go`, `skipnonapplied.go`, `buildmanagerinfo.go`.
"""

from typing import Any, Final

from podwire.proto.kube.times import rfc3339
from podwire.services.apiserver.core.apply import managers
from podwire.services.apiserver.core.apply.elements import field
from podwire.services.apiserver.core.apply.field_set import of_paths
from podwire.services.apiserver.core.apply.managers import MalformedManagers, Managed
from podwire.services.apiserver.core.apply.shapes import NoElement, Shape, shape_of, shape_of_definition
from podwire.services.apiserver.core.apply.updater import Form, Updater
from podwire.services.apiserver.core.conversion import from_storage, to_storage
from podwire.services.apiserver.core.custom.catalogue import Catalogue
from podwire.services.apiserver.core.custom.definition import STORAGE
from podwire.services.apiserver.core.custom.published import published
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.kinds import Kind
from podwire.services.apiserver.core.request import Request

BEFORE: Final = "before-first-apply"
_RESET: Final[tuple[list[Json], ...]] = ([], [{}])


def follow(request: Request, given: Any, new: Json, old: Json) -> None:
    """Writes down who manages `new`, after an update in which the body had `given` as managedFields.

    A body may replace the list (kubectl's upgrade does) or end the tracking by an empty one; through a subresource it
    may not.
    """
    entries = old["metadata"].get("managedFields")
    given = None if request.target.subresource else given
    if given in _RESET or not (entries or given):
        return
    known = _decoded(entries)
    managed = _decoded(given) or known
    live, after = (bare(from_storage(request.kind, value)) for value in (old, new))
    writer = managers.updater(request.writer, request.kind.api_version, request.target.subresource)
    try:
        managed = updater_of(request).update(live, after, managed, writer, rfc3339(request.now))
    except NoElement:
        # A value that breaks its own keys: its rules refuse it (UpdateNoErrors keeps the managers, too).
        managed = known
    keep(new, managed, entries, known)


def begin(request: Request, given: Any, new: Json) -> None:
    """Writes down who manages an object whose creation named managers: the creator has every field that is there, the
    others what is not (fieldmanager.go, decodeLiveOrNew; update.go, Update of nothing)."""
    managed = _decoded(given)
    if not managed:
        return
    writer = managers.updater(request.writer, request.kind.api_version)
    try:
        managed = updater_of(request).update(
            {}, bare(from_storage(request.kind, new)), managed, writer, rfc3339(request.now)
        )
    except NoElement:
        return
    keep(new, managed)


def _decoded(entries: Any) -> Managed:
    try:
        return managers.decode(entries)
    except MalformedManagers:
        return {}


def keep(new: Json, managed: Managed, entries: list[Json] | None = None, known: Managed | None = None) -> None:
    """Puts the managers into the object; the old entries as they were, if they say the same."""
    if managed and entries and known == managed:
        new["metadata"]["managedFields"] = entries
    elif managed:
        new["metadata"]["managedFields"] = managers.encode(managed)


def only_times_differ(new: Json, old: Json) -> bool:
    """Whether nothing but the times of managers is new: such a write is none (`fieldmanager/equality.go`)."""
    entries = [value["metadata"].get("managedFields") for value in (new, old)]
    if not all(entries) or bare(new) != bare(old):
        return False
    return managers.same_fields(*(_decoded(entry) for entry in entries))


def bare(value: Json) -> Json:
    """The object without its managers."""
    meta = value.get("metadata", {})
    if "managedFields" not in meta:
        return value
    return value | {"metadata": {name: entry for name, entry in meta.items() if name != "managedFields"}}


def updater_of(request: Request) -> Updater:
    """What applies and updates objects of the kind that is asked for."""
    makers = request.store.derived(STORAGE, _Updaters)
    return makers.of(request.kind, request.target.subresource == "status")


class _Updaters:
    """The updaters of every kind, made when they are first needed."""

    def __init__(self, definitions: list[Json]) -> None:
        self._kinds = Catalogue(definitions)
        self._known: dict[tuple[str, str, bool], Updater] = {}

    def of(self, kind: Kind, is_status: bool) -> Updater:
        """The updater of one kind."""
        key = (kind.api_version, kind.resource, is_status)
        if key not in self._known:
            self._known[key] = _updater(kind, self._kinds.stored_with(kind), is_status)
        return self._known[key]


def _updater(kind: Kind, others: list[Kind], is_status: bool) -> Updater:
    forms = {other.api_version: _form(kind, other) for other in others}
    fields = forms[kind.api_version].shape.fields
    ignored = ["status"] if kind.has("status") else []
    if is_status:
        ignored = [name for name in fields if name not in ("apiVersion", "kind", "metadata", "status")]
    return Updater(kind.api_version, forms, of_paths(*((field(name),) for name in ignored)))


def shape_of_kind(kind: Kind) -> Shape:
    """The shape of objects of a kind."""
    return shape_of_definition(kind.definition) if kind.custom is None else shape_of(published(kind))


def _form(kind: Kind, other: Kind) -> Form:
    def convert(value: Json) -> Json:
        return value if other.api_version == kind.api_version else from_storage(other, to_storage(kind, value))

    def back(value: Json) -> Json:
        return value if other.api_version == kind.api_version else from_storage(kind, to_storage(other, value))

    return Form(shape_of_kind(other), convert, back)
