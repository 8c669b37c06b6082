"""The one door: a request and its requester go in, a decision comes out.

Both fronts, the bus and HTTPS, call `decide`; it raises nothing but ApiError.
"""

from typing import Final

import msgspec

from podwire.proto.kube.json_objects import section
from podwire.proto.messages import codec
from podwire.proto.messages.api import ApiRequest, ApiResponse, WatchOpened
from podwire.proto.subjects import resource_events
from podwire.services.apiserver.core import (
    applying,
    deletion,
    discovery,
    negotiation,
    openapi,
    openapi_v2,
    paths,
    proxy,
    reading,
    reviews,
    subresources,
    writing,
)
from podwire.services.apiserver.core.authorization import Attributes, Requester, authorize
from podwire.services.apiserver.core.custom.catalogue import Catalogue, catalogue
from podwire.services.apiserver.core.decisions import Answer, Decision, json_answer
from podwire.services.apiserver.core.errors import (
    bad_request,
    method_not_allowed,
    no_such_path,
    too_large,
    unauthorized,
)
from podwire.services.apiserver.core.json_types import Json, to_json
from podwire.services.apiserver.core.request import Request
from podwire.services.apiserver.core.store import Store
from podwire.services.chassis.chance import RandomBits

BODY_LIMIT: Final = 3 * 1024 * 1024
_OPEN: Final = ("/healthz", "/livez", "/readyz", "/version")
_METHODS: Final = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_STREAMS: Final = ("exec", "attach", "portforward")


def decide(
    message: ApiRequest, who: Requester | None, store: Store, now: int, random: RandomBits, birth: str = ""
) -> Decision:
    """The decision about one request; raises ApiError."""
    path = message.path.rstrip("/")
    root = "/" + path.split("/")[1] if path else ""
    if root in _OPEN:
        return _health(path, message)
    if who is None:
        raise unauthorized()
    if len(message.body) > BODY_LIMIT:
        raise too_large()
    try:
        kinds = catalogue(store)
        fixed = _fixed(path, message, kinds)
        if fixed is not None:
            return fixed
        request = Request(message, paths.parse(path, kinds), who, store, now, random)
        return _resource(request, birth)
    except RecursionError:
        raise bad_request("exceeded max depth") from None


def _health(path: str, message: ApiRequest) -> Answer:
    if message.method not in ("GET", "HEAD"):
        raise method_not_allowed()
    if path == "/version":
        return Answer(ApiResponse(code=200, body=msgspec.json.format(to_json(discovery.VERSION), indent=2)))
    if path.count("/") > 1 and not path.endswith("/ping"):
        raise no_such_path()
    return Answer(ApiResponse(code=200, content_type="text/plain; charset=utf-8", body=b"ok"))


def _fixed(path: str, message: ApiRequest, kinds: Catalogue) -> Answer | None:
    """Discovery and OpenAPI; None for a resource path."""
    parts = path.strip("/").split("/")
    if path == "":
        return json_answer({"paths": ["/api", "/apis", "/healthz", "/livez", "/openapi/v3", "/readyz", "/version"]})
    if parts[0] == "openapi":
        return _openapi(parts, message.accept, kinds)
    if parts[0] not in ("api", "apis"):
        raise no_such_path()
    if len(parts) > (2 if parts[0] == "api" else 3):
        return None
    if message.method not in ("GET", "HEAD"):
        raise method_not_allowed()
    return _discovery(parts, message.accept, kinds)


def _openapi(parts: list[str], accept: str, kinds: Catalogue) -> Answer:
    if parts == ["openapi", "v3"]:
        return json_answer(openapi.index(kinds))
    if parts == ["openapi", "v2"]:
        return Answer(openapi_v2.answer(accept, kinds))
    if parts[:2] != ["openapi", "v3"]:
        raise no_such_path()
    return Answer(ApiResponse(code=200, body=openapi.document("/".join(parts[2:]), kinds)))


def _discovery(parts: list[str], accept: str, kinds: Catalogue) -> Answer:
    core = parts[0] == "api"
    if len(parts) == 1:
        version = discovery.aggregated_version(accept)
        if version:
            body = to_json(discovery.aggregated(kinds, core, version))
            return Answer(ApiResponse(code=200, content_type=discovery.aggregated_type(version), body=body))
        return json_answer(discovery.core_versions(kinds) if core else discovery.group_list(kinds))
    found: Json | None
    if core:
        found = discovery.resource_list(kinds, "", parts[1])
    else:
        is_group = len(parts) == 2
        found = discovery.group(kinds, parts[1]) if is_group else discovery.resource_list(kinds, parts[1], parts[2])
    if found is None:
        raise no_such_path()
    return json_answer(found)


def _attributes(request: Request) -> Attributes:
    target, method = request.target, request.message.method
    verb = _METHODS.get(method)
    if verb is None:
        raise method_not_allowed()
    if verb == "get" and request.flag("watch") and target.subresource != proxy.SUBRESOURCE:
        verb = "watch"
    elif verb == "get" and not target.name:
        verb = "list"
    elif verb == "delete" and not target.name:
        verb = "deletecollection"
    elif target.subresource in _STREAMS:
        verb = "create"
    name = target.name
    if verb == "create" and not target.subresource:
        body = request.body if request.message.body else {}
        name = str(section(body, "metadata").get("name", ""))
    kind = target.kind
    return Attributes(verb, kind.group, kind.resource, target.subresource, target.namespace, name)


def _resource(request: Request, birth: str) -> Decision:
    attributes = _attributes(request)
    if request.target.subresource == proxy.SUBRESOURCE:
        authorize(request.who, attributes, None, None, request.store)
        return proxy.decide(request)
    if request.target.subresource not in (*_STREAMS, "log"):
        negotiation.view(request)
    body = request.body if attributes.verb == "create" and request.message.body else None
    existing = request.existing() if request.target.name else None
    authorize(request.who, attributes, existing, body, request.store)
    if request.target.subresource not in ("", "status"):
        return subresources.decide(request)
    return _verb(attributes.verb, request, birth)


def _verb(verb: str, request: Request, birth: str) -> Decision:
    if request.kind.answered:
        if verb != "create":
            raise method_not_allowed()
        return reviews.answer(request)
    if verb == "watch":
        return _watch(request, birth)
    if verb == "deletecollection":
        return deletion.delete_collection(request, reading.selected(request))
    if verb == "list" and request.kind.namespaced is False and request.target.namespace:
        raise no_such_path()
    verbs = {
        "get": reading.get,
        "list": reading.list_objects,
        "create": writing.create,
        "update": writing.update,
        "patch": applying.patch,
        "delete": deletion.delete,
    }
    if verb == "delete" and request.target.subresource:
        raise method_not_allowed()
    return verbs[verb](request)


def _watch(request: Request, birth: str) -> Decision:
    """A watch over HTTP, or for a component leave to read the event log itself."""
    if request.query.get("podwire") != "stream":
        return reading.watch(request)
    group, resource = request.kind.storage
    store = request.store
    opened = WatchOpened(
        revision=store.revision,
        floor=store.floor,
        birth=birth,
        subjects=[resource_events(group, resource, request.target.namespace)],
    )
    return Answer(ApiResponse(code=200, content_type="application/msgpack", body=codec.encode(opened)))
