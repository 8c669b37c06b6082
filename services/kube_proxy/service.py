"""kube-proxy's shell: watches Services and EndpointSlices, programs its node's kernel."""

import asyncio
from typing import Final

from podwire.proto.kube import resources
from podwire.proto.kube.network import EndpointSlice, Service
from podwire.proto.messages import kernel as operations
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.api.client import ApiClient
from podwire.services.chassis.api.watch import Watch, Watching
from podwire.services.chassis.claim import Container, wait_for_claim
from podwire.services.chassis.clock import SECOND
from podwire.services.chassis.context import Context, ProcessEnd
from podwire.services.chassis.health import serve_health
from podwire.services.chassis.iptables import Jump, chains_of, missing_jumps
from podwire.services.chassis.kernel import KernelClient, KernelRefused, KernelUnavailable
from podwire.services.kube_proxy.core.configuration import Configuration, ConfigurationError, read
from podwire.services.kube_proxy.core.ports import ServicePortState, service_ports
from podwire.services.kube_proxy.core.rules import JUMPS, restore_text
from podwire.services.kube_proxy.settings import KubeProxySettings


class KubeProxy:
    """One kube-proxy: idle until it is given its node's container."""

    def __init__(self, context: Context, settings: KubeProxySettings) -> None:
        self._context, self._settings = context, settings
        self._wake = asyncio.Event()
        self._services: Watch[Service] | None = None
        self._slices: Watch[EndpointSlice] | None = None
        self._applied = ""
        self._synced_at: int | None = None
        self._syncs = 0
        self._warned: dict[str, None] = {}

    async def run(self) -> None:
        """Serves until the claim ends; the rules stay."""
        context, settings = self._context, self._settings
        serve_health(context, lambda: {"syncs": str(self._syncs)})
        container = await wait_for_claim(context, settings.image, settings.node)
        configuration = await self._read_configuration(container)
        kernel = KernelClient(context, settings.node, "kube-proxy", container.offer.boot_id)
        client = ApiClient(context.bus, f"system:kube-proxy:{settings.node}")
        watching = Watching(context.bus, context.clock, client, context.tasks)
        self._services = watching.watch(resources.SERVICES, Service, self._changed)
        self._slices = watching.watch(resources.ENDPOINT_SLICES, EndpointSlice, self._changed)
        container.log(f'"Using iptables Proxier" clusterCIDR="{configuration.cluster_cidr}"')
        context.tasks.start(self._work(container, kernel, configuration), name="kube-proxy")
        await container.until_ended()
        await container.exit(0)

    def _changed(self, key: ObjectKey | None) -> None:
        self._wake.set()

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

    async def _work(self, container: Container, kernel: KernelClient, configuration: Configuration) -> None:
        assert self._services is not None and self._slices is not None
        await self._services.synced.wait()
        await self._slices.synced.wait()
        forced = True
        while True:
            self._wake.clear()
            try:
                await self._sync(container, kernel, configuration, forced)
                forced = False
            except (KernelRefused, KernelUnavailable) as error:
                container.log(f'"Failed to execute iptables-restore" err="{error}"')
                forced = True
            try:
                await asyncio.wait_for(self._wake.wait(), configuration.sync_period)
            except TimeoutError:
                forced = True
            await self._keep_apart(configuration)

    async def _keep_apart(self, configuration: Configuration) -> None:
        """No two syncs within the minimal period; changes meanwhile are taken together."""
        assert self._synced_at is not None
        elapsed = (self._context.clock.monotonic_ns() - self._synced_at) / SECOND
        if elapsed < configuration.min_sync_period:
            await asyncio.sleep(configuration.min_sync_period - elapsed)

    async def _sync(
        self, container: Container, kernel: KernelClient, configuration: Configuration, forced: bool
    ) -> None:
        """Builds the whole text from the whole state; a text that was applied already is not sent again."""
        assert self._services is not None and self._slices is not None
        self._synced_at = self._context.clock.monotonic_ns()
        if not (self._services.synced.is_set() and self._slices.synced.is_set()):
            return
        states = service_ports(self._services.objects, self._slices.objects, self._settings.node)
        self._warn(container, states)
        present = chains_of(await kernel.iptables_save("nat")) if forced else chains_of(self._applied)
        text = restore_text(states, configuration.cluster_cidr, present)
        if text == self._applied and not forced:
            return
        await kernel.program([operations.IptablesRestore(text=text, noflush=True)])
        self._applied = text
        self._syncs += 1
        if forced and (missing := missing_jumps(await kernel.iptables_save(), JUMP_RULES)):
            await kernel.program(missing)

    def _warn(self, container: Container, states: list[ServicePortState]) -> None:
        for state in states:
            if state.session_affinity and str(state.name) not in self._warned:
                self._warned[str(state.name)] = None
                container.log(f"service {state.name}: sessionAffinity ClientIP is not built yet and has no effect")


def _jump(table: str, chain: str, target: str, comment: str, only_new: bool) -> Jump:
    new = ("-m", "conntrack", "--ctstate", "NEW") if only_new else ()
    said = ("-m", "comment", "--comment", comment) if comment else ()
    return table, chain, target, (*new, *said)


JUMP_RULES: Final = tuple(_jump(*row) for row in JUMPS)
