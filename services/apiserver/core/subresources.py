"""Scale, binding, eviction and namespace finalization.

Source: kubernetes `pkg/registry/core/pod/rest`, `pkg/registry/apps/deployment/storage`,
`pkg/registry/core/namespace/storage`.
"""

from typing import Any, Final

from podwire.proto.kube.json_objects import copy_json, items, section
from podwire.proto.kube.times import rfc3339
from podwire.services.apiserver.core import applying, bodies, eviction, objects, streams, tokens, writing
from podwire.services.apiserver.core.apply.managers import Managed
from podwire.services.apiserver.core.decisions import Decision, Write, json_answer
from podwire.services.apiserver.core.errors import (
    FieldErrors,
    conflict,
    internal,
    invalid,
    method_not_allowed,
    not_found,
)
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.kinds.kind import Kind, ScalePaths
from podwire.services.apiserver.core.request import Request
from podwire.services.apiserver.core.selectors import format_selector

_WORKLOAD: Final = ScalePaths(("spec", "replicas"), ("status", "replicas"), ())
_SCALE: Final = "io.k8s.api.autoscaling.v1.Scale"
_COPIED: Final = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def decide(request: Request) -> Decision:
    """A request on a subresource other than status."""
    old = request.existing()
    kind = request.kind
    if old is None:
        raise not_found(kind.group, kind.resource, request.target.name)
    name, method = request.target.subresource, request.message.method
    if name == "scale":
        return _scale(request, old)
    if name == "finalize" and method == "PUT":
        return _finalize(request, old)
    if name == "binding" and method == "POST":
        return _bind(request, old)
    if name == "eviction" and method == "POST":
        return eviction.evict(request, old)
    if name == "ephemeralcontainers":
        return _ephemeral_containers(request, old)
    if name == "token" and method == "POST":
        return tokens.request_token(request, old)
    if name in streams.SUBRESOURCES:
        return streams.decide(request, old)
    raise method_not_allowed()


def scale_of(value: Json, kind: Kind) -> Json:
    """The Scale of a workload, or of a custom object whose definition says where its replicas are; raises ApiError 500
    where they are not."""
    paths = _WORKLOAD if kind.custom is None else kind.custom.scale or _WORKLOAD
    wanted = _at(value, paths.replicas)
    if wanted is None and kind.custom is not None:
        raise internal(f'the spec replicas field ".{".".join(paths.replicas)}" does not exist')
    selector = _at(value, paths.selector) if kind.custom else format_selector(section(value, "spec").get("selector"))
    status: Json = {"replicas": _at(value, paths.current) or 0}
    if selector and selector != "<none>":
        status["selector"] = selector
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: value["metadata"][key] for key in _COPIED if key in value["metadata"]},
        "spec": {"replicas": wanted or 0},
        "status": status,
    }


def _at(value: Json, path: tuple[str, ...]) -> Any:
    """What stands at a path, or None."""
    return section(value, *path[:-1]).get(path[-1]) if path else None


def _scale(request: Request, old: Json) -> Decision:
    method, current = request.message.method, scale_of(old, request.kind)
    if method == "GET":
        return json_answer(current)
    if method == "PUT":
        given = request.body
    elif method == "PATCH" and applying.is_apply(request):
        value, managed = applying.scale(request, old)
        return _scaled(
            request, old, _replicas(request, _as_scale(request, value)), value["metadata"]["resourceVersion"], managed
        )
    elif method == "PATCH":
        body = bodies.read(request.message.body, "application/json")
        given = writing.apply_patch(request, current, body, _SCALE)
    else:
        raise method_not_allowed()
    wanted = objects.decode(request, given, [], _SCALE)
    revision = section(wanted, "metadata").get("resourceVersion", "") if method == "PUT" else ""
    return _scaled(request, old, _replicas(request, wanted), revision)


