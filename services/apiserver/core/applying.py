"""PATCH with application/apply-patch+yaml: server-side apply of an object, its status or its scale (KEP-555).

Source: apiserver `endpoints/handlers/patch.go` (applyPatcher), apimachinery `util/managedfields/internal`.
"""

from dataclasses import replace
from typing import Any, Final

from podwire.proto.kube.json_objects import section
from podwire.proto.kube.times import rfc3339
from podwire.services.apiserver.core import bodies, duplicates, objects, writing
from podwire.services.apiserver.core.apply import conflicts, last_applied, managers, tracking
from podwire.services.apiserver.core.apply.managers import MalformedManagers, Managed, Writer
from podwire.services.apiserver.core.apply.shapes import NoElement, Shape, shape_of_definition
from podwire.services.apiserver.core.apply.typed import problems
from podwire.services.apiserver.core.apply.updater import Conflict, Conflicts
from podwire.services.apiserver.core.authorization import Attributes, authorize
from podwire.services.apiserver.core.conversion import from_storage
from podwire.services.apiserver.core.decisions import Decision
from podwire.services.apiserver.core.errors import (
    ApiError,
    FieldErrors,
    bad_request,
    conflict,
    invalid_options,
    method_not_allowed,
    not_found,
)
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.kinds import Kind
from podwire.services.apiserver.core.request import Request

_SCALE: Final = ("autoscaling/v1", "Scale", "io.k8s.api.autoscaling.v1.Scale")


def is_apply(request: Request) -> bool:
    """Whether a PATCH is a server-side apply; raises ApiError 422 for options that do not fit the patch."""
    applies = bodies.media_type(request.message.content_type) == bodies.APPLY
    errors = FieldErrors()
    if applies and not request.field_manager:
        errors.required("fieldManager", "is required for apply patch")
    if not applies and "force" in request.query:
        errors.forbidden("force", "may not be specified for non-apply patch")
    if errors.found:
        raise invalid_options("PATCH", errors.found)
    return applies


def patch(request: Request) -> Decision:
    """PATCH of an object or its status, of whichever kind."""
    if not request.target.name:
        raise method_not_allowed()
    if not is_apply(request):
        return writing.patch_object(request)
    config, warnings = configuration(request)
    old = request.existing()
    if old is None:
        return _create(request, config, warnings)
    value, managed = merged(request, config, old)
    value = objects.decode(request, value, warnings)
    objects.check_place(request, value)
    return writing.store_update(request, value, old, request.target.subresource, warnings, managed)


def configuration(request: Request) -> tuple[Json, list[str]]:
    """The applied configuration and warnings about it; raises ApiError 400, or 500 where upstream's typing fails."""
    kind = request.kind
    if request.target.subresource == "scale":
        version, name, definition = _SCALE
        shape = shape_of_definition(definition)
    else:
        version, name, shape = kind.api_version, kind.kind, tracking.updater_of(request).shape
    config = bodies.read_configuration(request.message.body)
    given = _group_version_kind(config.get("apiVersion"), config.get("kind"))
    if (config.get("apiVersion"), config.get("kind")) != (version, name):
        raise bad_request(f"invalid object type: {given}")
    meta = config.setdefault("metadata", {})
    if isinstance(meta, dict) and meta.get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")
    _check_typed(config, shape, given)
    if not isinstance(meta, dict):
        config["metadata"] = {}
    return config, _duplicates(request)


def _check_typed(config: Json, shape: Shape, given: str) -> None:
    found = problems(config, shape)
    if not found:
        return
    text = found[0] if len(found) == 1 else "errors:\n" + "\n".join(f"  {problem}" for problem in found)
    meta = section(config, "metadata")
    place = f"{meta.get('namespace', '')}/{meta.get('name', '')}; {given}"
    raise ApiError(500, "", f"failed to create typed patch object ({place}): {text}")


def _group_version_kind(version: object, kind: object) -> str:
    group, _, rest = str(version or "/").rpartition("/")
    return f"{group}/{rest}, Kind={kind or ''}"


