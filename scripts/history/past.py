"""The cluster as it was: a fold of the log up to a revision, asked through the API server's own door."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from podwire.proto.messages.api import ApiRequest, ApiResponse
from podwire.scripts.errors import UserError
from podwire.scripts.history.log import Log
from podwire.services.apiserver.core import handler
from podwire.services.apiserver.core.authorization import MASTERS, Requester
from podwire.services.apiserver.core.custom.catalogue import catalogue
from podwire.services.apiserver.core.decisions import Answer
from podwire.services.apiserver.core.errors import ApiError
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.kinds import BUILT_IN, Kind
from podwire.services.apiserver.core.store import Foreign, Store
from podwire.services.chassis.chance import RandomStream
from podwire.services.chassis.eventlog.compaction import LAST_STATE_ONLY

TABLE: Final = "application/json;as=Table;v=v1;g=meta.k8s.io"
_ASKING: Final = Requester("system:operator", (MASTERS,))


class Past:
    """The API as it answered at a revision; ages are those of that moment."""

    def __init__(self, log: Log, revision: int, now_ns: int = 0) -> None:
        self.revision = revision
        self._now = now_ns or log.time_of(revision)
        self._store = Store()
        for event in log.until(revision):
            try:
                self._store.apply(event)
            except Foreign:
                continue
        self._store.advance(revision)

    def read(self, path: str, query: Sequence[tuple[str, str]] = (), accept: str = "application/json") -> Json:
        """The answer to a GET. Raises UserError for what the API server refuses."""
        request = ApiRequest(method="GET", path=path, query=list(query), accept=accept)
        try:
            decision = handler.decide(request, _ASKING, self._store, self._now, RandomStream(0))
        except ApiError as error:
            raise UserError(error.message) from None
        assert isinstance(decision, Answer)
        response: ApiResponse = decision.response
        value: Json = msgspec.json.decode(response.body)
        return value

    @property
    def kinds(self) -> Sequence[Kind]:
        """Every kind that was served, those of definitions included."""
        return catalogue(self._store).kinds

    def everything(self) -> dict[tuple[str, str, str, str], Json]:
        """All objects by API version, kind, namespace and name; without those of which only the last state is kept."""
        found: dict[tuple[str, str, str, str], Json] = {}
        for kind in self.kinds:
            if kind.answered or kind.stored_as or kind.storage in LAST_STATE_ONLY:
                continue
            for value in self._store.objects(kind.storage):
                meta = value["metadata"]
                found[(kind.api_version, kind.kind, meta.get("namespace", ""), meta["name"])] = value
        return found


def resolve(text: str, known: Sequence[Kind] = BUILT_IN) -> list[Kind]:
    """The kinds of a kubectl argument: `po`, `pods`, `deployments.apps`, `all`, comma-separated. Raises UserError."""
    return [kind for word in text.split(",") for kind in _resolve(word, known)]


def _resolve(word: str, known: Sequence[Kind]) -> list[Kind]:
    wanted, _, group = word.lower().partition(".")
    listed = [kind for kind in known if not kind.answered]
    named = [kind for kind in listed if wanted in (kind.resource, kind.singular, *kind.short_names)]
    if group:
        named = [kind for kind in named if f"{kind.version}.{kind.group}" == group or kind.group.startswith(group)]
    found = named[:1] or [kind for kind in listed if not group and wanted in kind.categories]
    if not found:
        raise UserError(f'{word}: the server doesn\'t have a resource type "{word}"')
    return found


def collection(kind: Kind, namespace: str) -> str:
    """The path of a kind's objects ("" for those of all namespaces)."""
    root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    return (
        f"{root}/namespaces/{namespace}/{kind.resource}" if kind.namespaced and namespace else f"{root}/{kind.resource}"
    )


def without_managers(value: Any) -> Any:
    """An object as kubectl shows it: without `metadata.managedFields`."""
    if isinstance(value, dict) and isinstance(meta := value.get("metadata"), dict) and "managedFields" in meta:
        return value | {"metadata": {name: entry for name, entry in meta.items() if name != "managedFields"}}
    return value
