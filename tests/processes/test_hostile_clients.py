"""What clients do wrong or on purpose: the API server refuses it by name, and goes on for everybody else."""

import asyncio
import contextlib
import io
import json
import os
import random
import stat
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import aiohttp
import pytest
from https_client import server, session, tls
from live_cluster import LiveCluster, podwire, until

pytestmark = pytest.mark.timeout(180)

CONFIG_MAPS: Final = "/api/v1/namespaces/default/configmaps"
WATCHES: Final = 1000
FUZZED_SECONDS: Final = 20.0
JSON: Final = {"Content-Type": "application/json"}


async def still_serves(http: Any) -> None:
    async with http.get("/readyz") as answer:
        assert (answer.status, await answer.text()) == (200, "ok")


@pytest.mark.slow
def test_a_thousand_idle_watches(cluster: LiveCluster) -> None:
    """They cost nobody an answer, and all hear the next change."""

    async def work() -> None:
        async with session(cluster) as http:
            url, patience = f"{CONFIG_MAPS}?watch=1&resourceVersion=0", aiohttp.ClientTimeout(total=None)
            watches = [await http.get(url, timeout=patience) for _ in range(WATCHES)]
            assert {watch.status for watch in watches} == {200}
            began = time.monotonic()
            for _ in range(50):
                await still_serves(http)
            assert time.monotonic() - began < 10, "answers became slow"
            async with http.post(CONFIG_MAPS, json={"metadata": {"name": "heard"}}) as made:
                assert made.status == 201
            async with asyncio.timeout(30):
                await asyncio.gather(*(hears(watch, b'"name":"heard"') for watch in watches))
            for watch in watches:
                watch.close()

    cluster.run(lambda _: work())


async def hears(watch: Any, text: bytes) -> None:
    async for line in watch.content:
        if text in line:
            return
    raise AssertionError("the watch ended")


BODIES = {
    "3 MiB and a byte": (b" " * (3 * 1024 * 1024 + 1), JSON, 413),
    "deep JSON": (b'{"a":' * 100_000, JSON, 400),
    "deep YAML": (b"- " * 50_000, {"Content-Type": "application/yaml"}, 400),
    "a YAML bomb": (b"a: &a [x]\nb: [*a,*a]\n", {"Content-Type": "application/yaml"}, 400),
    "invalid UTF-8": (b'{"a":"\xff\xfe"}', JSON, 400),
    "another content type": (b"<a/>", {"Content-Type": "text/xml"}, 415),
    "protobuf that is none": (b"k8s\0" + b"\xff" * 100, {"Content-Type": "application/vnd.kubernetes.protobuf"}, 400),
    "a lying length": (b"k8s\0\x0a\xff\xff\xff\x7f", {"Content-Type": "application/vnd.kubernetes.protobuf"}, 400),
}


@pytest.mark.parametrize("name", BODIES)
def test_bodies(cluster: LiveCluster, name: str) -> None:
    body, headers, code = BODIES[name]

    async def work() -> None:
        async with session(cluster) as http:
            async with http.post(CONFIG_MAPS, data=io.BytesIO(body), headers=headers) as answer:
                told = await answer.json()
                assert (answer.status, told["kind"]) == (code, "Status"), told
            await still_serves(http)

    cluster.run(lambda _: work())


def test_a_patch_of_an_unknown_type(cluster: LiveCluster) -> None:
    async def work() -> None:
        async with session(cluster) as http, http.patch(f"{CONFIG_MAPS}/any", data=b"{}", headers=JSON) as answer:
            assert answer.status in (404, 415)

    cluster.run(lambda _: work())


@pytest.mark.parametrize("path", [CONFIG_MAPS, "/apis", "/api/v1/namespaces/default/pods/x/exec?command=sh&stdout=1"])
def test_nobody_gets_in_without_credentials(cluster: LiveCluster, path: str) -> None:
    async def work() -> None:
        async with session(cluster, identified=False) as http:
            for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic YTpi"}):
                async with http.get(path, headers=headers) as answer:
                    assert (answer.status, (await answer.json())["reason"]) == (401, "Unauthorized")
            await still_serves(http)

    cluster.run(lambda _: work())


def test_files_that_hold_keys_are_their_owners(cluster: LiveCluster) -> None:
    private = [path for path in cluster.folder.path.rglob("*") if path.is_file() and holds_a_key(path.read_bytes())]
    assert len(private) >= 3
    for path in private:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600, path


def holds_a_key(data: bytes) -> bool:
    return b"PRIVATE KEY" in data or b"client-key-data" in data or b'"password"' in data


