"""The API server against what it is made of: a bare aiohttp server of the same answers, raw JetStream publishes.

All in one run and from the same client: GET, LIST of a thousand pods and create as ratios, one change told to a hundred
watchers, and what ten thousand pods and five thousand Services take in memory.
"""

import asyncio
import json
import multiprocessing
import ssl
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Final

import aiohttp
import nats
import uvloop
from aiohttp import web
from tests.bench.cluster import CONCURRENT, config_map, credentials, proportional_set_size, rate
from tests.bench.live import podwire
from tests.bench.table import Row
from tests.bench.wire import SETTLED, free_port

from podwire.proto.kube import resources
from podwire.proto.kube.resources import Resource
from podwire.scripts.cluster import credentials as certificates
from podwire.scripts.cluster.client import Client, connect
from podwire.scripts.cluster.folder import ClusterFolder
from podwire.services.chassis.bus.nats import wait_until_listening
from podwire.services.chassis.live.nats_server import Account, NatsServer, User

LISTED: Final = 1000
WATCHERS: Final = 100
CHANGES: Final = 100
PODS: Final = 10_000
SERVICES: Final = 5_000
CONFIG_MAPS: Final = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS: Final = "/apis/apps/v1/namespaces/default/deployments"
APPLIED: Final = 300
LIST: Final = "/api/v1/namespaces/bench/pods"
type Json = dict[str, Any]


def pod(number: int) -> Json:
    """A pod that no scheduler takes."""
    container = {"name": "main", "image": "nginx:1.27", "ports": [{"containerPort": 80}]}
    spec = {"schedulerName": "nobody", "containers": [container]}
    return {"metadata": {"name": f"pod-{number:05}", "labels": {"app": f"app-{number % 50}"}}, "spec": spec}


def service(number: int) -> Json:
    spec = {"selector": {"app": f"none-{number}"}, "ports": [{"port": 80, "targetPort": 8080}]}
    return {"metadata": {"name": f"service-{number:05}"}, "spec": spec}


# -- a bare aiohttp server


