"""`pods/proxy` and `services/proxy`: which pod's port a request goes to, and what passes on the way."""

from typing import Any

import pytest

from podwire.proto.messages.kubelet import LogRequest, PathRequest
from podwire.services.apiserver.core.authorization import Requester
from podwire.services.apiserver.core.decisions import OpenStream

PODS = "/api/v1/namespaces/default/pods"
SERVICES = "/api/v1/namespaces/default/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
MERGE = "application/merge-patch+json"
READY: list[tuple[str, bool | None]] = [("ready", True), ("failing", False)]


@pytest.fixture
def web(server: Any) -> Any:
    """A service with two ports over a ready pod and one that is not, and an endpoint that is no pod."""
    server.create("/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}})
    for name, _ in READY:
        ports = [{"containerPort": 8080, "name": "web"}, {"containerPort": 9090}]
        spec = {"nodeName": "node-1", "containers": [{"name": "a", "image": "a", "ports": ports}]}
        server.create(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
        status = {"status": {"podIP": "10.244.1.2", "podIPs": [{"ip": "10.244.1.2"}]}}
        assert server.request("PATCH", f"{PODS}/{name}/status", status, content_type=MERGE)[0] == 200
    ports = [{"name": "web", "port": 80, "targetPort": 8080}, {"name": "admin", "port": 81}]
    ports.append({"name": "outside", "port": 82})
    server.create(
        SERVICES, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": ports}}
    )
    endpoints = [
        {
            "addresses": ["10.244.1.2"],
            "conditions": {"ready": ready},
            "targetRef": {"kind": "Pod", "name": name, "namespace": "default"},
        }
        for name, ready in READY
    ]
    body = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4"}
    labels = {"kubernetes.io/service-name": "web"}
    meta = {"name": "web-1", "labels": labels}
    server.create(SLICES, body | {"metadata": meta, "ports": [{"name": "web", "port": 8080}], "endpoints": endpoints})
    outside = {"ports": [{"name": "outside", "port": 82}], "endpoints": [{"addresses": ["192.0.2.1"]}]}
    server.create(SLICES, body | {"metadata": {"name": "web-2", "labels": labels}} | outside)
    return server


REACHED = [
    (f"{PODS}/ready/proxy/", "ready", 8080),
    (f"{PODS}/ready:9090/proxy/a/b", "ready", 9090),
    (f"{PODS}/http:ready:9090/proxy", "ready", 9090),
    (f"{SERVICES}/web:web/proxy/", "ready", 8080),
    (f"{SERVICES}/web:80/proxy/", "ready", 8080),
    (f"{SERVICES}/http:web:80/proxy/x/proxy/y", "ready", 8080),
]


@pytest.mark.parametrize(("path", "pod", "port"), REACHED)
def test_where_a_request_goes(web: Any, path: str, pod: str, port: int) -> None:
    for method in ("GET", "POST", "DELETE"):
        opened = web.decide(method, path, b"not json", accept="text/html", watch="1")
        assert isinstance(opened, OpenStream)
        assert (opened.node, opened.request.pod, opened.request.port) == ("node-1", pod, port)
        assert path.startswith(opened.prefix) and opened.prefix.endswith(f"{path.split('/')[6]}/proxy")


REFUSED = [
    (f"{PODS}/nobody/proxy/", 404, 'pods "nobody" not found'),
    (f"{PODS}/ready:web/proxy/", 400, '"web" is no port number'),
    (f"{PODS}/ftp:ready:1/proxy/", 400, 'invalid pod request "ftp:ready:1"'),
    (f"{PODS}/a:b:c:d/proxy/", 400, "invalid pod request"),
    (f"{SERVICES}/web:83/proxy/", 503, 'no service port 83 found for service "web"'),
    (f"{SERVICES}/web:admin/proxy/", 503, 'no endpoints available for service "web:admin"'),
    (f"{SERVICES}/web/proxy/", 503, 'no endpoints available for service "web"'),
    (f"{SERVICES}/web:82/proxy/", 501, "192.0.2.1, which is no pod"),
    ("/api/v1/nodes/node-9/proxy/healthz", 404, 'nodes "node-9" not found'),
    ("/api/v1/nodes/node-1/proxy/containerLogs/default/nobody/a", 404, 'pods "nobody" not found'),
]


@pytest.mark.parametrize(("path", "code", "says"), REFUSED)
def test_where_it_does_not(web: Any, path: str, code: int, says: str) -> None:
    given, status = web.request("GET", path)
    assert (given, says in status["message"]) == (code, True), status


@pytest.mark.parametrize(
    ("place", "secure"), [("https:ready:8080", True), ("http:ready:8080", False), ("ready", False)]
)
def test_the_scheme_says_whether_tls_is_spoken(web: Any, place: str, secure: bool) -> None:
    opened = web.decide("GET", f"{PODS}/{place}/proxy/", b"")
    assert isinstance(opened, OpenStream) and opened.secure is secure


@pytest.mark.parametrize("place", ["node-1", "node-1:10250", "https:node-1:10250"])
def test_a_node_is_its_kubelet(web: Any, place: str) -> None:
    opened = web.decide("GET", f"/api/v1/nodes/{place}/proxy/runningpods/?a=b", b"")
    assert isinstance(opened, OpenStream) and isinstance(opened.request, PathRequest)
    assert (opened.node, opened.request.method, opened.request.path) == ("node-1", "GET", "/runningpods/?a=b")


def test_a_containers_log_is_read_through_its_node(web: Any) -> None:
    path = "/api/v1/nodes/node-1/proxy/containerLogs/default/ready/a"
    opened = web.decide("GET", path, b"", tailLines="3")
    assert isinstance(opened, OpenStream) and isinstance(opened.request, LogRequest)
    assert (opened.request.pod, opened.request.container, opened.request.tail_lines) == ("ready", "a", 3)


def test_only_who_may(web: Any) -> None:
    code, status = web.request("POST", f"{SERVICES}/web:80/proxy/", who=Requester("mallory"))
    assert code == 403
    assert 'cannot create resource "services/proxy"' in status["message"]
