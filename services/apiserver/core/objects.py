"""From a body to an object that may be stored: decoding, metadata, defaults, rules.

Source: apiserver `registry/rest/{create,update}.go`, the strategies in kubernetes `pkg/registry/*/*/strategy.go`.
"""

from typing import Final

from podwire.proto.kube.json_objects import copy_json, section
from podwire.proto.kube.times import rfc3339
from podwire.services.apiserver.core import admission, schema
from podwire.services.apiserver.core.conversion import is_stored_as_shown, to_storage
from podwire.services.apiserver.core.custom import structural
from podwire.services.apiserver.core.errors import FieldErrors, bad_request, conflict, invalid
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.kinds import Kind
from podwire.services.apiserver.core.request import Request
from podwire.services.apiserver.core.validation import metadata as metadata_rules
from podwire.services.chassis.chance import name_suffix, uuid4

_OWNED_BY_SERVER: Final = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
_STATUS_AT_BIRTH: Final = ("nodes",)
_LATEST: Final = 58


def decode(request: Request, value: Json, warnings: list[str], definition: str = "") -> Json:
    """The typed object behind a JSON value; raises ApiError 400, or adds warnings about unknown fields."""
    kind = request.kind
    if not definition:
        _check_type(kind, value)
    try:
        decoded, unknown = _decoded(kind, definition, value)
    except (schema.DecodeProblem, RecursionError) as error:
        raise bad_request(_cannot_be_handled(kind, str(error))) from None
    problems = [f'unknown field "{path}"' for path in unknown]
    if value is request.__dict__.get("body") and request.field_validation != "Ignore":
        problems += request.duplicates
    if problems and request.field_validation == "Strict":
        raise bad_request(_cannot_be_handled(kind, "strict decoding error: " + ", ".join(problems)))
    if request.field_validation == "Warn":
        warnings += problems
    decoded.setdefault("metadata", {})
    if not definition:
        decoded = {"apiVersion": kind.api_version, "kind": kind.kind, **decoded}
    return decoded if definition else to_storage(kind, decoded)


def _decoded(kind: Kind, definition: str, value: Json) -> tuple[Json, list[str]]:
    if kind.custom is None or definition:
        return schema.decode_object(definition or kind.definition, value)
    return structural.decode(kind.custom.schema, value)


def _cannot_be_handled(kind: Kind, why: str) -> str:
    return f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {why}'


def _check_type(kind: Kind, value: Json) -> None:
    """A body says what it is, or leaves it to the path (endpoints/handlers/create.go: the default kind)."""
    version = value.get("apiVersion") or kind.api_version
    name = value.get("kind") or kind.kind
    if version != kind.api_version:
        raise bad_request(
            f"the API version in the data ({version}) does not match the expected API version ({kind.api_version})"
        )
    if name != kind.kind:
        raise bad_request(f'{name} in version "{version}" cannot be handled as a {kind.kind}')


def check_place(request: Request, value: Json) -> None:
    """Fills in the namespace and name of the path; raises ApiError 400 where the body says otherwise."""
    meta, target = value["metadata"], request.target
    if request.kind.namespaced:
        if meta.setdefault("namespace", target.namespace) != target.namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    else:
        meta.pop("namespace", None)
    if target.name and meta.setdefault("name", target.name) != target.name:
        raise bad_request(f"the name of the object ({meta['name']}) does not match the name on the URL ({target.name})")


def prepare_new(request: Request, value: Json) -> None:
    """Metadata of a new object: name, uid, creation time, generation; its status begins empty."""
    meta, kind = value["metadata"], request.kind
    if meta.pop("resourceVersion", ""):
        raise bad_request("resourceVersion should not be set on objects to be created")
    if not meta.get("name") and meta.get("generateName"):
        meta["name"] = meta["generateName"][:_LATEST] + name_suffix(request.random)
    for name in (*_OWNED_BY_SERVER, "managedFields", "selfLink", "generation"):
        meta.pop(name, None)
    if kind.has("status") and kind.resource not in _STATUS_AT_BIRTH:
        value.pop("status", None)
    kind.defaults(value)
    admission.admit(request, value)
    meta["uid"] = uuid4(request.random)
    meta["creationTimestamp"] = rfc3339(request.now)
    kind.on_create(value)
    if kind.counts_generation:
        meta["generation"] = 1


def prepare_update(request: Request, value: Json, old: Json, subresource: str) -> Json:
    """The object after an update of itself or of its status: what the caller may not change is as before."""
    kind, meta, before = request.kind, value["metadata"], old["metadata"]
    _check_preconditions(request, meta, before)
    result = _with_status(value, old) if subresource == "status" else value
    new_meta = dict(section(result, "metadata"))
    for name in (*_OWNED_BY_SERVER, "generation", "resourceVersion", "generateName"):
        new_meta.pop(name, None)
        if name in before:
            new_meta[name] = before[name]
    new_meta.pop("managedFields", None)
    new_meta.pop("selfLink", None)
    result["metadata"] = new_meta
    if subresource != "status" and kind.has("status"):
        result.pop("status", None)
        if "status" in old:
            result["status"] = copy_json(old["status"])
    kind.defaults(result)
    if kind.counts_generation and _body(kind, result) != _body(kind, old):
        new_meta["generation"] = before.get("generation", 0) + 1
    return result


def _check_preconditions(request: Request, meta: Json, before: Json) -> None:
    kind, name = request.kind, before["name"]
    given = meta.get("resourceVersion", "")
    if given and given != before["resourceVersion"]:
        raise conflict(kind.group, kind.resource, name)
    if meta.get("uid") and meta["uid"] != before.get("uid"):
        why = f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: {before.get('uid')}"
        raise conflict(kind.group, kind.resource, name, why)


def _with_status(value: Json, old: Json) -> Json:
    result = copy_json(old)
    if "status" in value:
        result["status"] = value["status"]
    for name in ("labels", "annotations"):
        result["metadata"].pop(name, None)
        if name in value["metadata"]:
            result["metadata"][name] = value["metadata"][name]
    return result


def _body(kind: Kind, value: Json) -> Json:
    """What a new generation is a change of; a custom kind without the subresource has its status there."""
    left_out = ("metadata", "status") if kind.custom is None or kind.has("status") else ("metadata",)
    return {key: entry for key, entry in value.items() if key not in left_out}


def check(request: Request, value: Json, old: Json | None, errors: FieldErrors | None = None) -> None:
    """Every rule of the kind; raises ApiError 422."""
    kind = request.kind
    found = errors or FieldErrors()
    metadata_rules.validate(value, old, kind.name_rule, found)
    kind.validate(value, old, found)
    if is_stored_as_shown(kind):
        schema.missing_required(kind.definition, value, "", found)
    if found.found:
        raise invalid(kind.group, kind.kind, section(value, "metadata").get("name", ""), found.found)


def same(new: Json, old: Json) -> bool:
    """Whether an update changes nothing."""
    return new == old