async def bare_server(port: int, folder: Path, hello: bytes, listed: bytes, line: bytes) -> None:
    """Answers what the API server answers, out of memory; /watch streams one line a change to everybody."""
    waiting: list[asyncio.Queue[bytes]] = []

    async def get(request: web.Request) -> web.Response:
        return web.Response(body=listed if request.path == LIST else hello, content_type="application/json")

    async def change(request: web.Request) -> web.Response:
        await request.read()
        for queue in waiting:
            queue.put_nowait(line)
        return web.Response(body=hello, content_type="application/json")

    async def watch(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        waiting.append(queue)
        while True:
            await response.write(await queue.get())

    application = web.Application()
    application.router.add_get("/watch", watch)
    application.router.add_get("/{path:.*}", get)
    application.router.add_patch("/{path:.*}", change)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
    await asyncio.sleep(3600)


def start_bare(folder: Path, bodies: tuple[bytes, bytes, bytes]) -> tuple[multiprocessing.Process, str, ssl.SSLContext]:
    """The bare server in a process of its own; its URL and a client's context."""
    authority = certificates.authority()
    pair = certificates.server(authority)
    (folder / "server.crt").write_bytes(pair.certificate_pem())
    (folder / "server.key").write_bytes(pair.key_pem())
    port = free_port()
    context = multiprocessing.get_context("fork")
    process = context.Process(target=lambda: uvloop.run(bare_server(port, folder, *bodies)), daemon=True)
    process.start()
    trusted = ssl.create_default_context(cadata=authority.certificate_pem().decode())
    asyncio.run(wait_until_listening("127.0.0.1", port))
    return process, f"https://127.0.0.1:{port}", trusted  # type: ignore[return-value]  # a forked process is one


# -- the client


async def with_session[T](
    url: str,
    context: ssl.SSLContext,
    work: Callable[[aiohttp.ClientSession], Awaitable[T]],
    connections: int = CONCURRENT,
) -> T:
    connector = aiohttp.TCPConnector(ssl=context, limit=connections)
    timeout = aiohttp.ClientTimeout(total=None, sock_read=60)
    async with aiohttp.ClientSession(url, connector=connector, timeout=timeout, raise_for_status=True) as session:
        return await work(session)


async def fetch(session: aiohttp.ClientSession, path: str) -> bytes:
    async with session.get(path) as response:
        return await response.read()


async def reads(session: aiohttp.ClientSession) -> tuple[float, float]:
    """GETs and lists a second."""
    await fetch(session, LIST)
    got = await rate(lambda _: fetch(session, f"{CONFIG_MAPS}/one"))
    listed = await rate(lambda _: fetch(session, LIST), 60)
    return got, listed


async def fan_out(session: aiohttp.ClientSession, watch: str) -> float:
    """Events a second that reach all watchers, while one object changes again and again."""
    opened: asyncio.Queue[None] = asyncio.Queue()

    async def follow() -> None:
        async with session.get(watch) as response:
            opened.put_nowait(None)
            seen = 0
            async for line in response.content:
                seen += b'"seen"' in line
                if seen == CHANGES:
                    return

    following = [asyncio.create_task(follow()) for _ in range(WATCHERS)]
    for _ in following:
        await opened.get()
    await asyncio.sleep(SETTLED)
    began = time.perf_counter()
    for number in range(CHANGES):
        await change(session, number)
    await asyncio.gather(*following)
    return WATCHERS * CHANGES / (time.perf_counter() - began)


async def change(session: aiohttp.ClientSession, number: int) -> None:
    """Another value for the one object."""
    headers = {"Content-Type": "application/merge-patch+json"}
    body = json.dumps({"data": {"seen": str(number)}})
    async with session.patch(f"{CONFIG_MAPS}/one", data=body, headers=headers) as response:
        await response.read()


# -- raw JetStream


async def published(folder: Path, size: int) -> float:
    """Acknowledged publishes a second of messages of an event's size, as many at once as creates are."""
    account = Account({"bench": User("bench", (">",), (">",))}, "system")
    server = NatsServer(folder, free_port(), account)
    server.start()
    try:
        await wait_until_listening("127.0.0.1", server.port)
        client = await nats.connect(server.url, user="bench", password="bench")
        stream = client.jetstream()
        await stream.add_stream(name="bench", subjects=["bench.>"])
        payload = bytes(size)
        found = await rate(lambda number: stream.publish(f"bench.{number}", payload))
        await client.close()
        return found
    finally:
        server.kill()


# -- memory


async def fill(client: Client, resource: Resource, namespace: str, count: int, make: Callable[[int], Json]) -> float:
    """Creates objects; how many a second."""
    return await rate(lambda number: client.api.create(resource, namespace, make(number)), count)


def memory(folder: ClusterFolder) -> tuple[float, float]:
    """PSS in MiB of the API server and of everything."""
    processes = folder.read_processes()
    own = [entry.pid for entry in processes if entry.component == "apiserver"]
    everything = [entry.pid for entry in processes] + [folder.read_cluster().supervisor]
    return proportional_set_size(own), proportional_set_size(everything)


def measure() -> Iterator[Row]:
    """All rows, on one cluster."""
    with tempfile.TemporaryDirectory() as scratch:
        data_dir = str(Path(scratch) / ".podwire")
        podwire("up", "--nodes", "1", "--api-port", "0", "-d", "--data-dir", data_dir)
        try:
            folder = ClusterFolder(Path(data_dir))
            yield from speeds(folder, Path(scratch))
            yield from sizes(folder)
        finally:
            podwire("down", "--purge", "--data-dir", data_dir)


async def prepare(folder: ClusterFolder) -> None:
    client = await connect(folder.read_cluster(), folder)
    try:
        await client.api.create(resources.NAMESPACES, "", {"metadata": {"name": "bench"}})
        await client.api.create(resources.CONFIG_MAPS, "default", config_map("one"))
        await fill(client, resources.PODS, "bench", LISTED, pod)
    finally:
        await client.bus.close()


def speeds(folder: ClusterFolder, scratch: Path) -> Iterator[Row]:
    """The API server's rates beside those of its parts."""
    asyncio.run(prepare(folder))
    url, context = credentials(folder)

    async def read_both(session: aiohttp.ClientSession) -> tuple[bytes, bytes]:
        return await fetch(session, f"{CONFIG_MAPS}/one"), await fetch(session, LIST)

    hello, listed = asyncio.run(with_session(url, context, read_both))
    line = json.dumps({"type": "MODIFIED", "object": json.loads(hello) | {"data": {"seen": "1"}}}).encode() + b"\n"
    process, bare_url, bare_context = start_bare(scratch, (hello, listed, line))
    try:
        bare = asyncio.run(with_session(bare_url, bare_context, reads))
        ours = asyncio.run(with_session(url, context, reads))
        watching = f"{CONFIG_MAPS}?watch=1&fieldSelector=metadata.name%3Done"
        many = WATCHERS + 1
        bare_told = asyncio.run(with_session(bare_url, bare_context, lambda s: fan_out(s, "/watch"), many))
        told = asyncio.run(with_session(url, context, lambda s: fan_out(s, watching), many))
    finally:
        process.kill()
        process.join()
    raw = asyncio.run(published(scratch / "nats", 1000))
    made = asyncio.run(with_session(url, context, creates))
    applied = asyncio.run(with_session(url, context, applies))
    yield from compared("GET/s over HTTPS", ours[0], bare[0], "aiohttp of the same bytes")
    yield from compared(f"LIST of {LISTED:,} pods/s ({len(listed) // 1024:,} KiB)", ours[1], bare[1], "aiohttp")
    yield from compared("create/s over HTTPS", made, raw, "raw JetStream publishes of 1,000 bytes")
    yield from applied
    yield from compared(f"watch events/s to {WATCHERS} watchers", told, bare_told, "aiohttp streams")


async def creates(session: aiohttp.ClientSession) -> float:
    async def create(number: int) -> None:
        async with session.post(CONFIG_MAPS, json=config_map(f"made-{number}")) as response:
            await response.read()

    return await rate(create, 1000)


def deployment(number: int, replicas: int) -> Json:
    """A Deployment that makes nothing."""
    labels = {"app": f"applied-{number}"}
    container = {"name": "main", "image": "nginx:1.27", "ports": [{"containerPort": 80}]}
    template = {"metadata": {"labels": labels}, "spec": {"schedulerName": "nobody", "containers": [container]}}
    spec = {"replicas": 0, "revisionHistoryLimit": replicas, "selector": {"matchLabels": labels}, "template": template}
    meta = {"name": f"applied-{number}", "namespace": "default"}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}


