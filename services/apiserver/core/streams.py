"""log, exec, attach and port-forward: what a request on a pod's streams leads to.

Source: kubernetes `pkg/registry/core/pod/rest`, `pkg/registry/core/pod/strategy.go` (LogLocation, streamLocation),
kubelet `pkg/cri/streaming/portforward/websocket.go` (the query's ports).
"""

from typing import Any, Final

from podwire.proto.kube.json_objects import items, section
from podwire.proto.kube.times import SECOND
from podwire.proto.messages.kubelet import AttachRequest, ExecRequest, LogRequest, PortForwardRequest
from podwire.services.apiserver.core.decisions import Decision, OpenStream
from podwire.services.apiserver.core.errors import bad_request, method_not_allowed
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.request import Request
from podwire.services.apiserver.core.times import parse_time
from podwire.services.chassis.chance import hexadecimal

SUBRESOURCES: Final = ("log", "exec", "attach", "portforward")
_MOST_PORTS: Final = 64


def decide(request: Request, pod: Json) -> Decision:
    """A request on one of SUBRESOURCES of a pod."""
    name, method = request.target.subresource, request.message.method
    if name == "log" and method == "GET":
        return _log(request, pod)
    if name == "portforward" and method in ("GET", "POST"):
        return _forward(request, pod)
    if name in ("exec", "attach") and method in ("GET", "POST"):
        return _program(request, pod)
    raise method_not_allowed()


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


def pod_place(request: Request, pod: Json) -> dict[str, Any]:
    """The fields that name a new session with a pod. Raises ApiError 400 for a pod without a node."""
    node = section(pod, "spec").get("nodeName")
    if not node:
        raise bad_request(f"pod {pod['metadata']['name']} does not have a host assigned")
    return {
        "session": hexadecimal(request.random, 24),
        "namespace": pod["metadata"]["namespace"],
        "pod": pod["metadata"]["name"],
        "uid": pod["metadata"]["uid"],
    }


def _place(request: Request, pod: Json) -> dict[str, Any]:
    return pod_place(request, pod) | {"container": _container(pod, request.query.get("container", ""))}


def _forward(request: Request, pod: Json) -> Decision:
    asked = PortForwardRequest(**pod_place(request, pod))
    ports = [part for name, value in request.message.query if name == "ports" for part in value.split(",")]
    if len(ports) > _MOST_PORTS:
        raise bad_request(f'query parameter "ports" names {len(ports)} ports, at most {_MOST_PORTS} are taken')
    return OpenStream(pod["spec"]["nodeName"], asked, "portforward", tuple(_port(text) for text in ports))


def _port(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else -1
    if not 0 <= number <= 65535:
        raise bad_request(f'unable to parse "{text}" as a port')
    if number < 1:
        raise bad_request(f'port "{text}" must be > 0')
    return number


def _log(request: Request, pod: Json) -> Decision:
    container_problems = [name for name in ("tailLines", "limitBytes") if (request.number(name) or 0) < 0]
    if container_problems:
        raise bad_request(f"{container_problems[0]}: Invalid value: must be greater than or equal to 0")
    place = _place(request, pod)
    _check_started(pod, place["container"], request.flag("previous"))
    return OpenStream(pod["spec"]["nodeName"], LogRequest(**place, **log_options(request)), "log")


def log_options(request: Request) -> dict[str, Any]:
    """The fields of a LogRequest that the query sets."""
    return {
        "follow": request.flag("follow"),
        "previous": request.flag("previous"),
        "timestamps": request.flag("timestamps"),
        "tail_lines": request.number("tailLines"),
        "limit_bytes": request.number("limitBytes"),
        "since_time": _since(request),
    }


def _since(request: Request) -> int | None:
    seconds = request.number("sinceSeconds")
    if seconds is not None:
        return request.now - seconds * SECOND
    return parse_time(request.query.get("sinceTime"))


def _check_started(pod: Json, container: str, previous: bool) -> None:
    """Why a container has no log yet, in the kubelet's words."""
    status = section(pod, "status")
    kinds = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
    for entry in [entry for kind in kinds for entry in items(status, kind)]:
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
        what = "attach" if request.target.subresource == "attach" else "exec into"
        raise bad_request(f"cannot {what} a container in a completed pod; current phase is {phase}")
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
