"""kube-proxy's shell: watches Services, EndpointSlices and its Node, and has a proxier for each family sync."""

import asyncio
from collections.abc import Callable

from podwire.proto.kube import resources
from podwire.proto.kube.network import EndpointSlice, Node, Service
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.api.client import ApiClient
from podwire.services.chassis.api.watch import Watch, Watching
from podwire.services.chassis.claim import Container, wait_for_claim
from podwire.services.chassis.clock import SECOND
from podwire.services.chassis.context import Context, ProcessEnd
from podwire.services.chassis.health import serve_health
from podwire.services.chassis.kernel import KernelClient, KernelRefused, KernelUnavailable
from podwire.services.kube_proxy.core import measures
from podwire.services.kube_proxy.core import node as nodes
from podwire.services.kube_proxy.core.configuration import Configuration, ConfigurationError, read
from podwire.services.kube_proxy.core.fold import Fold
from podwire.services.kube_proxy.core.health import ProxyHealth, local_endpoints
from podwire.services.kube_proxy.core.metrics import Metrics
from podwire.services.kube_proxy.core.modes import MODES
from podwire.services.kube_proxy.core.pace import Pace
from podwire.services.kube_proxy.proxier import Proxier
from podwire.services.kube_proxy.servers import Servers
from podwire.services.kube_proxy.settings import KubeProxySettings

FULL_SYNC_PERIOD = 3600
"""Seconds after which everything is written anew, whatever is believed (pkg/proxy/util FullSyncPeriod)."""


