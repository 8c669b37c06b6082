"""Create, update and patch: from a request to the events that it appends."""

from podwire.proto.kube.json_objects import copy_json, section
from podwire.proto.subjects import ObjectKey
from podwire.services.apiserver.core import bodies, claims, objects, patch
from podwire.services.apiserver.core.apply import tracking
from podwire.services.apiserver.core.apply.managers import Managed
from podwire.services.apiserver.core.conversion import from_storage
from podwire.services.apiserver.core.decisions import Answer, Append, Decision, Write, json_answer
from podwire.services.apiserver.core.deletion import completes_deletion
from podwire.services.apiserver.core.errors import (
    ApiError,
    FieldErrors,
    already_exists,
    bad_request,
    forbidden,
    method_not_allowed,
    not_found,
    unsupported_media,
)
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.request import Request
from podwire.services.apiserver.core.validation import pods as pod_rules

_PATCHES = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    bodies.APPLY,
]


def create(request: Request) -> Decision:
    """POST of a new object."""
    if request.target.name:
        raise method_not_allowed()
    warnings = [request.kind.caution] if request.kind.caution else []
    value = objects.decode(request, request.body, warnings)
    objects.check_place(request, value)
    return store_new(request, value, warnings)


def store_new(request: Request, value: Json, warnings: list[str], managed: Managed | None = None) -> Decision:
    """The write of a new object, with its managers where it is applied."""
    _ = request.field_manager
    if request.kind.custom is not None and request.kind.custom.is_going:
        text = "create not allowed while custom resource definition is terminating"
        raise ApiError(405, "MethodNotAllowed", text)
    given = value["metadata"].get("managedFields")
    objects.prepare_new(request, value)
    if managed:
        tracking.keep(value, managed)
    elif given:
        tracking.begin(request, given, value)
    check_namespace(request, request.target.namespace, str(value["metadata"].get("name", "")))
    name = str(value["metadata"].get("name", ""))
    key = request.key(name)
    if name and request.store.get(key) is not None:
        raise already_exists(request.kind.group, request.kind.resource, name)
    errors = FieldErrors()
    if request.kind.resource == "services":
        claims.normalize_cluster_ips(value, None)
        claims.allocate(request, value, None, errors)
    objects.check(request, value, None, errors)
    return _write(request, key, value, None, warnings, 201)


def check_namespace(request: Request, namespace: str, name: str) -> None:
    """New objects need a namespace that exists and is not going away (NamespaceLifecycle admission)."""
    if not request.kind.namespaced:
        return
    found = request.store.get(ObjectKey("", "namespaces", "", namespace))
    if found is None:
        raise not_found("", "namespaces", namespace)
    if section(found, "metadata").get("deletionTimestamp") and request.kind.storage != ("", "events"):
        kind = request.kind
        why = f"unable to create new content in namespace {namespace} because it is being terminated"
        error = forbidden(kind.group, kind.resource, name, why)
        error.details["causes"] = [
            {
                "reason": "NamespaceTerminating",
                "message": f"namespace {namespace} is being terminated",
                "field": "metadata.namespace",
            }
        ]
        raise error


def update(request: Request) -> Decision:
    """PUT of an object or its status."""
    old = _existing(request)
    warnings: list[str] = []
    value = objects.decode(request, request.body, warnings)
    objects.check_place(request, value)
    return store_update(request, value, old, request.target.subresource, warnings)


def patch_object(request: Request) -> Decision:
    """PATCH of an object or its status, other than by server-side apply."""
    old = _existing(request)
    served = from_storage(request.kind, old)
    body = bodies.read(request.message.body, "application/json")
    patched = apply_patch(request, served, body, request.kind.definition)
    warnings: list[str] = []
    value = objects.decode(request, patched, warnings)
    objects.check_place(request, value)
    return store_update(request, value, old, request.target.subresource, warnings)


def apply_patch(request: Request, document: Json, body: object, definition: str) -> Json:
    """The patched document; raises ApiError 400, 415 or 422."""
    kind = bodies.media_type(request.message.content_type)
    if kind == "application/json-patch+json":
        return patch.json_patch(document, body)
    is_custom = request.kind.custom is not None
    taken = [media for media in _PATCHES if not (is_custom and "strategic" in media)]
    if kind not in taken or kind == bodies.APPLY:
        raise unsupported_media(kind, taken)
    if not isinstance(body, dict):
        raise bad_request("error decoding patch: the patch is not an object")
    if kind == "application/merge-patch+json":
        return patch.merge_patch(document, body)
    return patch.strategic_merge(document, body, definition)


def _existing(request: Request) -> Json:
    target = request.target
    if not target.name:
        raise method_not_allowed()
    old = request.existing()
    if old is None:
        raise not_found(target.kind.group, target.kind.resource, target.name)
    return old


def store_update(
    request: Request,
    value: Json,
    old: Json,
    subresource: str,
    warnings: list[str],
    managed: Managed | None = None,
) -> Decision:
    """The write of a changed object, with its managers where it is applied; nothing when nothing changes."""
    _ = request.field_manager
    given = value["metadata"].get("managedFields")
    is_service = request.kind.resource == "services" and not subresource
    if is_service:
        claims.normalize_cluster_ips(value, old)
        claims.keep_allocated(value, old)
    new = objects.prepare_update(request, value, old, subresource)
    errors = FieldErrors()
    if is_service:
        claims.allocate(request, new, old, errors)
    if request.kind.resource == "pods" and not subresource:
        pod_rules.keeps_ephemeral_containers(new, old, errors)
    if managed is None:
        tracking.follow(request, given, new, old)
    else:
        tracking.keep(new, managed)
    objects.check(request, new, old, errors)
    if objects.same(new, old) or tracking.only_times_differ(new, old):
        return json_answer(from_storage(request.kind, old), warnings=warnings)
    return _write(request, request.key(request.target.name), new, old, warnings, 200)


def _write(
    request: Request,
    key: ObjectKey,
    value: Json,
    old: Json | None,
    warnings: list[str],
    code: int,
) -> Write | Answer:
    result = from_storage(request.kind, value)
    if request.dry_run:
        return json_answer(result, code, warnings)
    taken: tuple[Append, ...] = ()
    released: tuple[Append, ...] = ()
    if old is not None and completes_deletion(value):
        main = request.event(key, "DELETED", value)
        if request.kind.resource == "services":
            _, released = claims.appends(request, {}, old)
    else:
        main = request.event(key, "ADDED" if old is None else "MODIFIED", value)
        if request.kind.resource == "services":
            taken, released = claims.appends(request, value, old)
    return Write(main, copy_json(result), code, taken, released, warnings)
