"""Scale, binding, eviction, namespace finalization, and the streams of a Pod's containers.

Source: kubernetes `pkg/registry/core/pod/rest`, `pkg/registry/core/pod/strategy.go` (LogLocation, streamLocation),
`pkg/registry/apps/deployment/storage`, `pkg/registry/core/namespace/storage`.
"""

from typing import Any, Final

from podwire.proto.messages.kubelet import AttachRequest, ExecRequest, LogRequest
from podwire.services.apiserver.core import bodies, eviction, objects, writing
from podwire.services.apiserver.core.decisions import Decision, OpenStream, Write, json_answer
from podwire.services.apiserver.core.errors import (
    FieldErrors,
    bad_request,
    conflict,
    invalid,
    method_not_allowed,
    not_found,
)
from podwire.services.apiserver.core.json_types import Json, copy_json, items, section
from podwire.services.apiserver.core.request import Request
from podwire.services.apiserver.core.selectors import format_selector
from podwire.services.apiserver.core.times import SECOND, parse_time, rfc3339
from podwire.services.chassis.chance import hexadecimal

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
    if name == "log" and method == "GET":
        return _log(request, old)
    if name in ("exec", "attach") and method in ("GET", "POST"):
        return _program(request, old)
    raise method_not_allowed()


def scale_of(value: Json) -> Json:
    """The Scale of a workload."""
    selector = format_selector(section(value, "spec").get("selector"))
    status: Json = {"replicas": section(value, "status").get("replicas", 0)}
    if selector != "<none>":
        status["selector"] = selector
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: value["metadata"][key] for key in _COPIED if key in value["metadata"]},
        "spec": {"replicas": section(value, "spec").get("replicas", 0)},
        "status": status,
    }


def _scale(request: Request, old: Json) -> Decision:
    method, current = request.message.method, scale_of(old)
    if method == "GET":
        return json_answer(current)
    if method == "PUT":
        given = request.body
    elif method == "PATCH":
        body = bodies.read(request.message.body, "application/json")
        given = writing.apply_patch(request, current, body, _SCALE)
    else:
        raise method_not_allowed()
    wanted = objects.decode(request, given, [], _SCALE)
    replicas = section(wanted, "spec").get("replicas", 0)
    if replicas < 0:
        errors = FieldErrors()
        errors.invalid("spec.replicas", replicas, "must be greater than or equal to 0")
        raise invalid("autoscaling", "Scale", request.target.name, errors.found)
    revision = section(wanted, "metadata").get("resourceVersion", "") if method == "PUT" else ""
    return _scaled(request, old, replicas, revision)


def _scaled(request: Request, old: Json, replicas: int, revision: str) -> Decision:
    value = copy_json(old)
    value["spec"]["replicas"] = replicas
    if revision:
        value["metadata"]["resourceVersion"] = revision
    decision = writing.store_update(request, value, old, "", [])
    if isinstance(decision, Write):
        return Write(decision.main, scale_of(decision.result), 200, decision.claims, decision.releases)
    return json_answer(scale_of(value))


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


def _container(pod: Json, wanted: str) -> str:
    spec, name = section(pod, "spec"), pod["metadata"]["name"]
    containers = [entry["name"] for entry in items(spec, "containers")]
    others = [entry["name"] for key in ("initContainers", "ephemeralContainers") for entry in items(spec, key)]
    if wanted:
        if wanted not in containers + others:
            raise bad_request(f"container {wanted} is not valid for pod {name}")
        return wanted
    if len(containers) == 1 and not others:
        return str(containers[0])
    text = f"a container name must be specified for pod {name}, choose one of: [{' '.join(containers)}]"
    if others:
        text += f" or one of the init containers: [{' '.join(others)}]"
    raise bad_request(text)


def _place(request: Request, pod: Json) -> dict[str, Any]:
    node = section(pod, "spec").get("nodeName")
    if not node:
        raise bad_request(f"pod {pod['metadata']['name']} does not have a host assigned")
    return {
        "session": hexadecimal(request.random, 24),
        "namespace": pod["metadata"]["namespace"],
        "pod": pod["metadata"]["name"],
        "uid": pod["metadata"]["uid"],
        "container": _container(pod, request.query.get("container", "")),
    }


def _log(request: Request, pod: Json) -> Decision:
    container_problems = [name for name in ("tailLines", "limitBytes") if (request.number(name) or 0) < 0]
    if container_problems:
        raise bad_request(f"{container_problems[0]}: Invalid value: must be greater than or equal to 0")
    place = _place(request, pod)
    _check_started(pod, place["container"], request.flag("previous"))
    asked = LogRequest(
        **place,
        follow=request.flag("follow"),
        previous=request.flag("previous"),
        timestamps=request.flag("timestamps"),
        tail_lines=request.number("tailLines"),
        limit_bytes=request.number("limitBytes"),
        since_time=_since(request),
    )
    return OpenStream(pod["spec"]["nodeName"], asked, "log")


def _since(request: Request) -> int | None:
    seconds = request.number("sinceSeconds")
    if seconds is not None:
        return request.now - seconds * SECOND
    return parse_time(request.query.get("sinceTime"))


def _check_started(pod: Json, container: str, previous: bool) -> None:
    """Why a container has no log yet, in the kubelet's words."""
    status = section(pod, "status")
    for entry in [*items(status, "initContainerStatuses"), *items(status, "containerStatuses")]:
        waiting = section(entry, "state", "waiting")
        name = pod["metadata"]["name"]
        if entry.get("name") != container:
            continue
        terminated = section(entry, "lastState", "terminated")
        if previous and not terminated:
            raise bad_request(f'previous terminated container "{container}" in pod "{name}" not found')
        if waiting and not terminated:
            reason = waiting.get("reason", "")
            why = f" to start: {reason}" if reason else ""
            raise bad_request(f'container "{container}" in pod "{name}" is waiting{why}')


def _program(request: Request, pod: Json) -> Decision:
    phase = section(pod, "status").get("phase")
    if phase in ("Succeeded", "Failed"):
        raise bad_request(f"cannot exec into a container in a completed pod; current phase is {phase}")
    streams: dict[str, Any] = {name: request.flag(name) for name in ("stdin", "stdout", "stderr", "tty")}
    place = _place(request, pod)
    if not any(streams[name] for name in ("stdin", "stdout", "stderr")):
        raise bad_request("you must specify at least 1 of stdin, stdout, stderr")
    if request.target.subresource == "attach":
        return OpenStream(pod["spec"]["nodeName"], AttachRequest(**place, **streams), "attach")
    command = [value for name, value in request.message.query if name == "command"]
    if not command:
        raise bad_request("you must specify at least one command for the container")
    return OpenStream(pod["spec"]["nodeName"], ExecRequest(**place, command=command, **streams), "exec")
