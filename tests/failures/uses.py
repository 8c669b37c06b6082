"""The ways to use a cluster: each does one thing that a user does, and says what went wrong."""

import asyncio
import re
import socket
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final

import dns.message
import dns.rcode

from podwire.proto import subjects
from podwire.proto.kube import resources
from podwire.proto.kube.resources import Resource
from podwire.proto.messages import codec
from podwire.proto.messages import machine as messages
from podwire.scripts.cluster.client import Client
from podwire.scripts.cluster.readiness import is_ready
from podwire.scripts.cluster.sessions import run_in_pod
from podwire.services.chaos.core import kinds
from podwire.services.chassis.api.client import ApiError
from podwire.services.chassis.bus import pieces

from . import effects
from .load import Stream
from .workload import NODE_PORT, SERVER_PORT, Addresses, delay_for, service, sleeper

Json = dict[str, Any]
_TIMEOUT: Final = 1.5
_LOOK_EVERY: Final = 0.05
_AT_ONCE: Final = {"gracePeriodSeconds": 0}
_KINDS: Final = ("started", "placed", "served", "balanced", "slowed")
_NO_HOPS: Final = len(codec.encode([]))
_NAME: Final = "web.default.svc.cluster.local."


class Uses:
    """All of them, for one cluster."""

    def __init__(self, client: Client, addresses: Addresses) -> None:
        self._client, self._addresses = client, addresses
        self._numbers = count()

    def streams(self) -> list[Stream]:
        """One stream a way."""
        to, get = self._addresses, self._get
        return [
            Stream(effects.SAME_NODE, partial(self._get_server, "node-1")),
            Stream(effects.OTHER_NODE, partial(self._get_server, "node-3")),
            Stream(effects.CLUSTER_IP, partial(get, "node-1", "caller", to.cluster_ip, 80)),
            Stream(effects.NAMES, self._resolve),
            Stream(effects.NODE_PORT, partial(get, "external", "", to.node, NODE_PORT)),
            Stream(effects.BALANCER, partial(get, "external", "", to.balancer, 80)),
            Stream(effects.READS, self._read),
            Stream(effects.WRITES, self._write),
            Stream(effects.NEW_PODS, self._start_pod, 2.0, 6.0),
            Stream(effects.PLACING, self._place_pod, 1.0, 4.0),
            Stream(effects.NEW_SERVICES, self._new_service, 1.0, 5.0),
            Stream(effects.NEW_BALANCERS, self._new_balancer, 1.0, 4.0),
            Stream(effects.EXEC, self._exec, 1.0, 4.0),
            Stream(effects.FAULTS, self._inject, 1.0, 4.0),
            Stream(effects.TRACES, self._trace, 0.5),
            Stream(effects.SSH, self._ssh, 0.5),
        ]

    # -- packets

    async def _get_server(self, node: str) -> str:
        """The server of one node, from node-1; its address changes when its machine boots."""
        servers, name = self._addresses.servers, f"web-{node}"
        wrong = await self._get("node-1", "caller", servers[node], SERVER_PORT, peer=name)
        if wrong:
            pod = await self._client.api.get(resources.PODS, "default", name)
            servers[node] = pod["status"].get("podIP") or servers[node]
        return wrong

    async def _get(self, node: str, pod: str, address: str, port: int, *, trace: str = "", peer: str = "web-") -> str:
        """One HTTP request from a pod, or from a machine itself; the answer is a server's name that begins so."""
        call = messages.Connect(
            trace=trace,
            namespace="default" if pod else "",
            pod=pod,
            kind="http",
            address=address,
            port=port,
            path="/hostname",
            timeout=_TIMEOUT,
        )
        answer = await self._client.ask_machine(node, call, _TIMEOUT + 0.4)
        if not isinstance(answer, messages.Outcome):
            return str(answer)
        return "" if answer.success and answer.body.startswith(peer.encode()) else f"{answer.text} {answer.body!r}"

    async def _resolve(self) -> str:
        query = dns.message.make_query(_NAME, "A", id=next(self._numbers) & 0xFFFF)
        call = messages.Connect(
            trace="",
            namespace="default",
            pod="caller",
            kind="udp",
            address=self._addresses.dns,
            port=53,
            timeout=_TIMEOUT,
            data=query.to_wire(),
        )
        answer = await self._client.ask_machine("node-1", call, _TIMEOUT + 0.4)
        if not isinstance(answer, messages.Outcome) or not answer.success:
            return answer.text if isinstance(answer, messages.Outcome) else str(answer)
        response = dns.message.from_wire(answer.body)
        found = [str(record) for rrset in response.answer for record in rrset]
        return "" if found == [self._addresses.cluster_ip] else f"{dns.rcode.to_text(response.rcode())} {found}"

    # -- the API

    async def _read(self) -> str:
        await self._client.api.list(resources.NODES)
        return ""

    async def _write(self) -> str:
        body = {"metadata": {"name": self._name("written")}, "data": {"a": "b"}}
        await self._client.api.create(resources.CONFIG_MAPS, "default", body)
        return ""

    async def _start_pod(self) -> str:
        name = self._name("started")
        await self._client.api.create(resources.PODS, "default", sleeper(name, "node-1"))
        while not is_ready(await self._client.api.get(resources.PODS, "default", name)):
            await asyncio.sleep(_LOOK_EVERY)
        await self._client.api.delete(resources.PODS, "default", name, _AT_ONCE)
        return ""

    async def _place_pod(self) -> str:
        name = self._name("placed")
        await self._client.api.create(resources.PODS, "default", sleeper(name))
        while not (await self._client.api.get(resources.PODS, "default", name))["spec"].get("nodeName"):
            await asyncio.sleep(_LOOK_EVERY)
        await self._client.api.delete(resources.PODS, "default", name, _AT_ONCE)
        return ""

    async def _new_service(self) -> str:
        name = self._name("served")
        made = await self._client.api.create(resources.SERVICES, "default", service(name))
        while await self._get("node-1", "caller", made["spec"]["clusterIP"], 80):
            await asyncio.sleep(_LOOK_EVERY)
        await self._client.api.delete(resources.SERVICES, "default", name)
        return ""

    async def _new_balancer(self) -> str:
        name = self._name("balanced")
        made = await self._client.api.create(resources.SERVICES, "default", service(name, "LoadBalancer"))
        while not made["status"].get("loadBalancer", {}).get("ingress"):
            await asyncio.sleep(_LOOK_EVERY)
            made = await self._client.api.get(resources.SERVICES, "default", name)
        await self._client.api.delete(resources.SERVICES, "default", name)
        return ""

    async def _exec(self) -> str:
        pod = await self._client.api.get(resources.PODS, "default", "caller")
        code = await run_in_pod(self._client, pod, ["true"], lambda channel, data: None)
        return "" if code == 0 else f"exit code {code}"

    async def _inject(self) -> str:
        name = self._name("slowed")
        await self._client.api.create(kinds.NETWORK, "default", delay_for("sleeper", name))
        while not _is_injected(await self._client.api.get(kinds.NETWORK, "default", name)):
            await asyncio.sleep(_LOOK_EVERY)
        await self._client.api.delete(kinds.NETWORK, "default", name)
        return ""

    # -- watching and logging in

    async def _trace(self) -> str:
        name = self._name("trace")
        await self._get("node-1", "caller", self._addresses.servers["node-1"], SERVER_PORT, trace=name)
        while len(await pieces.request(self._client.bus, subjects.TRACES, name.encode(), _TIMEOUT)) <= _NO_HOPS:
            await asyncio.sleep(_LOOK_EVERY)
        return ""

    async def _ssh(self) -> str:
        loop, port = asyncio.get_running_loop(), _ssh_port(self._client.folder.ssh_config)
        with socket.socket() as connection:
            connection.setblocking(False)
            await loop.sock_connect(connection, ("127.0.0.1", port))
            banner = await loop.sock_recv(connection, 64)
        return "" if banner.startswith(b"SSH-2.0-") else f"it says {banner!r}"

    # -- names

    def _name(self, kind: str) -> str:
        return f"{kind}-{next(self._numbers)}"

    async def clean(self) -> None:
        """Deletes what uses that failed have left."""
        for resource in (resources.PODS, resources.SERVICES, kinds.NETWORK):
            for body in await self._client.api.list(resource, "default"):
                name = body["metadata"]["name"]
                if name.partition("-")[0] in _KINDS:
                    await self._delete_if_there(resource, name)

    async def _delete_if_there(self, resource: Resource, name: str) -> None:
        """What a use that was cut off had deleted may still be listed."""
        try:
            await self._client.api.delete(resource, "default", name, _AT_ONCE)
        except ApiError as error:
            if error.code != 404:
                raise


def _is_injected(experiment: Json) -> bool:
    conditions = (experiment.get("status") or {}).get("conditions") or []
    return any(entry["type"] == "AllInjected" and entry["status"] == "True" for entry in conditions)


def _ssh_port(config: Path) -> int:
    found = re.search(r"Port (\d+)", config.read_text())
    assert found is not None, config
    return int(found[1])
