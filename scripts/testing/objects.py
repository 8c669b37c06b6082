"""API objects of a simulated cluster: applied, read and deleted, of whatever kind the API server serves."""

from collections.abc import Iterator
from typing import Any, Final

from podwire.scripts.cluster.folder import Shape
from podwire.scripts.errors import UserError
from podwire.scripts.history.log import Log
from podwire.scripts.history.past import Past, collection, resolve
from podwire.scripts.simulation.cluster import SimulatedCluster
from podwire.scripts.testing import calls
from podwire.scripts.yaml_files import parse_documents
from podwire.services.apiserver.core.kinds import Kind

Json = dict[str, Any]
_MANAGER: Final = "pytest"


def log_of(cluster: SimulatedCluster) -> Log:
    """The event log as it is now."""
    stream = cluster.broker.stream
    shape = Shape(len(cluster.layout.machines) - 1, "")
    return Log(stream.birth, shape, tuple(stream.messages.values()), stream.last)


def documents(text: str) -> Iterator[Json]:
    """The objects of a YAML text, those of a List one by one. Raises UserError."""
    try:
        values = parse_documents(text, "a manifest")
    except UserError as error:
        raise UserError(f"manifest: {error}") from None
    for value in values:
        if value is None:
            continue
        if not isinstance(value, dict) or not value.get("kind") or not value.get("apiVersion"):
            raise UserError(f"manifest: {str(value)[:60]!r}: an object with apiVersion and kind is needed")
        if str(value["kind"]).endswith("List") and "items" in value:
            yield from value["items"]
        else:
            yield value


class Objects:
    """The API, for tests."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        self._cluster = cluster

    async def apply(self, call: calls.Apply) -> list[str]:
        """Applies every object of a text; their `kind/name`. Raises UserError, ApiError."""
        return [await self._apply(value, call.namespace) for value in documents(call.text)]

    async def _apply(self, value: Json, namespace: str) -> str:
        meta = value.setdefault("metadata", {})
        kind = self._kind_of(str(value["apiVersion"]), str(value["kind"]))
        place = str(meta.get("namespace") or namespace) if kind.namespaced else ""
        path, name = collection(kind, place), str(meta.get("name", ""))
        if not name:
            made = await self._cluster.api.call("POST", path, value, fieldManager=_MANAGER)
            return f"{kind.singular}/{made['metadata']['name']}"
        patch, query = "application/apply-patch+yaml", {"fieldManager": _MANAGER, "force": "true"}
        await self._cluster.api.call("PATCH", f"{path}/{name}", value, patch, **query)
        return f"{kind.singular}/{name}"

    def _kind_of(self, version: str, kind: str) -> Kind:
        for known in self._now().kinds:
            if (known.api_version, known.kind) == (version, kind):
                return known
        raise UserError(f'manifest: no matches for kind "{kind}" in version "{version}"')

    def _now(self) -> Past:
        log = log_of(self._cluster)
        return Past(log, log.last)

    async def get(self, call: calls.Get) -> Any:
        """Objects of a kind, or one. Raises UserError, ApiError."""
        past = self._now()
        kind = resolve(call.kind, past.kinds)[0]
        path = "/".join(filter(None, (collection(kind, call.namespace), call.name)))
        if call.at:
            value = Past(log_of(self._cluster), call.at).read(path)
        else:
            value = await self._cluster.api.call("GET", path)
        if call.name:
            return value
        return [{"apiVersion": kind.api_version, "kind": kind.kind} | entry for entry in value["items"]]

    async def delete(self, call: calls.Delete) -> None:
        """Deletes an object. Raises UserError, ApiError."""
        kind = resolve(call.kind, self._now().kinds)[0]
        await self._cluster.api.call("DELETE", f"{collection(kind, call.namespace)}/{call.name}")
