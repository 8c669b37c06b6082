"""Lists in pages: each page of one list is of the same revision, which is held for five minutes.

Source: apiserver `storage/continue.go`, `storage/errors.go` (handleCompactedErrorForPaging): after that the answer is
410 with a token that goes on after the last object, on the present state.
"""

import base64
import binascii
from typing import Final, NamedTuple

import msgspec

from podwire.services.apiserver.core import versions
from podwire.services.apiserver.core.errors import ApiError, bad_request, expired
from podwire.services.apiserver.core.json_types import Json, to_json
from podwire.services.apiserver.core.request import Request
from podwire.services.apiserver.core.store import HELD

_PRESENT: Final = -1
_TOO_OLD: Final = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


class Token(msgspec.Struct, frozen=True):
    """A continue token: the list's revision (-1: the present), when the list began, the last object shown."""

    revision: int
    since: int
    namespace: str
    name: str


class Source(NamedTuple):
    """Where a page comes from: objects in order, their revision, and when the list began (ns)."""

    objects: list[Json]
    revision: int
    since: int


def source(request: Request) -> Source:
    """The objects that a list may show; raises ApiError 400, 410, 422 or 504."""
    wanted = versions.of_list(request)
    token = _read(request.query.get("continue", ""))
    if token is not None:
        return _rest(request, token)
    store, target = request.store, request.target
    if not wanted.exact:
        return Source(store.objects(request.kind.storage, target.namespace), store.revision, request.now)
    values = store.objects_at(request.kind.storage, target.namespace, wanted.revision)
    if values is None:
        raise expired(wanted.revision, store.oldest)
    return Source(values, wanted.revision, request.now)


def _rest(request: Request, token: Token) -> Source:
    store, namespace = request.store, request.target.namespace
    after = (token.namespace, token.name)
    if token.revision == _PRESENT:
        values: list[Json] | None = store.objects(request.kind.storage, namespace)
        revision, since = store.revision, request.now
    else:
        revision, since = token.revision, token.since
        is_held = revision <= store.revision and 0 <= request.now - since <= HELD
        values = store.objects_at(request.kind.storage, namespace, revision) if is_held else None
    if values is None:
        fresh = msgspec.structs.replace(token, revision=_PRESENT)
        raise ApiError(410, "Expired", _TOO_OLD, metadata={"continue": _write(fresh)})
    return Source([value for value in values if place(value) > after], revision, since)


def place(value: Json) -> tuple[str, str]:
    """An object's place in the order of a list."""
    return value["metadata"].get("namespace", ""), value["metadata"]["name"]


def cut(found: Source, chosen: list[Json], limit: int, countable: bool) -> tuple[list[Json], Json]:
    """One page of the chosen objects, and the list's metadata; what remains is told only where it is certain."""
    page = chosen[:limit] if limit > 0 else chosen
    meta: Json = {"resourceVersion": str(found.revision)}
    if len(page) < len(chosen):
        meta["continue"] = _write(Token(found.revision, found.since, *place(page[-1])))
        if countable:
            meta["remainingItemCount"] = len(chosen) - len(page)
    return page, meta


def _read(text: str) -> Token | None:
    if not text:
        return None
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(text), type=Token)
    except (msgspec.MsgspecError, binascii.Error, ValueError):
        raise bad_request("continue key is not valid") from None


def _write(token: Token) -> str:
    return base64.urlsafe_b64encode(to_json(token)).decode()