def _duplicates(request: Request) -> list[str]:
    """Warnings about fields that are there twice; raises ApiError 400 where the client wants that."""
    body, wanted = request.message.body, request.field_validation
    media = "application/json" if body.lstrip().startswith(b"{") else bodies.YAML[0]
    found = duplicates.find(body, media) if wanted != "Ignore" else []
    if found and wanted == "Strict":
        raise bad_request("error strict decoding YAML: " + ", ".join(found))
    return found


def merged(request: Request, config: Json, old: Json) -> tuple[Json, Managed]:
    """The live object with a configuration applied, and its managers. Raises ApiError 409 for conflicts."""
    live = tracking.bare(from_storage(request.kind, old))
    name, force = request.field_manager, request.flag("force")
    try:
        managed = managers.decode(old["metadata"].get("managedFields"))
        if not managed:
            managed = _before(request, live)
        try:
            result, managed = _apply(request, live, config, managed, force)
        except Conflicts as found:
            _check_taken_over(request, live, found.found)
            result, managed = _apply(request, live, config, managed, True)
    except (NoElement, MalformedManagers) as error:
        raise ApiError(500, "", f"failed to create typed live object: {error}") from None
    if name == last_applied.KUBECTL:
        last_applied.keep_in_step(result, config)
    return result, managed


def _apply(request: Request, live: Json, config: Json, managed: Managed, force: bool) -> tuple[Json, Managed]:
    writer = managers.applier(request.field_manager, request.target.subresource)
    return tracking.updater_of(request).apply(live, config, managed, writer, rfc3339(request.now), force)


def _before(request: Request, live: Json) -> Managed:
    """Whose an object is that nobody has applied yet."""
    writer = managers.updater(tracking.BEFORE, request.kind.api_version, request.target.subresource)
    return tracking.updater_of(request).update({}, live, {}, writer, rfc3339(request.now))


def _check_taken_over(request: Request, live: Json, found: list[Conflict]) -> None:
    """Raises ApiError 409, but for fields that kubectl itself wrote by client-side apply."""
    left = found
    if request.field_manager == last_applied.KUBECTL:
        own = last_applied.taken_over(live, tracking.updater_of(request).shape)
        left = [entry for entry in found if entry.path not in own]
    if request.target.subresource == "scale":
        left = [replace(entry, writer=_seen_in_scale(entry.writer)) for entry in left]
    if left:
        raise conflicts.refused(left)


def _seen_in_scale(writer: Writer) -> Writer:
    """Whoever has the replicas has them in the Scale's version, as the applier sees them (`scalehandler.go`)."""
    return writer._replace(api_version=_SCALE[0]) if writer.operation == managers.UPDATE else writer


def _create(request: Request, config: Json, warnings: list[str]) -> Decision:
    """Apply of what is not there makes it, for those who may create; a subresource needs its object."""
    kind, target = request.kind, request.target
    if target.subresource:
        raise not_found(kind.group, kind.resource, target.name)
    attributes = Attributes("create", kind.group, kind.resource, "", target.namespace, target.name)
    authorize(request.who, attributes, None, config, request.store)
    uid = config["metadata"].get("uid")
    if uid:
        why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        raise conflict(kind.group, kind.resource, target.name, why)
    value, managed = _apply(request, {}, config, {}, False)
    value = objects.decode(request, value, warnings)
    objects.check_place(request, value)
    return writing.store_new(request, value, warnings, managed)


def _nested(kind: Kind, replicas: Any) -> Json:
    path = kind.custom.scale.replicas if kind.custom and kind.custom.scale else ("spec", "replicas")
    value = replicas
    for name in reversed(path):
        value = {name: value}
    nested: Json = value
    return nested


def scale(request: Request, old: Json) -> tuple[Json, Managed]:
    """The object with a Scale applied, and its managers: a Scale's replicas are the object's."""
    config, _ = configuration(request)
    served = from_storage(request.kind, old)
    names = {name: served[name] for name in ("apiVersion", "kind")}
    replicas = section(config, "spec").get("replicas")
    spec = {} if replicas is None else _nested(request.kind, replicas)
    revision = section(config, "metadata").get("resourceVersion")
    meta = {} if revision is None else {"resourceVersion": revision}
    return merged(request, {**names, "metadata": meta, **spec}, old)
