"""Get, list and watch."""

import base64
import binascii
from typing import Any, NamedTuple

import msgspec

from podwire.services.apiserver.core import negotiation, selectors
from podwire.services.apiserver.core.conversion import from_storage
from podwire.services.apiserver.core.decisions import Decision, OpenWatch, View, json_answer
from podwire.services.apiserver.core.errors import ApiError, bad_request, expired, not_found
from podwire.services.apiserver.core.json_types import Json, section, to_json
from podwire.services.apiserver.core.kinds import Kind
from podwire.services.apiserver.core.printers.table import GROUP_VERSION, table
from podwire.services.apiserver.core.request import Request
from podwire.services.apiserver.core.store import Changed


class _Continue(msgspec.Struct, frozen=True):
    """A continue token: the revision of the first page and the last object shown."""

    revision: int
    namespace: str
    name: str


class Selection(NamedTuple):
    """The selectors of a list or watch."""

    labels: selectors.LabelSelector
    fields: selectors.FieldSelector

    def takes(self, kind: Kind, value: Json) -> bool:
        """Whether an object in its stored form is selected."""
        return selectors.matches_labels(self.labels, section(value, "metadata", "labels")) and selectors.matches_fields(
            self.fields, kind.selectable(), value
        )


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
    value = request.existing()
    kind = request.kind
    if value is None:
        raise not_found(kind.group, kind.resource, request.target.name)
    shape = negotiation.view(request)
    if shape.shape == "Table":
        meta = {"resourceVersion": value["metadata"]["resourceVersion"]}
        return json_answer(table(kind.printer, [value], meta, shape.include, request.now))
    return json_answer(shown(kind, value, shape))


def shown(kind: Kind, value: Json, shape: View) -> Json:
    """One object as itself or by its metadata alone."""
    if shape.shape.startswith("Partial"):
        return {"kind": "PartialObjectMetadata", "apiVersion": GROUP_VERSION, "metadata": value["metadata"]}
    return from_storage(kind, value)


def list_objects(request: Request) -> Decision:
    """GET of a collection."""
    token = _read_token(request.query.get("continue", ""))
    chosen, revision = _page_source(request, token)
    limit = request.number("limit") or 0
    page = chosen[:limit] if limit > 0 else chosen
    meta: Json = {"resourceVersion": str(revision)}
    if len(page) < len(chosen):
        last = page[-1]["metadata"]
        meta["continue"] = _write_token(_Continue(revision, last.get("namespace", ""), last["name"]))
        meta["remainingItemCount"] = len(chosen) - len(page)
    return json_answer(_list_body(request, page, meta))


def selected(request: Request) -> list[Json]:
    """The stored objects that the request selects now."""
    wanted = selection(request)
    values = request.store.objects(request.kind.storage, request.target.namespace)
    return [value for value in values if wanted.takes(request.kind, value)]


def _page_source(request: Request, token: _Continue | None) -> tuple[list[Json], int]:
    store, kind = request.store, request.kind
    if token is None:
        return selected(request), store.revision
    values = store.objects_at(kind.storage, request.target.namespace, token.revision)
    if values is None or token.revision > store.revision:
        message = (
            "The provided continue parameter is too old to display a consistent list result. You can start a new "
            "list without the continue parameter."
        )
        raise ApiError(410, "Expired", message)
    wanted, after = selection(request), (token.namespace, token.name)
    rest = [value for value in values if _place(value) > after and wanted.takes(kind, value)]
    return rest, token.revision


def _place(value: Json) -> tuple[str, str]:
    return value["metadata"].get("namespace", ""), value["metadata"]["name"]


def _read_token(text: str) -> _Continue | None:
    if not text:
        return None
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(text), type=_Continue)
    except (msgspec.MsgspecError, binascii.Error, ValueError):
        raise bad_request("continue key is not valid") from None


def _write_token(token: _Continue) -> str:
    return base64.urlsafe_b64encode(to_json(token)).decode()


def _list_body(request: Request, page: list[Json], meta: Json) -> Json:
    kind, shape = request.kind, negotiation.view(request)
    if shape.shape == "Table":
        return table(kind.printer, page, meta, shape.include, request.now)
    values = [shown(kind, value, shape) for value in page]
    partial = shape.shape.startswith("Partial")
    return {
        "kind": "PartialObjectMetadataList" if partial else f"{kind.kind}List",
        "apiVersion": GROUP_VERSION if partial else kind.api_version,
        "metadata": meta,
        "items": values,
    }


def watch(request: Request) -> OpenWatch:
    """GET of a collection or an object with watch=1; raises ApiError 400 or 410."""
    given = request.query.get("resourceVersion", "")
    if given and (not given.isascii() or not given.isdigit() or len(given) > 18):
        raise bad_request(f'invalid resource version "{given}"')
    start = int(given or 0)
    store = request.store
    if start and start < store.oldest:
        raise expired(start, store.oldest)
    wanted = selection(request)
    initial_events = request.flag("sendInitialEvents")
    fresh = start == 0 or initial_events
    return OpenWatch(
        kind=request.kind,
        namespace=request.target.namespace,
        labels=wanted.labels,
        fields=wanted.fields,
        view=negotiation.view(request),
        start=store.revision if fresh else start,
        initial=tuple(selected(request)) if fresh else (),
        bookmarks=request.flag("allowWatchBookmarks"),
        initial_bookmark=initial_events and request.flag("allowWatchBookmarks"),
        timeout_seconds=request.number("timeoutSeconds"),
    )


def watch_event(opened: OpenWatch, changed: Changed) -> tuple[str, Json] | None:
    """What a watcher is told of a change: an object that leaves the selection is DELETED, one that enters ADDED."""
    if (changed.key.group, changed.key.resource) != opened.kind.storage:
        return None
    if opened.namespace and changed.key.namespace != opened.namespace:
        return None
    wanted = Selection(opened.labels, opened.fields)
    before = changed.before is not None and wanted.takes(opened.kind, changed.before)
    after = changed.change != "DELETED" and wanted.takes(opened.kind, changed.object)
    if after:
        return ("MODIFIED" if before else "ADDED"), changed.object
    if before:
        return "DELETED", changed.object
    return None


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
    if opened.view.shape == "Table":
        value = table(opened.kind.printer, [], {"resourceVersion": str(revision)}, "None", now)
    return {"type": "BOOKMARK", "object": value}