async def applies(session: aiohttp.ClientSession) -> Iterator[Row]:
    """Server-side apply of Deployments that are new, changed, and as they were; a merge patch beside them."""

    async def patch(number: int, body: Json, kind: str) -> None:
        path = f"{DEPLOYMENTS}/applied-{number}?fieldManager=bench"
        headers = {"Content-Type": f"application/{kind}"}
        async with session.patch(path, data=json.dumps(body), headers=headers) as response:
            assert response.status in (200, 201), await response.text()

    async def apply(number: int, limit: int) -> None:
        await patch(number, deployment(number, limit), "apply-patch+yaml")

    async def merge(number: int) -> None:
        await patch(number, {"spec": {"revisionHistoryLimit": 3}}, "merge-patch+json")

    new = await rate(lambda number: apply(number, 1), APPLIED)
    changed = await rate(lambda number: apply(number, 2), APPLIED)
    same = await rate(lambda number: apply(number, 2), APPLIED)
    merged = await rate(merge, APPLIED)
    rows = [Row("server-side apply/s of new Deployments", f"{new:,.0f}")]
    rows += [Row("  changed ones", f"{changed:,.0f}"), Row("  as they were", f"{same:,.0f}")]
    return iter([*rows, Row("  merge patches/s of the same", f"{merged:,.0f}")])


def compared(what: str, ours: float, base: float, title: str) -> Iterator[Row]:
    """A rate, and its ratio of a base measured in the same run."""
    yield Row(what, f"{ours:,.0f}")
    yield Row(f"  as a ratio of {title} ({base:,.0f}/s)", f"{ours / base:.2f}")


def sizes(folder: ClusterFolder) -> Iterator[Row]:
    """What many objects take."""
    before = memory(folder)

    async def grow() -> None:
        client = await connect(folder.read_cluster(), folder)
        try:
            await client.api.create(resources.NAMESPACES, "", {"metadata": {"name": "many"}})
            await fill(client, resources.PODS, "many", PODS, pod)
            await fill(client, resources.SERVICES, "many", SERVICES, service)
        finally:
            await client.bus.close()

    asyncio.run(grow())
    after = memory(folder)
    title = f"{PODS:,} pods and {SERVICES:,} Services"
    yield Row(f"PSS of the API server with {title}, MiB", f"{after[0]:,.0f} (was {before[0]:,.0f})")
    yield Row("  of all processes of one worker's cluster, MiB", f"{after[1]:,.0f} (was {before[1]:,.0f})")
