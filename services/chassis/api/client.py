"""Requests to the API server over the bus, as one user."""

import asyncio
from typing import Any, Final

import msgspec

from podwire.proto import subjects
from podwire.proto.kube.resources import Resource
from podwire.proto.messages import codec
from podwire.proto.messages.api import ApiRequest, ApiResponse, WatchOpened
from podwire.services.chassis.bus import base, pieces

TIMEOUT: Final = 12.0
MERGE_PATCH: Final = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH: Final = "application/strategic-merge-patch+json"

Object = dict[str, Any]


class ApiUnavailable(Exception):
    """No API server answered; a write may or may not have taken place."""


class ApiError(Exception):
    """The API server's Status in answer to a request: its code, reason and message."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason = code, reason


class ApiClient:
    """The verbs of the API for one user; objects go in and out as JSON dictionaries.

    `agent` is the name by which managedFields know what the component writes; without one it is the user's.
    """

    def __init__(self, bus: base.Bus, user: str, agent: str = "") -> None:
        self.user = user
        self._agent = agent
        self._bus = bus
        self._subject = subjects.api_request(user)
        self._waiting: dict[asyncio.Timeout, None] = {}

    async def request(self, request: ApiRequest, timeout: float = TIMEOUT) -> ApiResponse:
        """Any request. Raises ApiUnavailable; a Status of failure is an answer here."""
        try:
            async with asyncio.timeout(None) as waiting:
                self._waiting[waiting] = None
                try:
                    answer = await pieces.request(self._bus, self._subject, codec.encode(request), timeout)
                finally:
                    self._waiting.pop(waiting, None)
        except base.BusError as error:
            raise ApiUnavailable(f"{request.method} {request.path}: {error}") from None
        except TimeoutError:
            raise ApiUnavailable(f"{request.method} {request.path}: the API server went away") from None
        try:
            return codec.decode(ApiResponse, answer)
        except codec.ForeignMessage as error:
            raise ApiUnavailable(str(error)) from None

    def give_up_waiting(self) -> None:
        """An API server died: what it may have been asked fails now, as on a broken connection (outcome unknown)."""
        now = asyncio.get_running_loop().time()
        for waiting in list(self._waiting):
            del self._waiting[waiting]
            waiting.reschedule(now)

    async def call(
        self, method: str, path: str, body: object = None, content_type: str = "application/json", **query: str
    ) -> Object:
        """One request with a JSON body. Raises ApiError for a Status of failure, ApiUnavailable."""
        payload = b"" if body is None else msgspec.json.encode(body)
        pairs = list(query.items())
        request = ApiRequest(
            method=method, path=path, query=pairs, content_type=content_type, body=payload, agent=self._agent
        )
        response = await self.request(request)
        answer = _json(response)
        if response.code >= 400:
            message = str(answer.get("message", "")) or f"{method} {path}: {response.code}"
            raise ApiError(response.code, str(answer.get("reason", "")), message)
        return answer

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """One object."""
        return await self.call("GET", resource.path(namespace, name))

    async def list(self, resource: Resource, namespace: str = "", **query: str) -> list[Object]:
        """The objects of a collection."""
        items: list[Object] = (await self.call("GET", resource.path(namespace), **query)).get("items") or []
        return items

    async def create(self, resource: Resource, namespace: str, body: Object, **query: str) -> Object:
        """Creates; the type's apiVersion and kind are filled in."""
        body = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
        return await self.call("POST", resource.path(namespace), body, **query)

    async def update(self, resource: Resource, body: Object, subresource: str = "") -> Object:
        """Replaces; a metadata.resourceVersion in the body makes it conditional."""
        metadata = body["metadata"]
        body = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
        path = resource.path(metadata.get("namespace", ""), metadata["name"], subresource)
        return await self.call("PUT", path, body)

    async def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        body: object,
        subresource: str = "",
        content_type: str = MERGE_PATCH,
    ) -> Object:
        """A merge patch, or the given kind of patch."""
        return await self.call("PATCH", resource.path(namespace, name, subresource), body, content_type)

    async def delete(self, resource: Resource, namespace: str, name: str, body: object = None) -> Object:
        """Deletes; `body` is a DeleteOptions object."""
        return await self.call("DELETE", resource.path(namespace, name), body)

    async def open_watch(self, resource: Resource, namespace: str = "") -> WatchOpened:
        """Asks to read the event log itself. Raises ApiError, ApiUnavailable."""
        query = [("watch", "1"), ("podwire", "stream")]
        response = await self.request(ApiRequest(method="GET", path=resource.path(namespace), query=query), 2.0)
        if response.code >= 400:
            answer = _json(response)
            raise ApiError(response.code, str(answer.get("reason", "")), str(answer.get("message", "")))
        try:
            return codec.decode(WatchOpened, response.body)
        except codec.ForeignMessage as error:
            raise ApiUnavailable(str(error)) from None


def _json(response: ApiResponse) -> Object:
    try:
        answer = msgspec.json.decode(response.body or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ApiUnavailable("the API server answered with something that is not JSON") from None
    if not isinstance(answer, dict):
        raise ApiUnavailable("the API server answered with something that is not an object")
    return answer