def _replicas(request: Request, wanted: Json) -> int:
    """How many are wanted; raises ApiError 422 for less than none."""
    replicas: int = section(wanted, "spec").get("replicas", 0)
    if replicas < 0:
        errors = FieldErrors()
        errors.invalid("spec.replicas", replicas, "must be greater than or equal to 0")
        raise invalid("autoscaling", "Scale", request.target.name, errors.found)
    return replicas


def _replicas_path(kind: Kind) -> tuple[str, ...]:
    return kind.custom.scale.replicas if kind.custom and kind.custom.scale else _WORKLOAD.replicas


def _as_scale(request: Request, value: Json) -> Json:
    return {"spec": {"replicas": _at(value, _replicas_path(request.kind)) or 0}}


def _scaled(request: Request, old: Json, replicas: int, revision: str, managed: Managed | None = None) -> Decision:
    value = copy_json(old)
    path = _replicas_path(request.kind)
    section(value, *path[:-1])[path[-1]] = replicas
    if revision:
        value["metadata"]["resourceVersion"] = revision
    decision = writing.store_update(request, value, old, "", [], managed)
    if isinstance(decision, Write):
        return Write(decision.main, scale_of(decision.result, request.kind), 200, decision.claims, decision.releases)
    return json_answer(scale_of(value, request.kind))


def _finalize(request: Request, old: Json) -> Decision:
    given = objects.decode(request, request.body, [])
    objects.check_place(request, given)
    value = copy_json(old)
    value["spec"] = {"finalizers": items(section(given, "spec"), "finalizers")}
    if "resourceVersion" in given["metadata"]:
        value["metadata"]["resourceVersion"] = given["metadata"]["resourceVersion"]
    return writing.store_update(request, value, old, "", [])


def _bind(request: Request, old: Json) -> Decision:
    """The scheduler's choice: sets spec.nodeName and the PodScheduled condition (BindingREST.assignPod)."""
    kind, name = request.kind, request.target.name
    target = section(request.body, "target")
    node = target.get("name")
    if not isinstance(node, str) or not node:
        errors = FieldErrors()
        errors.required("target.name")
        raise invalid("", "Binding", name, errors.found)
    if old["metadata"].get("deletionTimestamp"):
        raise conflict(kind.group, "pods/binding", name, f"pod {name} is being deleted, cannot be assigned to a host")
    current = section(old, "spec").get("nodeName")
    if current:
        raise conflict(kind.group, "pods/binding", name, f'pod {name} is already assigned to node "{current}"')
    value = copy_json(old)
    value["spec"]["nodeName"] = node
    conditions = [entry for entry in items(value["status"], "conditions") if entry.get("type") != "PodScheduled"]
    moment = rfc3339(request.now)
    conditions.append({"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": moment})
    value["status"]["conditions"] = conditions
    result = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
    if request.dry_run:
        return json_answer(result, 201)
    key = request.key(name)
    return Write(request.event(key, "MODIFIED", value), result, 201)


def _ephemeral_containers(request: Request, old: Json) -> Decision:
    """Debug containers are only ever added (podEphemeralContainersStrategy)."""
    method = request.message.method
    managed: Managed | None = None
    warnings: list[str] = []
    if method == "GET":
        return json_answer(old)
    if method == "PUT":
        given = request.body
    elif method == "PATCH" and applying.is_apply(request):
        config, warnings = applying.configuration(request)
        given, managed = applying.merged(request, config, old)
    elif method == "PATCH":
        body = bodies.read(request.message.body, "application/json")
        given = writing.apply_patch(request, old, body, request.kind.definition)
    else:
        raise method_not_allowed()
    wanted = objects.decode(request, given, warnings)
    objects.check_place(request, wanted)
    value = copy_json(old)
    value["spec"]["ephemeralContainers"] = items(section(wanted, "spec"), "ephemeralContainers")
    if method == "PUT" and "resourceVersion" in wanted["metadata"]:
        value["metadata"]["resourceVersion"] = wanted["metadata"]["resourceVersion"]
    return writing.store_update(request, value, old, "ephemeralcontainers", warnings, managed)
