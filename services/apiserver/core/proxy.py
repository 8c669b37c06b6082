"""`pods/proxy` and `services/proxy`: which pod's port a request goes to.

Source: ResourceLocation of kubernetes `pkg/registry/core/pod/strategy.go` and
`pkg/registry/core/service/storage/storage.go`, apimachinery `util/net/port_split.go`. The way there is the kubelet's
port-forward; endpoints that are no pods are not built. `nodes/proxy` is the kubelet's own server.
"""

from typing import Any, Final, NamedTuple

from podwire.proto.kube.json_objects import items, section
from podwire.proto.kube.network import SERVICE_NAME_LABEL
from podwire.proto.messages.kubelet import LogRequest, PathRequest, PortForwardRequest
from podwire.proto.subjects import ObjectKey
from podwire.services.apiserver.core.decisions import OpenStream
from podwire.services.apiserver.core.errors import ApiError, bad_request, not_found, unavailable
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.request import Request
from podwire.services.apiserver.core.streams import log_options, pod_place
from podwire.services.chassis.chance import choose, hexadecimal

SUBRESOURCE: Final = "proxy"


class Endpoint(NamedTuple):
    """A ready pod behind a service and the port that it serves on."""

    pod: Json
    port: int


def decide(request: Request) -> OpenStream:
    """The stream that the request goes through. Raises ApiError 400, 404, 501 or 503."""
    if request.kind.resource == "nodes":
        return _of_node(request)
    scheme, name, port = _split(request)
    group, resource = request.kind.storage
    found = request.store.get(ObjectKey(group, resource, request.target.namespace, name))
    if found is None:
        raise not_found(request.kind.group, request.kind.resource, name)
    endpoint = _of_pod(found, port) if resource == "pods" else _of_service(request, found, port)
    asked = PortForwardRequest(**pod_place(request, endpoint.pod), port=endpoint.port)
    node, prefix = endpoint.pod["spec"]["nodeName"], _prefix(request.message.path)
    return OpenStream(node, asked, SUBRESOURCE, prefix=prefix, secure=scheme == "https")


def _of_node(request: Request) -> OpenStream:
    """The kubelet's own server, and the logs of its containers."""
    _, name, _ = _split(request)
    if request.store.get(ObjectKey("", "nodes", "", name)) is None:
        raise not_found("", "nodes", name)
    path = request.message.path[len(_prefix(request.message.path)) :] or "/"
    match path.strip("/").split("/"):
        case ["containerLogs", namespace, pod, container]:
            return _container_log(request, name, ObjectKey("", "pods", namespace, pod), container)
    asked = PathRequest(session=hexadecimal(request.random, 24), method=request.message.method, path=path)
    return OpenStream(name, asked, SUBRESOURCE)


def _container_log(request: Request, node: str, key: ObjectKey, container: str) -> OpenStream:
    pod = request.store.get(key)
    if pod is None or section(pod, "spec").get("nodeName") != node:
        raise not_found("", "pods", key.name)
    asked = LogRequest(**pod_place(request, pod), container=container, **log_options(request))
    return OpenStream(node, asked, "log")


def _not_built(what: str) -> ApiError:
    return ApiError(501, "NotImplemented", f"podwire does not build {what}")


def _prefix(path: str) -> str:
    """The path up to and with `proxy`, which a namespaced resource has in its eighth place, as it was sent."""
    parts = path.split("/")
    return "/".join(parts[: parts.index(SUBRESOURCE, 5) + 1])


def _split(request: Request) -> tuple[str, str, str]:
    """`name`, `name:port` or `scheme:name:port`."""
    parts = request.target.name.split(":")
    scheme, name, port = {1: ["", *parts, ""], 2: ["", *parts], 3: parts}.get(len(parts), ["", "", ""])
    if not name or scheme not in ("", "http", "https") or (len(parts) > 1 and not port and not scheme):
        raise bad_request(f'invalid {request.kind.singular} request "{request.target.name}"')
    return scheme, name, port


def _number(text: str) -> int:
    """A port number, 0 for what is none."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else 0
    return number if number < 1 << 16 else 0


def _of_pod(pod: Json, port: str) -> Endpoint:
    declared = [entry for container in items(section(pod, "spec"), "containers") for entry in items(container, "ports")]
    numbers = [int(entry.get("containerPort", 0)) for entry in declared]
    if not section(pod, "status").get("podIP"):
        raise bad_request("address not allowed")
    number = _number(port) if port else next((entry for entry in numbers if entry > 0), 80)
    if not number:
        raise bad_request(f'pod {pod["metadata"]["name"]}: "{port}" is no port number')
    return Endpoint(pod, number)


def _of_service(request: Request, service: Json, port: str) -> Endpoint:
    name = service["metadata"]["name"]
    wanted = _port_name(service, port)
    found = [
        (endpoint, int(entry["port"]))
        for piece in request.store.objects(("discovery.k8s.io", "endpointslices"), request.target.namespace)
        if section(piece, "metadata", "labels").get(SERVICE_NAME_LABEL) == name
        for entry in items(piece, "ports")
        if (entry.get("name") or "") == wanted and isinstance(entry.get("port"), int)
        for endpoint in items(piece, "endpoints")
        if section(endpoint, "conditions").get("ready", True)
    ]
    if not found:
        raise unavailable(f'no endpoints available for service "{request.target.name}"')
    endpoint, number = choose(request.random, found)
    return Endpoint(_pod_behind(request, endpoint), number)


def _port_name(service: Json, port: str) -> str:
    """Ports go by name; a number names the service's port of that number."""
    number = _number(port)
    if not number:
        return port
    for entry in items(section(service, "spec"), "ports"):
        if entry.get("port") == number:
            return str(entry.get("name", ""))
    raise unavailable(f'no service port {number} found for service "{service["metadata"]["name"]}"')


def _pod_behind(request: Request, endpoint: Any) -> Json:
    reference = section(endpoint, "targetRef")
    key = ObjectKey("", "pods", str(reference.get("namespace") or request.target.namespace), str(reference.get("name")))
    pod = request.store.get(key) if reference.get("kind") == "Pod" else None
    if pod is None:
        raise _not_built(f"the way to the endpoint {', '.join(items(endpoint, 'addresses'))}, which is no pod")
    return pod
