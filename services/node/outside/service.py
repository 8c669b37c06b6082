"""The host outside of the cluster: the machines' gateway, their resolver, and real ports that lead to Services."""

import asyncio
import json
import os
from functools import partial
from typing import Final

from podwire.proto.kube import resources
from podwire.proto.kube.meta import ConfigMap
from podwire.proto.kube.network import EndpointSlice, Node, Service
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.api.client import ApiClient
from podwire.services.chassis.api.watch import Watch, Watching
from podwire.services.chassis.context import Context
from podwire.services.chassis.health import serve_health
from podwire.services.node.machine import boot, serve_programming
from podwire.services.node.network.sockets import Endpoint, Network
from podwire.services.node.operator import serve_operator
from podwire.services.node.outside.doors import LOOPBACK, TcpDoor, UdpDoor
from podwire.services.node.outside.exposures import Exposure, entrances, exposures
from podwire.services.node.outside.real import ask_real_resolver
from podwire.services.node.outside.resolver import Resolver
from podwire.services.node.outside.settings import OutsideSettings
from podwire.services.node.outside.zone import read_zone

USER: Final = "system:outside"
RECORDS: Final = ("kube-system", "outside-dns")
"""The ConfigMap whose values are records of the world outside."""
_LEAST_UNPRIVILEGED: Final = 1024


class Outside:
    """The host: a machine without a kubelet. What it keeps can be lost: names and doors follow from the API, what a
    cloud provider put into its kernel from that."""

    def __init__(self, context: Context, settings: OutsideSettings) -> None:
        self._context, self._settings = context, settings
        self._doors: dict[Exposure, tuple[int, TcpDoor | UdpDoor]] = {}
        self._turns: dict[Exposure, int] = {}
        self._wake = asyncio.Event()
        self._wrong_records = 0

    async def run(self) -> None:
        """Runs until the process ends."""
        context, settings = self._context, self._settings
        serve_health(context, self._facts)
        machine = boot(context, settings)
        serve_programming(machine)
        serve_operator(machine)
        self._network = Network(machine.shell, "")
        self._resolver = self._start_resolver()
        self._watch()
        while True:
            await self._wake.wait()
            self._wake.clear()
            if settings.doors_file:
                await self._open_and_close()

    def _facts(self) -> dict[str, str]:
        doors = {str(exposure): f"{LOOPBACK}:{port}" for exposure, (port, _) in self._doors.items()}
        return {**doors, "wrong records": str(self._wrong_records)}

    def _start_resolver(self) -> Resolver:
        server, _, port = self._settings.upstream.rpartition(":")
        ask = partial(ask_real_resolver, server=server, port=int(port)) if server else None
        resolver = Resolver(self._network, self._context.tasks, ask)
        resolver.start()
        return resolver

    def _watch(self) -> None:
        context = self._context
        watching = Watching(context.bus, context.clock, ApiClient(context.bus, USER), context.tasks)
        self._records: Watch[ConfigMap] = watching.watch(
            resources.CONFIG_MAPS, ConfigMap, self._records_changed, RECORDS[0]
        )
        if self._settings.doors_file:
            self._services: Watch[Service] = watching.watch(resources.SERVICES, Service, self._changed)
            self._slices: Watch[EndpointSlice] = watching.watch(resources.ENDPOINT_SLICES, EndpointSlice, self._changed)
            self._nodes: Watch[Node] = watching.watch(resources.NODES, Node, self._changed)

    # -- names

    def _records_changed(self, key: ObjectKey | None) -> None:
        found = self._records.named(*RECORDS)
        text = "\n".join((found.data or {}).values()) if found else ""
        self._resolver.zone, wrong = read_zone(text)
        self._wrong_records = len(wrong)
        for line in wrong:
            self._context.log.warning("a line of kube-system/outside-dns is no record", reason=line)

    # -- doors

    def _changed(self, key: ObjectKey | None) -> None:
        self._wake.set()

    async def _open_and_close(self) -> None:
        wanted = dict.fromkeys(exposures(self._services.objects.values()))
        gone = [each for each in self._doors if each not in wanted]
        new = [each for each in wanted if each not in self._doors]
        for exposure in gone:
            self._doors.pop(exposure)[1].close()
        for exposure in new:
            await self._open(exposure)
        if gone or new:
            self._tell()

    async def _open(self, exposure: Exposure) -> None:
        target = partial(self._entrance, exposure)
        tcp = exposure.protocol == "TCP"
        door = TcpDoor(self._network, target) if tcp else UdpDoor(self._network, self._context.tasks, target)
        wanted = exposure.port if exposure.port >= _LEAST_UNPRIVILEGED else 0
        try:
            port = await door.open(wanted)
        except OSError as error:
            self._context.log.warning("no door", exposure=str(exposure), reason=str(error))
            return
        self._doors[exposure] = (port, door)

    def _entrance(self, exposure: Exposure) -> Endpoint | None:
        """Where the next client enters: the machines take turns."""
        service = self._services.named(exposure.namespace, exposure.name)
        found = entrances(exposure, service, self._slices.objects.values(), self._nodes.objects.values())
        if not found:
            return None
        turn = self._turns[exposure] = self._turns.get(exposure, -1) + 1
        return found[turn % len(found)], exposure.port

    def _tell(self) -> None:
        """Writes the doors for `podwire status`, whole or not at all."""
        rows = [{**exposure._asdict(), "door": port} for exposure, (port, _) in sorted(self._doors.items())]
        part = f"{self._settings.doors_file}.part"
        with open(part, "w", encoding="utf-8") as file:
            json.dump(rows, file, indent=1)
        os.replace(part, self._settings.doors_file)
