"""Requests that the API server passes on to pods and Services, as `kubectl get --raw …/proxy/` and test suites do."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from https_client import session
from live_cluster import LiveCluster, until
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
    ("services/https:echo:8080", 501, "TLS"),
]


@pytest.mark.parametrize(("place", "code", "text"), REFUSED)
def test_what_cannot_be_reached(echo: LiveCluster, place: str, code: int, text: str) -> None:
    found, told = ask(echo, "GET", f"{BASE}/{place}/proxy/")
    assert (found, text in told["message"]) == (code, True), told
