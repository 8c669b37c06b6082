"""CoreDNS's shell: claims a container, reads its Corefile, watches, answers on the pod's UDP and TCP sockets."""

import asyncio
import struct
from typing import Final

from podwire.proto import subjects
from podwire.proto.kube import resources
from podwire.proto.kube.network import EndpointSlice, Service
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.api.client import ApiClient
from podwire.services.chassis.api.watch import Watch, Watching
from podwire.services.chassis.claim import Address, Connection, Container, ContainerError, UdpSocket, wait_for_claim
from podwire.services.chassis.context import Context, ProcessEnd
from podwire.services.chassis.health import serve_health
from podwire.services.chassis.http import serve_text
from podwire.services.coredns.core.answers import Zones, answer_bytes
from podwire.services.coredns.core.configuration import Configuration, read
from podwire.services.coredns.core.corefile import CorefileError
from podwire.services.coredns.core.records import build
from podwire.services.coredns.settings import CoreDnsSettings

USER: Final = "system:coredns"
_IDLE: Final = 8.0


class CoreDns:
    """One CoreDNS process: idle until it is given a container, then that container's DNS server."""

    def __init__(self, context: Context, settings: CoreDnsSettings) -> None:
        self._context, self._settings = context, settings
        self._configuration: Configuration | None = None
        self._zones: Zones | None = None
        self._services: Watch[Service] | None = None
        self._slices: Watch[EndpointSlice] | None = None
        self._answered = 0

    async def run(self) -> None:
        """Serves until the claim ends."""
        serve_health(self._context, lambda: {"answered": str(self._answered), "zone": self._zone()})
        container = await wait_for_claim(self._context, self._settings.image, subjects.ANY_NODE)
        configuration = self._configuration = await self._read_corefile(container)
        self._watch()
        await self._listen(container, configuration)
        container.log(f".:{configuration.port}", "CoreDNS-1.12.0", "podwire", stream="stdout")
        for name in configuration.without_effect:
            container.log(f"plugin/{name}: accepted, not built yet: it has no effect")
        await container.until_ended()
        await container.exit(0)

    def _zone(self) -> str:
        return self._configuration.zone if self._configuration else ""

    async def _read_corefile(self, container: Container) -> Configuration:
        text = await container.read_file(self._settings.corefile)
        try:
            if text is None:
                raise CorefileError(f"{self._settings.corefile}: no such file")
            return read(text.decode(errors="replace"))
        except CorefileError as error:
            container.log(str(error))
            await container.exit(1, str(error))
            raise ProcessEnd(str(error)) from None

    def _watch(self) -> None:
        context = self._context
        watching = Watching(context.bus, context.clock, ApiClient(context.bus, USER), context.tasks)
        self._services = watching.watch(resources.SERVICES, Service, self._changed)
        self._slices = watching.watch(resources.ENDPOINT_SLICES, EndpointSlice, self._changed)

    def _changed(self, key: ObjectKey | None) -> None:
        self._zones = None

    def _current_zones(self) -> Zones:
        """The zones, rebuilt when a watched object has changed since the last query."""
        assert self._configuration is not None and self._services is not None and self._slices is not None
        if self._zones is None:
            configuration = self._configuration
            self._zones = Zones(
                records=build(configuration.zone, self._services.objects, self._slices.objects),
                reverse=configuration.reverse,
                ttl=configuration.ttl,
                pods=configuration.pods,
                shuffle=configuration.shuffle,
                serial=max(self._services.revision, self._slices.revision),
                synced=self._services.synced.is_set() and self._slices.synced.is_set(),
            )
        return self._zones

    async def _listen(self, container: Container, configuration: Configuration) -> None:
        sockets: list[UdpSocket] = []

        def on_datagram(data: bytes, peer: Address) -> None:
            if (reply := self._answer(data, over_udp=True)) is not None:
                sockets[0].send(reply, peer)

        try:
            sockets.append(await container.bind_udp(configuration.port, on_datagram))
            await container.listen_tcp(configuration.port, self._on_connection)
            if configuration.health_port:
                await serve_text(container, configuration.health_port, lambda path: self._health(path))
            if configuration.ready_port:
                await serve_text(container, configuration.ready_port, lambda path: self._ready(path))
        except ContainerError as error:
            container.log(f"listen: {error}")
            await container.exit(1, str(error))

    def _answer(self, data: bytes, over_udp: bool) -> bytes | None:
        self._answered += 1
        return answer_bytes(self._current_zones(), data, self._context.random, over_udp)

    def _health(self, path: str) -> tuple[int, str]:
        return (200, "OK") if path == "/health" else (404, "404 page not found\n")

    def _ready(self, path: str) -> tuple[int, str]:
        if path != "/ready":
            return 404, "404 page not found\n"
        return (200, "OK") if self._current_zones().synced else (503, "kubernetes")

    def _on_connection(self, connection: Connection) -> None:
        self._context.tasks.start(self._serve_connection(connection), name="dns over tcp")

    async def _serve_connection(self, connection: Connection) -> None:
        """Length-prefixed messages until the peer is done (RFC 7766)."""
        try:
            while True:
                async with asyncio.timeout(_IDLE):
                    (length,) = struct.unpack("!H", await connection.reader.readexactly(2))
                    data = await connection.reader.readexactly(length)
                if (reply := self._answer(data, over_udp=False)) is not None:
                    await connection.send(struct.pack("!H", len(reply)) + reply)
        except (asyncio.IncompleteReadError, TimeoutError, OSError):
            pass
        finally:
            connection.close()
