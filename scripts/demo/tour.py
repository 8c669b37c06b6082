"""The tour: boots a cluster, follows one request through it, stops a kube-proxy, and shows what goes stale."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import typer
import yaml

from podwire.proto.kube import resources
from podwire.scripts.chaos.targets import find
from podwire.scripts.cluster.client import Client
from podwire.scripts.cluster.readiness import is_ready
from podwire.scripts.cluster.sessions import run_in_pod, run_shell
from podwire.scripts.cluster.tables import table
from podwire.scripts.commands.trace import show
from podwire.scripts.errors import UserError
from podwire.scripts.trace.exchange import follow
from podwire.scripts.trace.flights import flights
from podwire.scripts.trace.resolve import destination, source

Json = dict[str, Any]
MANIFEST: Final = Path(__file__).with_name("my-api.yaml")
_KINDS: Final = {"Deployment": resources.DEPLOYMENTS, "Service": resources.SERVICES}
_PATIENCE: Final = 30.0
_PAUSE: Final = 0.1


class Tour:
    """One walk through a running cluster."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def walk(self) -> None:
        """All stations. Raises UserError."""
        await self.apply()
        await self.show_objects()
        await self.ask()
        await self.trace()
        await self.go_stale()

    def _say(self, text: str) -> None:
        typer.secho(f"\n# {text}", bold=True)

    # -- stations

    async def apply(self) -> None:
        """The tutorial's Deployment and Service."""
        self._say("kubectl apply -f my-api.yaml")
        for body in yaml.safe_load_all(MANIFEST.read_text()):
            resource = _KINDS[body["kind"]]
            await self._client.api.create(resource, "default", body)
            kind = body["kind"].lower() + (f".{resource.group}" if resource.group else "")
            typer.echo(f"{kind}/{body['metadata']['name']} created")
        await self._until(self._all_ready, "the pods of my-api and debug are Ready")

    async def show_objects(self) -> None:
        """What kubectl shows of them."""
        for title, resource in (
            ("kubectl get pods -o wide", resources.PODS),
            ("kubectl get svc", resources.SERVICES),
            ("kubectl get endpoints", resources.ENDPOINTS),
        ):
            self._say(title)
            typer.echo(await table(self._client, resource, "default", wide="wide" in title))

    async def ask(self) -> None:
        """The Service by name, from a third pod."""
        for command, sign in (("nslookup my-api", "Name:"), ("curl -s http://my-api", "hello")):
            self._say(f"kubectl exec deploy/debug -- {command}")
            typer.echo((await self._exec(command.split(), sign)).rstrip())

    async def trace(self) -> None:
        """The way of one request, and of its reply, between nodes."""
        pods = await self._pods("my-api")
        self._say("podwire trace deploy/debug http://my-api")
        start = await source(self._client, "deploy/debug", "default")
        end = await destination(self._client, "http://my-api", "default")
        remote = [pod["status"]["podIP"] for pod in pods if pod["spec"]["nodeName"] != start.node]
        for _ in range(50):
            outcome, hops = await follow(self._client, start, end, 5.0)
            found = flights(hops)
            crossed = any(hop.kind == "encapsulate" for flight in found for hop in flight.hops)
            if crossed or not remote:
                break
        show(start, end, outcome, found, "tree")

    async def go_stale(self) -> None:
        """A paused kube-proxy: traffic goes on, its rules do not follow."""
        node = (await self._pods("debug"))[0]["spec"]["nodeName"]
        process = find(f"kube-proxy@{node}", self._client.folder.read_processes())
        self._say(f"podwire chaos pause kube-proxy@{node}; kubectl scale deployment my-api --replicas=3")
        os.kill(process.pid, signal.SIGSTOP)
        try:
            await self._scale(3)
            await self._until(self._all_ready, "the third pod is Ready")
            self._say("kubectl get endpoints my-api")
            typer.echo(await table(self._client, resources.ENDPOINTS, "default", name="my-api"))
            stale = await self._backends(node)
            typer.echo(f"\n{node}'s rules still know {len(stale)} of 3 backends: {', '.join(stale)}")
            typer.echo(f"and traffic goes on: {(await self._exec(['curl', '-s', 'http://my-api'], 'hello')).strip()}")
        finally:
            os.kill(process.pid, signal.SIGCONT)

        async def caught_up() -> bool:
            return len(await self._backends(node)) == 3

        await self._until(caught_up, "the resumed kube-proxy catches up")
        typer.echo(f"after podwire chaos resume: {', '.join(await self._backends(node))}")

    # -- what they need

    async def _pods(self, app: str) -> list[Json]:
        return await self._client.api.list(resources.PODS, "default", labelSelector=f"app={app}")

    async def _all_ready(self) -> bool:
        pods = await self._client.api.list(resources.PODS, "default")
        deployments = await self._client.api.list(resources.DEPLOYMENTS, "default")
        wanted = sum(entry["spec"]["replicas"] for entry in deployments)
        service = await self._client.api.list(resources.ENDPOINT_SLICES, "default", labelSelector=_MY_API)
        endpoints = [entry for body in service for entry in body.get("endpoints") or []]
        ready = [entry for entry in endpoints if entry["conditions"].get("ready")]
        return len(pods) == wanted == len(ready) + 1 and all(is_ready(pod) for pod in pods)

    async def _scale(self, replicas: int) -> None:
        body = {"spec": {"replicas": replicas}}
        await self._client.api.patch(resources.DEPLOYMENTS, "default", "my-api", body)

    async def _until(self, condition: Callable[[], Awaitable[bool]], what: str) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                while not await condition():
                    await asyncio.sleep(_PAUSE)
        except TimeoutError:
            raise UserError(f"not within {_PATIENCE:g} s: {what}; see {self._client.folder.logs}") from None

    async def _exec(self, command: list[str], sign: str) -> str:
        """The output of a program in the debug pod; tried again, while rules are still on their way, until it has
        `sign`: busybox's nslookup fails when any name of the search list does not exist."""
        pod = (await self._pods("debug"))[0]
        text = ""
        for _ in range(30):
            text = await self._output(pod, command)
            if sign in text:
                return text
            await asyncio.sleep(_PAUSE)
        raise UserError(f"{' '.join(command)} failed: {text}")

    async def _output(self, pod: Json, command: list[str]) -> str:
        output: list[bytes] = []
        await run_in_pod(self._client, pod, command, lambda _, data: output.append(data))
        return b"".join(output).decode(errors="replace")

    async def _backends(self, node: str) -> list[str]:
        """The endpoints that a node's rules DNAT my-api's traffic to."""
        output: list[bytes] = []
        line = "sudo iptables-save -t nat"
        await run_shell(self._client, node, line, lambda _, data: output.append(data))
        rules = b"".join(output).decode().splitlines()
        found = [rule.split("--to-destination ")[1] for rule in rules if "default/my-api" in rule and "DNAT" in rule]
        return sorted(found)


_MY_API: Final = "kubernetes.io/service-name=my-api"
