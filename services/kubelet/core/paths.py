"""The kubelet's own HTTP server, as far as it is built (kubernetes `pkg/kubelet/server/server.go`). Pure."""

import json
from typing import Final

from podwire.proto.messages.kubelet import PathAnswer
from podwire.services.kubelet.core.held import RuntimePod

_BUILT: Final = "/healthz, /healthz/ping and /runningpods/; /containerLogs/… is read from the container's log"
_TEXT: Final = "text/plain; charset=utf-8"


def answer(method: str, path: str, pods: dict[str, RuntimePod]) -> PathAnswer:
    """What a path says; 501 names those that say something."""
    place = path.partition("?")[0].rstrip("/")
    if method not in ("GET", "HEAD"):
        return PathAnswer(code=405, content_type=_TEXT, body=b"405: Method Not Allowed")
    if place in ("/healthz", "/healthz/ping"):
        return PathAnswer(code=200, content_type=_TEXT, body=b"ok")
    if place == "/runningpods":
        return PathAnswer(code=200, content_type="application/json", body=_running(pods))
    text = f"podwire's kubelet does not build {place or '/'}: built are {_BUILT}"
    return PathAnswer(code=501, content_type=_TEXT, body=text.encode())


def _running(pods: dict[str, RuntimePod]) -> bytes:
    """What the runtime runs, of each pod only what the runtime knows (pkg/kubelet/container, Pod.ToAPIPod)."""
    found = []
    for uid, held in pods.items():
        sandbox = held.sandbox
        if sandbox is None:
            continue
        containers = [
            {"name": entry.config.name, "image": entry.config.image, "resources": {}} for entry in held.running
        ]
        metadata = {"name": sandbox.config.name, "namespace": sandbox.config.namespace, "uid": uid}
        found.append({"metadata": metadata | {"creationTimestamp": None}, "spec": {"containers": containers}})
    document = {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": found}
    return json.dumps(document, separators=(",", ":")).encode()