@contextlib.asynccontextmanager
async def connection(cluster: LiveCluster) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    host, port = server(cluster)
    reader, writer = await asyncio.open_connection(host, port, ssl=tls(cluster))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def test_clients_that_stop_in_the_middle(cluster: LiveCluster) -> None:
    """Half a request, half a body, a watch that is never read: nobody else notices."""

    async def work() -> None:
        async with contextlib.AsyncExitStack() as open_connections:
            for text in (
                b"GET /api/v1/pods HTTP/1.1\r\nHost: a\r\n",
                b"POST " + CONFIG_MAPS.encode() + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{",
                b"GET /api/v1/events?watch=1 HTTP/1.1\r\nHost: a\r\n\r\n",
                b"\x16\x03\x01" + bytes(100),
            ):
                _, writer = await open_connections.enter_async_context(connection(cluster))
                writer.write(text)
                await writer.drain()
            async with session(cluster) as http:
                await still_serves(http)

    cluster.run(lambda _: work())


UPGRADE = (
    b"POST /api/v1/namespaces/default/pods/{pod}/exec?command=cat&stdin=1&stdout=1 HTTP/1.1\r\nHost: a\r\n"
    b"Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n"
)
SPDY = {
    "nonsense": bytes(range(256)) * 4,
    "a frame of 16 MiB": b"\x80\x03\x00\x01\x00\xff\xff\xff" + bytes(1000),
    "a header block that is none": b"\x80\x03\x00\x01\x00\x00\x00\x14" + b"\0\0\0\1\0\0\0\0\0\0" + b"\xff" * 10,
    "data of no stream": b"\0\0\0\x63\0\0\0\4abcd",
    "a flood of pings": b"\x80\x03\x00\x06\x00\x00\x00\x04\x00\x00\x00\x01" * 10_000,
}


@pytest.mark.parametrize("name", SPDY)
def test_spdy_that_lies_or_floods(cluster: LiveCluster, name: str) -> None:
    pod = next(key for key in cluster.pods() if key.startswith("default/my-api-")).removeprefix("default/")

    async def work() -> None:
        async with connection(cluster) as (reader, writer):
            writer.write(UPGRADE.replace(b"{pod}", pod.encode()))
            assert b" 101 " in await reader.readline()
            writer.write(SPDY[name])
            with contextlib.suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(2):
                    while await reader.read(65536):
                        pass
        async with session(cluster) as http:
            await still_serves(http)

    cluster.run(lambda _: work())


@pytest.mark.slow
def test_a_fuzzed_api_answers_everything_and_its_log_has_no_traceback(
    new_cluster: Callable[[], LiveCluster],
) -> None:
    """Requests that were good once, bent in every part, by one who may do everything, to a cluster of their own; says
    how many were tried."""
    cluster = new_cluster()
    cluster.up()
    chance = random.Random(20261125)
    tried: dict[int, int] = {}

    async def work() -> None:
        until_moment = time.monotonic() + FUZZED_SECONDS
        async with session(cluster) as http:
            while time.monotonic() < until_moment:
                method, path, headers, body = bent(chance)
                async with http.request(method, path, headers=headers, data=body) as answer:
                    if "watch" not in path:
                        await answer.read()
                    tried[answer.status] = tried.get(answer.status, 0) + 1
                    answer.close()
            await still_serves(http)

    cluster.run(lambda _: work())
    print(f"{sum(tried.values()):,} requests were tried: {dict(sorted(tried.items()))}")  # noqa: T201 - the figure asked for
    assert sum(tried.values()) > 1000
    assert not {code for code in tried if code >= 500} - {504}, tried
    assert "Traceback" not in cluster.log("apiserver")
    until(cluster.missing, 10)
    assert podwire("status", "--data-dir", cluster.data_dir).returncode == 0


METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
PATHS = [
    CONFIG_MAPS,
    "/api/v1/namespaces/default/pods",
    "/api/v1/namespaces/fuzz/pods/a/log",
    "/apis/apps/v1/namespaces/default/deployments/a/scale",
    "/apis/batch/v1/namespaces/default/cronjobs",
    "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
    "/openapi/v2",
    "/apis",
    "/api/v1/nodes/node-1/status",
]
QUERIES = ["", "?watch=1&timeoutSeconds=1", "?limit=3", "?continue=e30=", "?labelSelector=a%3Db", "?dryRun=All"]
TYPES = [
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "application/merge-patch+json",
    "application/json-patch+json",
    "application/strategic-merge-patch+json",
    "",
]
BODY = json.dumps(
    {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "fuzz", "labels": {"a": "b"}},
        "spec": {"containers": [{"name": "a"}]},
    }
).encode()


def bent(chance: random.Random) -> tuple[str, str, dict[str, str], bytes]:
    """One request: each part is good or damaged."""
    path = chance.choice(PATHS) + chance.choice(QUERIES)
    if chance.random() < 0.3:
        at = chance.randrange(1, len(path))
        path = path[:at] + chance.choice(["%00", "%ff", "//", "..", "é", "?", "&a=%zz", "x" * 300]) + path[at:]
    body = bytearray(chance.choice([BODY, b"", b"[]", b"k8s\0" + BODY]))
    for _ in range(chance.randrange(4)):
        if body:
            body[chance.randrange(len(body))] = chance.randrange(256)
    headers = {"Content-Type": chance.choice(TYPES), "Accept": chance.choice([*TYPES[:3], "*/*", "text/html"])}
    return chance.choice(METHODS), path, headers, bytes(body)