class KubeProxy:
    """One kube-proxy: idle until it is given its node's container."""

    def __init__(self, context: Context, settings: KubeProxySettings) -> None:
        self._context, self._settings = context, settings
        self._wake = asyncio.Event()
        self._node_known = asyncio.Event()
        self._services: Watch[Service] | None = None
        self._slices: Watch[EndpointSlice] | None = None
        self._nodes: Watch[Node] | None = None
        self._proxiers: list[Proxier] = []
        self._health: ProxyHealth | None = None
        self._metrics = Metrics()
        self._syncs = 0

    async def run(self) -> None:
        """Serves until the claim ends; the rules stay."""
        context, settings = self._context, self._settings
        serve_health(context, lambda: {"syncs": str(self._syncs)})
        container = await wait_for_claim(context, settings.image, settings.node)
        configuration = await self._read_configuration(container)
        kernel = KernelClient(context, settings.node, "kube-proxy", container.offer.boot_id)
        self._watch()
        context.tasks.start(self._work(container, kernel, configuration), name="kube-proxy")
        await container.until_ended()
        await container.exit(0)

    def _watch(self) -> None:
        context, settings = self._context, self._settings
        client = ApiClient(context.bus, f"system:kube-proxy:{settings.node}")
        watching = Watching(context.bus, context.clock, client, context.tasks)
        own = settings.node
        self._nodes = watching.watch(resources.NODES, Node, self._node_changed, "", lambda key, _: key.name == own)
        self._services = watching.watch(resources.SERVICES, Service, self._service_changed)
        self._slices = watching.watch(resources.ENDPOINT_SLICES, EndpointSlice, self._slice_changed)

    async def _read_configuration(self, container: Container) -> Configuration:
        text = await container.read_file(self._settings.config)
        try:
            if text is None:
                raise ConfigurationError(f"open {self._settings.config}: no such file or directory")
            return read(text.decode(errors="replace"))
        except ConfigurationError as error:
            container.log(f"failed complete: {error}")
            await container.exit(1, str(error))
            raise ProcessEnd(str(error)) from None

    # -- what the watches tell

    def _service_changed(self, key: ObjectKey | None) -> None:
        assert self._services is not None
        self._metrics.service_changes.add()
        found = self._services.objects
        self._tell(lambda fold: fold.service(key, found.get(key)) if key else self._reset(fold))

    def _slice_changed(self, key: ObjectKey | None) -> None:
        assert self._slices is not None
        self._metrics.endpoint_changes.add()
        found = self._slices.objects
        self._tell(lambda fold: fold.slice(key, found.get(key)) if key else self._reset(fold))

    def _node_changed(self, key: ObjectKey | None) -> None:
        node = self._node()
        if node is not None and node.internal_ips:
            self._node_known.set()
            if self._health is not None:
                self._health.is_eligible = nodes.is_eligible(node)
            self._tell(lambda fold: fold.set_zone(nodes.zone(node)))

    def _tell(self, told: Callable[[Fold], None]) -> None:
        now = self._context.clock.now_ns()
        for proxier in self._proxiers:
            told(proxier.fold)
            self._queued(proxier, now)
        self._wake.set()

    def _queued(self, proxier: Proxier, now: int) -> None:
        if self._health is not None and proxier.fold.pending:
            self._health.queued(proxier.family, now)
            self._metrics.last_queued.set(now / SECOND, measures.FAMILY_LABEL[proxier.family])

    def _reset(self, fold: Fold) -> None:
        assert self._services is not None and self._slices is not None
        fold.reset(self._services.objects, self._slices.objects)

    def _node(self) -> Node | None:
        assert self._nodes is not None
        return self._nodes.named("", self._settings.node)

    def _synced(self) -> bool:
        assert self._services is not None and self._slices is not None
        return self._services.synced.is_set() and self._slices.synced.is_set()

    # -- syncing

    async def _work(self, container: Container, kernel: KernelClient, configuration: Configuration) -> None:
        assert self._services is not None and self._slices is not None
        await self._node_known.wait()
        await self._services.synced.wait()
        await self._slices.synced.wait()
        self._health = ProxyHealth(2 * configuration.sync_period)
        servers = Servers(container, self._context.clock, self._health, self._metrics, self._metrics_text)
        await servers.start(configuration)
        self._proxiers = self._make_proxiers(kernel, configuration)
        for proxier in self._proxiers:
            container.log(f'"Using {MODES[configuration.mode].title} Proxier" ipFamily="{proxier.family}"')
        await self._keep_in_sync(container, configuration, servers)

    def _metrics_text(self) -> str:
        for proxier in self._proxiers:
            states = proxier.fold.states.values()
            measures.counted(self._metrics, proxier.family, states, proxier.rules, proxier.mode)
        self._metrics.changes_pending.set(sum(proxier.fold.pending for proxier in self._proxiers))
        return self._metrics.text()

    def _make_proxiers(self, kernel: KernelClient, configuration: Configuration) -> list[Proxier]:
        node = self._node()
        assert node is not None
        made = []
        for family in nodes.families(node):
            fold = Fold(self._settings.node, family, nodes.zone(node), self._context.clock.now_ns())
            self._reset(fold)
            around = nodes.surroundings(node, family, configuration)
            made.append(Proxier(kernel, fold, MODES[configuration.mode], around))
        return made

    async def _keep_in_sync(self, container: Container, configuration: Configuration, servers: Servers) -> None:
        clock = self._context.clock
        pace = Pace(configuration.min_sync_period, clock.monotonic_ns())
        written_all_at = clock.monotonic_ns()
        while True:
            self._wake.clear()
            now = clock.monotonic_ns()
            if now - written_all_at > FULL_SYNC_PERIOD * SECOND:
                written_all_at = now
                for proxier in self._proxiers:
                    proxier.write_all()
            pace.take(now)
            if self._synced():
                await self._sync(container, servers)
            await self._wait(configuration, pace)

    async def _wait(self, configuration: Configuration, pace: Pace) -> None:
        """Until something has changed and the pace lets it through, or the period is over."""
        try:
            await asyncio.wait_for(self._wake.wait(), configuration.sync_period)
        except TimeoutError:
            await self._check()
        if left := pace.wait(self._context.clock.monotonic_ns()):
            await asyncio.sleep(left / SECOND)

    async def _check(self) -> None:
        for proxier in self._proxiers:
            try:
                await proxier.check()
            except KernelUnavailable:
                proxier.write_all()

    async def _sync(self, container: Container, servers: Servers) -> None:
        for proxier in self._proxiers:
            try:
                await self._sync_one(proxier)
            except (KernelRefused, KernelUnavailable) as error:
                measures.failed(self._metrics, proxier.family, proxier.mode)
                container.log(f'"Sync failed" ipFamily="{proxier.family}" err="{error}"')
        states = [state for proxier in self._proxiers for state in proxier.fold.states.values()]
        await servers.sync(local_endpoints(states))

    async def _sync_one(self, proxier: Proxier) -> None:
        clock, triggers = self._context.clock, proxier.fold.take_triggers()
        began = clock.monotonic_ns()
        everything = await proxier.sync()
        self._syncs += 1
        now, seconds = clock.now_ns(), (clock.monotonic_ns() - began) / SECOND
        measures.synced(self._metrics, proxier.family, seconds, everything=everything, now=now)
        measures.programmed(self._metrics, proxier.family, triggers, now)
        if self._health is not None and not proxier.fold.pending:
            self._health.updated(proxier.family, now)
