"""CoreDNS's shell: claims a container, reads its Corefile, watches, serves, and ends as its Corefile says."""

import asyncio
from typing import Final

import dns.message
import dns.rdatatype

from podwire.proto import subjects
from podwire.services.chassis.api.client import ApiClient
from podwire.services.chassis.api.watch import Watching
from podwire.services.chassis.claim import Container, ContainerError, wait_for_claim
from podwire.services.chassis.clock import SECOND
from podwire.services.chassis.context import Context, ProcessEnd
from podwire.services.chassis.health import serve_health
from podwire.services.coredns.core.cluster import Cluster
from podwire.services.coredns.core.corefile import CorefileError
from podwire.services.coredns.core.measures import VERSION, Measures
from podwire.services.coredns.core.plugins.hosts import Hosts
from podwire.services.coredns.core.plugins.kubernetes import Kubernetes
from podwire.services.coredns.core.plugins.loop import WATCHES_FOR, Loop
from podwire.services.coredns.core.query import Ask, UpstreamFailure
from podwire.services.coredns.core.servers import Server, Surroundings
from podwire.services.coredns.pages import Pages
from podwire.services.coredns.reloading import Reloading
from podwire.services.coredns.serving import Serving
from podwire.services.coredns.settings import CoreDnsSettings
from podwire.services.coredns.upstreams import Upstreams
from podwire.services.coredns.watched import Watched

USER: Final = "system:coredns"
_SYNC_WITHIN: Final = 5.0
_HOSTS_EVERY: Final = 5.0


class CoreDns:
    """One CoreDNS process: idle until it is given a container, then that container's DNS server."""

    def __init__(self, context: Context, settings: CoreDnsSettings) -> None:
        self._context, self._settings = context, settings
        self._running: _Running | None = None

    async def run(self) -> None:
        """Serves until the claim ends."""
        context = self._context
        serve_health(context, lambda: self._running.facts() if self._running else {"answered": "0"})
        container = await wait_for_claim(context, self._settings.image, subjects.ANY_NODE)
        self._running = _Running(context, container, self._settings.corefile)
        await self._running.run()


class _Running:
    """A claimed container's server."""

    def __init__(self, context: Context, container: Container, corefile: str) -> None:
        self._context, self._container = context, container
        self._cluster, measures = Cluster(), Measures()
        self._upstreams = Upstreams(container)
        self._serving = Serving(container, self._upstreams, measures, self._cluster.experiments)
        self._pages = Pages(container, self._serving, self._cluster, measures)
        watching = Watching(context.bus, context.clock, ApiClient(context.bus, USER), context.tasks)
        self._watched = Watched(watching, self._cluster)
        self._reloading = Reloading(container, corefile, self._surroundings, self._take, measures.failed_reloads.add)

    def facts(self) -> dict[str, str]:
        """What is told of its health."""
        zones = [zone for server in self._serving.servers for zone in server.zones]
        return {"answered": str(self._serving.answered), "zone": " ".join(zones)}

    async def run(self) -> None:
        """Serves until the claim ends, and for the time of `lameduck` after that."""
        await self._begin()
        self._context.tasks.start(self._reloading.run(), name="reload")
        self._context.tasks.start(self._reload_hosts(), name="reload hosts")
        await self._container.until_ended()
        self._say("[INFO] SIGTERM: Shutting down servers then terminating")
        lameduck = max((server.endpoints.lameduck for server in self._serving.servers), default=0.0)
        if lameduck:
            self._say(f"[INFO] plugin/health: Going into lameduck mode for {lameduck:g}s")
            await asyncio.sleep(lameduck)
        await self._container.exit(0)

    def _say(self, line: str) -> None:
        self._container.log(line, stream="stdout")

    def _surroundings(self, files: dict[str, str | None]) -> Surroundings:
        context = self._context
        address = self._container.start.address
        return Surroundings(
            cluster=self._cluster,
            files=files,
            clock=context.clock.monotonic_ns,
            random=context.random,
            say=self._say,
            start_probing=self._upstreams.start_probing,
            own_addresses=(address,) if address else (),
        )

    async def _begin(self) -> None:
        try:
            servers = await self._reloading.first()
            self._watch(servers)
            await self._until_synced()
            await self._take(servers)
        except (CorefileError, ContainerError) as error:
            self._container.log(str(error))
            await self._container.exit(1, str(error))
            raise ProcessEnd(str(error)) from None
        self._container.log(*(f"{zone}:{server.port}" for server in servers for zone in server.zones), stream="stdout")
        self._container.log(f"CoreDNS-{VERSION}", "podwire", stream="stdout")

    def _watch(self, servers: list[Server]) -> None:
        plugins = [plugin for server in servers for plugin in server.plugins.values()]
        found = [plugin for plugin in plugins if isinstance(plugin, Kubernetes)]
        if found:
            self._watched.start(pods=any(plugin.options.pods == "verified" for plugin in found))

    async def _until_synced(self) -> None:
        """Waits for the API, but not for ever: names asked for meanwhile get SERVFAIL (RegisterKubeCache)."""
        try:
            async with asyncio.timeout(_SYNC_WITHIN):
                await self._watched.until_synced()
        except TimeoutError:
            self._say("[WARNING] plugin/kubernetes: starting server with unsynced Kubernetes API")

    async def _take(self, servers: list[Server]) -> None:
        """Serves by these from now on. Raises ContainerError for a port that is not to be had."""
        self._watch(servers)
        for server in servers:
            await self._serving.listen(server.port)
            await self._pages.serve(server.endpoints)
        self._serving.servers = servers
        for server in servers:
            found = server.plugins.get("loop")
            if isinstance(found, Loop):
                self._context.tasks.start(self._look_for_loop(found, server.port), name="loop")

    async def _look_for_loop(self, loop: Loop, port: int) -> None:
        """Asks this server the name that was made up; one that sees it again and again ends."""
        query = dns.message.make_query(loop.name, dns.rdatatype.HINFO, id=self._context.random.getrandbits(16))
        try:
            await self._upstreams.exchange(Ask(("127.0.0.1", port), query, False))
        except UpstreamFailure:
            pass
        deadline = self._context.clock.monotonic_ns() + int(WATCHES_FOR * SECOND)
        while not loop.found and self._context.clock.monotonic_ns() < deadline:
            await asyncio.sleep(1.0)
        if loop.found:
            verdict = loop.verdict(port)
            self._container.log(verdict)
            await self._container.exit(1, verdict)
            raise ProcessEnd(verdict)
        loop.active = False

    async def _reload_hosts(self) -> None:
        while True:
            plugins = [plugin for server in self._serving.servers for plugin in server.plugins.values()]
            found = [plugin for plugin in plugins if isinstance(plugin, Hosts) and plugin.reload_every]
            for each in found:
                data = await self._container.read_file(each.file)
                each.load((data or b"").decode(errors="replace"))
            await asyncio.sleep(min((each.reload_every for each in found), default=_HOSTS_EVERY))
