"""A live cluster: how long `podwire up` takes, what memory it uses, how fast its API answers."""

import asyncio
import re
import ssl
import tempfile
import time
from base64 import b64decode
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Final

import aiohttp
import yaml
from tests.bench.live import podwire
from tests.bench.table import Row

from podwire.proto.kube import resources
from podwire.scripts.cluster.client import Client, connect
from podwire.scripts.cluster.folder import ClusterFolder

REQUESTS: Final = 2000
CONCURRENT: Final = 16
STARTS: Final = 3
RUNNING: Final = 150
_PHASE: Final = re.compile(r"^\s*([\d.]+) s\s+(.+)$", re.MULTILINE)


def proportional_set_size(pids: list[int]) -> float:
    """Memory of some processes in MiB, shared pages counted once (proc(5), smaps_rollup)."""
    total = 0
    for pid in pids:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total / 1024


def start(data_dir: str) -> tuple[float, dict[str, float]]:
    """Starts a cluster; the whole command's seconds, and its phases since the fork."""
    began = time.monotonic()
    output = podwire("up", "--nodes", "3", "--api-port", "0", "-d", "--data-dir", data_dir)
    return time.monotonic() - began, {name: float(at) for at, name in _PHASE.findall(output)}


def measure() -> Iterator[Row]:
    """All rows: the best of some starts, then one cluster's memory and API."""
    with tempfile.TemporaryDirectory() as folder:
        data_dir = str(Path(folder) / ".podwire")
        found = []
        try:
            for number in range(STARTS):
                if number:
                    podwire("down", "--purge", "--data-dir", data_dir)
                found.append(start(data_dir))
            yield from started(min(found, key=lambda entry: entry[0]))
            yield from running(ClusterFolder(Path(data_dir)))
        finally:
            podwire("down", "--purge", "--data-dir", data_dir)


def started(best: tuple[float, dict[str, float]]) -> Iterator[Row]:
    """The rows of a start."""
    total, phases = best
    yield Row("podwire up --nodes 3, whole command, s", f"{total:.2f}", "2 to 3")
    yield Row("  loading Python and forking", f"{total - max(phases.values()):.2f}")
    for name, at in phases.items():
        yield Row(f"  + {name}", f"{at:.2f}")


def running(folder: ClusterFolder) -> Iterator[Row]:
    """Memory, then the API over the bus and over HTTPS."""
    processes = folder.read_processes()
    pids = [entry.pid for entry in processes] + [folder.read_cluster().supervisor]
    yield Row(f"PSS of all {len(pids)} processes, MiB", f"{proportional_set_size(pids):,.0f}")
    yield Row(
        "  of which nats-server", f"{proportional_set_size([e.pid for e in processes if e.component == 'nats']):,.0f}"
    )
    yield from asyncio.run(requests(folder))
    before = proportional_set_size(pids)
    asyncio.run(run_pods(folder))
    a_pod = (proportional_set_size(pids) - before) / RUNNING * 1024
    yield Row(f"memory a running pod ({RUNNING} of one container), KiB", f"{a_pod:,.0f}")


def pod(number: int) -> dict[str, Any]:
    container = {"name": "c", "image": "registry.k8s.io/pause:3.10"}
    metadata = {"name": f"pod-{number}", "labels": {"app": "bench"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}


async def run_pods(folder: ClusterFolder) -> None:
    """Makes pods and returns when all run."""
    client = await connect(folder.read_cluster(), folder)
    try:
        await rate(lambda number: client.api.create(resources.PODS, "default", pod(number)), RUNNING)
        async with asyncio.timeout(120):
            while await running_pods(client) < RUNNING:
                await asyncio.sleep(0.5)
    finally:
        await client.bus.close()


async def running_pods(client: Client) -> int:
    """How many pods of the bench run."""
    found = await client.api.list(resources.PODS, "default")
    return sum(each.get("status", {}).get("phase") == "Running" for each in found)


async def rate(work: Callable[[int], Awaitable[Any]], count: int = REQUESTS) -> float:
    """How often a second `work` is done by some at once."""
    numbers = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            await work(number)

    began = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(CONCURRENT)))
    return count / (time.perf_counter() - began)


def config_map(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"key": "value"}}


async def requests(folder: ClusterFolder) -> list[Row]:
    """GET, LIST and create, by both ways in."""
    client = await connect(folder.read_cluster(), folder)
    try:
        return [*await over_the_bus(client), *await over_https(folder)]
    finally:
        await client.bus.close()


async def over_the_bus(client: Client) -> list[Row]:
    """kube.request, as components ask."""
    api = client.api
    created = await rate(lambda number: api.create(resources.CONFIG_MAPS, "default", config_map(f"bus-{number}")), 500)
    got = await rate(lambda number: api.get(resources.CONFIG_MAPS, "default", f"bus-{number % 500}"))
    listed = await rate(lambda _: api.list(resources.PODS, "kube-system"), 500)
    return [
        Row("API over kube.request, GET/s", f"{got:,.0f}"),
        Row("  LIST of the system pods/s", f"{listed:,.0f}"),
        Row("  create/s (acknowledged by JetStream)", f"{created:,.0f}"),
    ]


def credentials(folder: ClusterFolder) -> tuple[str, ssl.SSLContext]:
    """The server's URL and a client's TLS context, from the kubeconfig."""
    config = yaml.safe_load(folder.kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    context = ssl.create_default_context(cadata=b64decode(cluster["certificate-authority-data"]).decode())
    with tempfile.NamedTemporaryFile() as pair:
        pair.write(b64decode(user["client-certificate-data"]) + b64decode(user["client-key-data"]))
        pair.flush()
        context.load_cert_chain(pair.name)
    return str(cluster["server"]), context


async def over_https(folder: ClusterFolder) -> list[Row]:
    """HTTPS with keep-alive, as client libraries ask."""
    url, context = credentials(folder)
    path = "/api/v1/namespaces/default/configmaps"
    connector = aiohttp.TCPConnector(ssl=context, limit=CONCURRENT)
    async with aiohttp.ClientSession(url, connector=connector, raise_for_status=True) as session:

        async def get(at: str) -> None:
            async with session.get(at) as response:
                await response.read()

        async def create(number: int) -> None:
            async with session.post(path, json=config_map(f"https-{number}")) as response:
                await response.read()

        created = await rate(create, 500)
        got = await rate(lambda number: get(f"{path}/https-{number % 500}"))
        listed = await rate(lambda _: get("/api/v1/namespaces/kube-system/pods"), 500)
    return [
        Row("API over HTTPS, GET/s", f"{got:,.0f}"),
        Row("  LIST of the system pods/s", f"{listed:,.0f}"),
        Row("  create/s (acknowledged by JetStream)", f"{created:,.0f}"),
    ]
