"""Deleting: at once, gracefully (Pods), after finalizers, or a whole namespace in two steps.

Source: apiserver `registry/rest/delete.go`, `registry/generic/registry/store.go`; kubernetes
`pkg/registry/core/pod/strategy.go` CheckGracefulDelete, `pkg/registry/core/namespace/storage`.
"""

from typing import Final, NamedTuple

from podwire.proto.kube.json_objects import copy_json, items, section
from podwire.proto.kube.times import SECOND, rfc3339
from podwire.services.apiserver.core import bodies, claims, schema
from podwire.services.apiserver.core.conversion import from_storage
from podwire.services.apiserver.core.custom.definition import STORAGE
from podwire.services.apiserver.core.custom.establishing import begin_deletion
from podwire.services.apiserver.core.decisions import Answer, Decision, Many, Write, json_answer
from podwire.services.apiserver.core.errors import bad_request, conflict, not_found
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.request import Request

_FOREGROUND: Final = "foregroundDeletion"
_ORPHAN: Final = "orphan"
_POLICIES: Final = ("", "Background", "Foreground", "Orphan")
_PATIENCE: Final = 10**9


class Options(NamedTuple):
    """What the caller asks of a deletion."""

    grace: int | None
    policy: str
    uid: str
    revision: str


def completes_deletion(value: Json) -> bool:
    """Whether an object that is being deleted has nothing left that holds it."""
    meta = value["metadata"]
    if not meta.get("deletionTimestamp") or items(meta, "finalizers"):
        return False
    if value.get("kind") == "Namespace":
        return not items(section(value, "spec"), "finalizers")
    return bool(meta.get("deletionGracePeriodSeconds", 0) == 0)


def read_options(request: Request) -> Options:
    """DeleteOptions of the body, else of the query; raises ApiError 400."""
    if not request.message.body.strip():
        return options_of(request, {})
    given = bodies.read_object(request.message.body, request.message.content_type)
    return options_of(request, given)


def options_of(request: Request, given: Json) -> Options:
    """DeleteOptions, with what the query says where they are silent; raises ApiError 400."""
    try:
        body, _ = schema.decode_object("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions", given)
    except (schema.DecodeProblem, RecursionError) as error:
        raise bad_request(str(error)) from None
    grace = body.get("gracePeriodSeconds", request.number("gracePeriodSeconds"))
    policy = body.get("propagationPolicy") or request.query.get("propagationPolicy", "")
    if body.get("orphanDependents"):
        policy = _ORPHAN.capitalize()
    if policy not in _POLICIES:
        raise bad_request(f'invalid propagationPolicy "{policy}"')
    if grace is not None and not 0 <= grace < _PATIENCE:
        raise bad_request(f"gracePeriodSeconds: Invalid value: {grace}: must be between 0 and {_PATIENCE}")
    conditions = section(body, "preconditions")
    request_dry = items(body, "dryRun")
    if request_dry:
        request.__dict__["dry_run"] = request_dry == ["All"]
    return Options(grace, policy, conditions.get("uid", ""), conditions.get("resourceVersion", ""))


def delete(request: Request) -> Decision:
    """DELETE of one object."""
    kind, name = request.kind, request.target.name
    old = request.existing()
    if old is None:
        raise not_found(kind.group, kind.resource, name)
    return delete_object(request, old, read_options(request))


def delete_object(request: Request, old: Json, options: Options) -> Write | Answer:
    """The decision about one object that exists."""
    meta = old["metadata"]
    kind, name = request.kind, meta["name"]
    if options.uid and options.uid != meta.get("uid"):
        why = f"Precondition failed: UID in precondition: {options.uid}, UID in object meta: {meta.get('uid')}"
        raise conflict(kind.group, kind.resource, name, why)
    if options.revision and options.revision != meta["resourceVersion"]:
        raise conflict(kind.group, kind.resource, name)
    marked = _marked(request, old, options)
    gone = completes_deletion(marked)
    result = deleted_status(request, old) if gone and kind.resource != "pods" else from_storage(kind, marked)
    if request.dry_run or marked == old:
        return json_answer(result)
    key = request.key(name, meta.get("namespace", ""))
    main = request.event(key, "DELETED" if gone else "MODIFIED", marked)
    released = claims.appends(request, {}, old)[1] if gone and kind.resource == "services" else ()
    return Write(main, copy_json(result), 200, (), released)


def _marked(request: Request, old: Json, options: Options) -> Json:
    """The object as deletion leaves it: with a deadline, and with what still holds it."""
    value = copy_json(old)
    meta = value["metadata"]
    finalizers = [entry for entry in items(meta, "finalizers") if entry not in (_FOREGROUND, _ORPHAN)]
    earlier = [entry for entry in items(meta, "finalizers") if entry in (_FOREGROUND, _ORPHAN)]
    chosen = {"Foreground": [_FOREGROUND], "Orphan": [_ORPHAN], "Background": []}.get(options.policy, earlier)
    if finalizers + chosen:
        meta["finalizers"] = finalizers + chosen
    else:
        meta.pop("finalizers", None)
    grace = _grace(value, options)
    if "deletionTimestamp" in meta and grace >= meta.get("deletionGracePeriodSeconds", 0):
        return value
    meta["deletionTimestamp"] = rfc3339(request.now + grace * SECOND)
    meta["deletionGracePeriodSeconds"] = grace
    if request.kind.storage == STORAGE:
        begin_deletion(value, request.now)
    if request.kind.resource == "namespaces":
        value["status"] = section(value, "status") | {"phase": "Terminating"}
        meta.pop("deletionGracePeriodSeconds")
    elif request.kind.counts_generation and "generation" in meta and "deletionTimestamp" not in old["metadata"]:
        meta["generation"] += 1
    return value


def _grace(value: Json, options: Options) -> int:
    """Seconds until a Pod is gone; other kinds have none."""
    if value.get("kind") != "Pod":
        return 0
    spec = section(value, "spec")
    if not spec.get("nodeName") or section(value, "status").get("phase") in ("Succeeded", "Failed"):
        return 0
    if options.grace is not None:
        return options.grace
    return int(spec.get("terminationGracePeriodSeconds", 30))


def deleted_status(request: Request, old: Json) -> Json:
    """The Status object that says which object was deleted."""
    details: Json = {"name": old["metadata"]["name"]}
    if request.kind.group:
        details["group"] = request.kind.group
    details["kind"] = request.kind.resource
    if old["metadata"].get("uid"):
        details["uid"] = old["metadata"]["uid"]
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def delete_collection(request: Request, chosen: list[Json]) -> Many:
    """DELETE of a collection: each object as if it were deleted alone."""
    options = read_options(request)
    decisions = [delete_object(request, value, options) for value in chosen]
    writes = tuple(decision for decision in decisions if isinstance(decision, Write))
    listed = [from_storage(request.kind, value) for value in chosen]
    result = {
        "kind": request.kind.list_kind,
        "apiVersion": request.kind.api_version,
        "metadata": {"resourceVersion": str(request.store.revision)},
        "items": listed,
    }
    return Many(writes, result)
