"""A cluster of real processes under test: started and ended by the podwire command, asked over its bus."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from podwire.proto.kube import resources
from podwire.proto.kube.resources import Resource
from podwire.proto.messages import machine as messages
from podwire.scripts.chaos.targets import find
from podwire.scripts.cluster.client import Client, connect
from podwire.scripts.cluster.folder import ClusterFolder, RunningProcess
from podwire.scripts.cluster.readiness import is_ready
from podwire.scripts.errors import UserError
from podwire.services.chassis.api.client import ApiError, ApiUnavailable

Json = dict[str, Any]
WORKERS: Final = 3
MACHINES: Final = WORKERS + 1
SYSTEM_PODS: Final = 2 * MACHINES + 2 + 4
IDLE: Final = 20.0
"""Seconds after which a connection is made anew."""
UNAVAILABLE: Final = (ApiError, ApiUnavailable, UserError)


def until(missing: Callable[[], str], seconds: float) -> float:
    """Polls until nothing is missing any more; the seconds it took. Fails with what was missing last."""
    began, told = time.monotonic(), ""
    while what := missing():
        now = time.monotonic() - began
        if what != told:
            print(f"{now:6.2f} s  {what}")  # noqa: T201 - pytest shows it when the test fails
            told = what
        assert now < seconds, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)
    return time.monotonic() - began


def podwire(*arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Runs the command to its end."""
    command = [sys.executable, "-m", "podwire.scripts", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


def processes_of(folder: Path) -> list[str]:
    """The command lines of all processes that name a folder: forks keep their parent's."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if str(folder) in line and state != "Z":
                found.append(f"{entry.name}: {line}")
    return found


@dataclass(frozen=True, slots=True)
class PodState:
    """What `kubectl get pods` would say of one pod."""

    node: str
    ready: bool
    finished: bool
    running: int
    """How many containers run."""
    restarts: int


class LiveCluster:
    """One cluster in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = ClusterFolder(folder / ".podwire")
        self.data_dir = str(self.folder.path)
        self._runner = asyncio.Runner()
        self._client: Client | None = None
        self._used = 0.0

    def up(self, *options: str) -> None:
        """Starts it in the background, or fails with what the command said."""
        done = podwire("up", "--nodes", str(WORKERS), "--api-port", "0", "-d", "--data-dir", self.data_dir, *options)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{self.log('supervisor')}"

    def down(self, *options: str) -> None:
        """Ends it; also when the command fails."""
        self.disconnect()
        try:
            done = podwire("down", "--data-dir", self.data_dir, *options)
            assert done.returncode == 0, done.stderr
        finally:
            for line in processes_of(self.folder.path):
                os.kill(int(line.partition(":")[0]), signal.SIGKILL)

    def close(self) -> None:
        """Ends it whatever state it is in."""
        self.disconnect()
        if self.folder.is_running:
            self.down("--purge")
        self._runner.close()

    def log(self, place: str) -> str:
        """The end of a process's log."""
        path = self.folder.logs / f"{place}.log"
        return path.read_text()[-3000:] if path.exists() else ""

    # -- asking

    def run[T](self, work: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
        """Runs a coroutine with the operator's connection, which stays open while it is used: nobody answers NATS's
        pings in between."""
        if time.monotonic() - self._used > IDLE:
            self.disconnect()

        async def main() -> T:
            if self._client is None:
                self._client = await connect(self.folder.read_cluster(), self.folder)
            return await work(self._client)

        try:
            return self._runner.run(main())
        finally:
            self._used = time.monotonic()

    def disconnect(self) -> None:
        """Closes the operator's connection."""
        client, self._client = self._client, None
        if client is not None:
            self._runner.run(client.bus.close())

    def list(self, resource: Resource, namespace: str = "") -> list[Json]:
        """The objects of a collection."""
        return self.run(lambda client: client.api.list(resource, namespace))

    def pods(self) -> dict[str, PodState]:
        """Every pod by `namespace/name`."""
        found = {}
        for pod in self.list(resources.PODS):
            statuses = pod["status"].get("containerStatuses") or []
            name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
            restarts = sum(status["restartCount"] for status in statuses)
            finished = pod["status"].get("phase") in ("Succeeded", "Failed")
            running = sum("running" in status["state"] for status in statuses)
            found[name] = PodState(pod["spec"].get("nodeName", ""), is_ready(pod), finished, running, restarts)
        return found

    def missing(self) -> str:
        """What keeps the cluster from being whole ("": nothing)."""
        try:
            nodes, pods = self.list(resources.NODES), self.pods()
        except UNAVAILABLE as error:
            return str(error)
        unready = [node["metadata"]["name"] for node in nodes if not is_ready(node)]
        unready += [name for name, pod in pods.items() if not (pod.ready or pod.finished)]
        if unready:
            return f"not Ready: {', '.join(unready)}"
        system = [name for name in pods if name.startswith("kube-system/")]
        if len(nodes) != MACHINES or len(system) < SYSTEM_PODS:
            return f"{len(nodes)} of {MACHINES} nodes, {len(system)} of {SYSTEM_PODS} system pods"
        return ""

    # -- a workload

    def apply(self, *bodies: tuple[Resource, Json]) -> None:
        """Creates objects in the namespace default."""
        for resource, body in bodies:
            self.run(lambda client, resource=resource, body=body: client.api.create(resource, "default", body))  # type: ignore[misc]  # mypy cannot type a lambda's default

    def serving(self, name: str, replicas: int) -> str:
        """What keeps a Service from having so many ready endpoints."""
        slices = self.list(resources.ENDPOINT_SLICES, "default")
        own = [entry for entry in slices if entry["metadata"]["name"].startswith(f"{name}-")]
        endpoints = [endpoint for entry in own for endpoint in entry.get("endpoints") or []]
        ready = sum(bool(endpoint["conditions"].get("ready")) for endpoint in endpoints)
        return "" if ready == replicas == len(endpoints) else f"{name}: {ready} of {replicas} endpoints are ready"

    def connect(self, node: str, name: str = "my-api") -> str:
        """One HTTP request from a machine to a Service's cluster IP ("" when it was answered with 200)."""

        async def work(client: Client) -> str:
            service = await client.api.get(resources.SERVICES, "default", name)
            address = service["spec"]["clusterIP"]
            call = messages.Connect(trace="", kind="http", address=address, port=80, timeout=0.5)
            answer = await client.ask_machine(node, call, 5.0)
            return answer.text if isinstance(answer, messages.Outcome) else json.dumps(str(answer))

        try:
            answer = self.run(work)
        except UNAVAILABLE as error:
            return str(error)
        return "" if answer.startswith("HTTP 200") else f"{node} -> {name}: {answer}"

    # -- breaking

    def process(self, target: str) -> RunningProcess:
        """The process of a chaos target."""
        return find(target, self.folder.read_processes())

    def signal(self, target: str, number: signal.Signals) -> RunningProcess:
        """Sends a signal to a target's process."""
        process = self.process(target)
        os.kill(process.pid, number)
        return process

    def without(self, process: RunningProcess) -> str:
        """What says that a process still counts as running, or that none has taken its place."""
        running = self.folder.read_processes()
        if any(entry.pid == process.pid for entry in running):
            return f"{asdict(process)} is still listed"
        same = [entry for entry in running if (entry.component, entry.node) == (process.component, process.node)]
        return "" if same else f"no {process.component}@{process.node} runs"


WORKLOAD: Final[tuple[tuple[Resource, Json], ...]] = (
    (
        resources.DEPLOYMENTS,
        {
            "metadata": {"name": "my-api"},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": {"app": "my-api"}},
                "template": {
                    "metadata": {"labels": {"app": "my-api"}},
                    "spec": {"containers": [{"name": "web", "image": "nginx", "ports": [{"containerPort": 80}]}]},
                },
            },
        },
    ),
    (
        resources.SERVICES,
        {"metadata": {"name": "my-api"}, "spec": {"selector": {"app": "my-api"}, "ports": [{"port": 80}]}},
    ),
)
