"""Requests that the API server passes on to pods and Services, as `kubectl get --raw …/proxy/` and test suites do."""

import asyncio
import functools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from https_client import server, session, tls
from live_cluster import Client, LiveCluster, until
from yarl import URL

from podwire.proto.kube import resources

BASE = "/api/v1/namespaces/default"


@pytest.fixture(scope="module")
def echo(cluster: LiveCluster) -> Iterator[LiveCluster]:
    """A pod that answers with what it was asked, behind a Service whose port has a name."""
    container = {"name": "a", "image": "ealen/echo-server", "ports": [{"containerPort": 80}]}
    pod = {"metadata": {"name": "echo", "labels": {"app": "echo"}}, "spec": {"containers": [container]}}
    spec = {"selector": {"app": "echo"}, "ports": [{"name": "http", "port": 8080, "targetPort": 80}]}
    service = {"metadata": {"name": "echo"}, "spec": spec}
    cluster.apply((resources.PODS, pod), (resources.SERVICES, service))
    until(lambda: cluster.serving("echo", 1), 15)
    yield cluster
    cluster.run(lambda client: client.api.delete(resources.SERVICES, "default", "echo"))
    cluster.run(lambda client: client.api.delete(resources.PODS, "default", "echo", {"gracePeriodSeconds": 0}))


def ask(cluster: LiveCluster, method: str, path: str, **more: Any) -> tuple[int, Any]:
    async def work() -> tuple[int, Any]:
        async with (
            session(cluster) as http,
            http.request(method, URL(path, encoded=True), allow_redirects=False, **more) as answer,
        ):
            body = await answer.read()
            return answer.status, json.loads(body) if body[:1] == b"{" else body

    return cluster.run(lambda _: work())


PLACES = ["pods/echo", "pods/echo:80", "services/echo:http", "services/echo:8080", "services/http:echo:8080"]


@pytest.mark.parametrize("place", PLACES)
def test_every_way_to_name_it(echo: LiveCluster, place: str) -> None:
    code, told = ask(echo, "GET", f"{BASE}/{place}/proxy/some/where?a=1&b=%2F", headers={"X-Own": "yes"})
    assert code == 200
    assert told["http"]["originalUrl"] == "/some/where?a=1&b=%2F"
    headers = told["request"]["headers"]
    assert headers["x-own"] == "yes" and headers["x-forwarded-uri"].startswith(f"{BASE}/{place}/proxy/")
    assert "authorization" not in headers


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_methods_and_bodies(echo: LiveCluster, method: str) -> None:
    code, told = ask(echo, method, f"{BASE}/services/echo:http/proxy/in", data="x" * 200_000)
    assert (code, told["http"]["method"], len(told["request"]["body"])) == (200, method, 200_000)


REFUSED = [
    ("pods/nobody", 404, "not found"),
    ("services/echo:nope", 503, "no"),
    ("services/kubernetes:https", 501, "pod"),
    ("pods/echo:81", 503, "error trying to reach service"),
    ("services/https:echo:8080", 503, "http: server gave HTTP response to HTTPS client"),
]


@pytest.mark.parametrize(("place", "code", "text"), REFUSED)
def test_what_cannot_be_reached(echo: LiveCluster, place: str, code: int, text: str) -> None:
    found, told = ask(echo, "GET", f"{BASE}/{place}/proxy/")
    assert (found, text in told["message"]) == (code, True), told


HEAD = r"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n"
SWITCHES = f"(printf '{HEAD}hello'; sleep 2; echo bye) | nc -l -p 90"


@pytest.fixture(scope="module")
def others(cluster: LiveCluster) -> Iterator[LiveCluster]:
    """A pod that serves TLS, and one that switches to a protocol of its own."""
    environment = [{"name": "SERVE_TLS_PORT_443", "value": "by tls"}]
    porter = {"name": "a", "image": "agnhost", "args": ["porter"], "env": environment}
    probe = {"httpGet": {"port": 443, "scheme": "HTTPS"}, "periodSeconds": 1}
    switches = {"name": "a", "image": "busybox", "command": ["sh", "-c", SWITCHES]}
    pods = {"porter": porter | {"readinessProbe": probe}, "switches": switches}
    for name, container in pods.items():
        spec = {"containers": [container], "restartPolicy": "Never"}
        cluster.apply((resources.PODS, {"metadata": {"name": name}, "spec": spec}))

    def unready() -> str:
        found = cluster.pods()
        return ", ".join(name for name in pods if not found[f"default/{name}"].ready)

    until(unready, 15)
    yield cluster
    for name in pods:
        cluster.run(functools.partial(_delete, name))


async def _delete(name: str, client: Client) -> None:
    await client.api.delete(resources.PODS, "default", name, {"gracePeriodSeconds": 0})


def test_a_pod_is_probed_and_asked_over_tls(others: LiveCluster) -> None:
    assert ask(others, "GET", f"{BASE}/pods/https:porter:443/proxy/") == (200, b"by tls")
    code, told = ask(others, "GET", f"{BASE}/pods/http:porter:443/proxy/")
    assert (code, told) == (400, b"Client sent an HTTP request to an HTTPS server.\n")


def test_an_upgraded_connection_passes_both_ways(others: LiveCluster) -> None:
    async def work() -> bytes:
        reader, writer = await asyncio.open_connection(*server(others), ssl=tls(others))
        lines = [f"GET {BASE}/pods/switches:90/proxy/ws HTTP/1.1", "Host: a", "Connection: Upgrade", "Upgrade: echo"]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        told = await reader.readuntil(b"hello")
        writer.write(b"typed by the client\n")
        await writer.drain()
        rest = await reader.readuntil(b"bye\n")
        writer.close()
        return told + rest

    told = others.run(lambda _: work())
    assert told.startswith(b"HTTP/1.1 101 ") and told.endswith(b"\r\n\r\nhellobye\n")

    def missing() -> str:
        log = ask(others, "GET", f"{BASE}/pods/switches/log")[1]
        return "" if b"typed by the client" in log else f"the pod has seen {log!r}"

    until(missing, 10)


def test_a_nodes_kubelet_answers(others: LiveCluster) -> None:
    node = others.run(lambda client: client.api.get(resources.PODS, "default", "porter"))["spec"]["nodeName"]
    base = f"/api/v1/nodes/{node}:10250/proxy"
    assert ask(others, "GET", f"{base}/healthz") == (200, b"ok")
    code, told = ask(others, "GET", f"{base}/runningpods/")
    assert code == 200 and "porter" in [pod["metadata"]["name"] for pod in told["items"]]
    code, text = ask(others, "GET", f"{base}/metrics")
    assert code == 501 and b"/metrics" in text
    assert ask(others, "GET", f"{base}/containerLogs/default/porter/a")[0] == 200
