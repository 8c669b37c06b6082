"""Get, list and watch."""

from typing import Any, NamedTuple

import msgspec

from podwire.proto.kube.json_objects import section
from podwire.proto.kube.labels import LabelSelector, matches_labels
from podwire.services.apiserver.core import negotiation, pages, selectors, versions
from podwire.services.apiserver.core.conversion import from_storage, is_stored_as_shown
from podwire.services.apiserver.core.decisions import Decision, OpenWatch, View, json_answer
from podwire.services.apiserver.core.errors import expired, not_found
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.kinds import Kind
from podwire.services.apiserver.core.printers.table import GROUP_VERSION, table
from podwire.services.apiserver.core.request import Request
from podwire.services.apiserver.core.store import Changed


class Selection(NamedTuple):
    """The selectors of a list or watch."""

    labels: LabelSelector
    fields: selectors.FieldSelector

    def takes(self, kind: Kind, value: Json) -> bool:
        """Whether an object in its stored form is selected."""
        if self.labels and not matches_labels(self.labels, section(value, "metadata", "labels")):
            return False
        return not self.fields or selectors.matches_fields(self.fields, kind.selectable(), value)


def selection(request: Request) -> Selection:
    """The selectors of the query; raises ApiError 400."""
    labels = selectors.parse_label_selector(request.query.get("labelSelector", ""))
    fields = selectors.parse_field_selector(
        request.query.get("fieldSelector", ""), request.kind.selectable(), request.kind.api_version
    )
    if request.target.name:
        fields = (*fields, selectors.FieldTerm("metadata.name", request.target.name, True))
    return Selection(labels, fields)


def get(request: Request) -> Decision:
    """GET of one object."""
    versions.of_get(request)
    value = request.existing()
    kind = request.kind
    if value is None:
        raise not_found(kind.group, kind.resource, request.target.name)
    shape = negotiation.view(request)
    if shape.shape == "Table":
        meta = {"resourceVersion": value["metadata"]["resourceVersion"]}
        return json_answer(table(kind.printer, [value], meta, shape.include, request.now))
    return json_answer(_fast(request, value, shape))


def _fast(request: Request, value: Json, shape: View) -> Json | msgspec.Raw:
    """One object as itself, encoded once for everybody who asks, or by its metadata alone."""
    if shape.shape or not is_stored_as_shown(request.kind):
        return shown(request.kind, value, shape)
    return request.store.encoded(request.kind.storage, value)


def shown(kind: Kind, value: Json, shape: View) -> Json:
    """One object as itself or by its metadata alone."""
    if shape.shape.startswith("Partial"):
        return {"kind": "PartialObjectMetadata", "apiVersion": GROUP_VERSION, "metadata": value["metadata"]}
    return from_storage(kind, value)


def list_objects(request: Request) -> Decision:
    """GET of a collection."""
    found, wanted = pages.source(request), selection(request)
    chosen = [value for value in found.objects if wanted.takes(request.kind, value)]
    limit = request.number("limit") or 0
    page, meta = pages.cut(found, chosen, limit, not (wanted.labels or wanted.fields))
    return json_answer(_list_body(request, page, meta))


def selected(request: Request) -> list[Json]:
    """The stored objects that the request selects now."""
    wanted = selection(request)
    values = request.store.objects(request.kind.storage, request.target.namespace)
    return [value for value in values if wanted.takes(request.kind, value)]


def _list_body(request: Request, page: list[Json], meta: Json) -> Json:
    kind, shape = request.kind, negotiation.view(request)
    if shape.shape == "Table":
        return table(kind.printer, page, meta, shape.include, request.now)
    values = [_fast(request, value, shape) for value in page]
    partial = shape.shape.startswith("Partial")
    return {
        "kind": "PartialObjectMetadataList" if partial else kind.list_kind,
        "apiVersion": GROUP_VERSION if partial else kind.api_version,
        "metadata": meta,
        "items": values,
    }


def watch(request: Request) -> OpenWatch:
    """GET of a collection or an object with watch=1; raises ApiError 400 or 410."""
    start = versions.of_watch(request).revision
    store = request.store
    if start and start < store.oldest:
        raise expired(start, store.oldest)
    wanted = selection(request)
    initial_events = request.flag("sendInitialEvents")
    fresh = start == 0 or initial_events
    shows = initial_events or (start == 0 and "sendInitialEvents" not in request.query)
    return OpenWatch(
        kind=request.kind,
        namespace=request.target.namespace,
        labels=wanted.labels,
        fields=wanted.fields,
        view=negotiation.view(request),
        start=store.revision if fresh else start,
        initial=tuple(selected(request)) if shows else (),
        bookmarks=request.flag("allowWatchBookmarks"),
        initial_bookmark=initial_events and request.flag("allowWatchBookmarks"),
        timeout_seconds=request.number("timeoutSeconds"),
    )


def watch_event(opened: OpenWatch, changed: Changed) -> tuple[str, Json] | None:
    """What a watcher is told of a change: an object that leaves the selection is DELETED, one that enters ADDED.

    What is DELETED is shown as it last was, at the revision of the change (apiserver `storage/cacher`).
    """
    if (changed.key.group, changed.key.resource) != opened.kind.storage:
        return None
    if opened.namespace and changed.key.namespace != opened.namespace:
        return None
    wanted = Selection(opened.labels, opened.fields)
    last = changed.before
    before = last is not None and wanted.takes(opened.kind, last)
    after = changed.change != "DELETED" and wanted.takes(opened.kind, changed.object)
    if after:
        return ("MODIFIED" if before else "ADDED"), changed.object
    if last is not None and before:
        return "DELETED", last | {"metadata": last["metadata"] | {"resourceVersion": str(changed.revision)}}
    return None


def is_shown_as_stored(opened: OpenWatch) -> bool:
    """Whether a watch shows objects just as they are stored, so that one encoding serves many watches."""
    return not opened.view.shape and is_stored_as_shown(opened.kind)


def event_object(opened: OpenWatch, value: Json, now: int, first: bool) -> Any:
    """The object of a watch event in the form that was asked for."""
    if opened.view.shape != "Table":
        return shown(opened.kind, value, opened.view)
    meta = {"resourceVersion": value["metadata"]["resourceVersion"]}
    body = table(opened.kind.printer, [value], meta, opened.view.include, now)
    if not first:
        body["columnDefinitions"] = None
    return body


def bookmark(opened: OpenWatch, revision: int, initial_end: bool, now: int) -> Json:
    """A BOOKMARK event."""
    meta: Json = {"resourceVersion": str(revision), "creationTimestamp": None}
    if initial_end:
        meta["annotations"] = {"k8s.io/initial-events-end": "true"}
    value: Json = {"kind": opened.kind.kind, "apiVersion": opened.kind.api_version, "metadata": meta}
    if opened.view.shape.startswith("Partial"):
        value |= {"kind": "PartialObjectMetadata", "apiVersion": GROUP_VERSION}
    if opened.view.shape == "Table":
        value = table(opened.kind.printer, [], {"resourceVersion": str(revision)}, "None", now)
    return {"type": "BOOKMARK", "object": value}
