"""flanneld's shell: makes the tunnel, tells the others, follows them, writes the machine's files."""

import asyncio
from typing import Final

from podwire.proto.kube import resources
from podwire.proto.kube.network import Node
from podwire.proto.messages import kernel as operations
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.api.client import ApiClient, ApiError, ApiUnavailable
from podwire.services.chassis.api.watch import Watch, Watching
from podwire.services.chassis.claim import Container, ContainerError, wait_for_claim
from podwire.services.chassis.context import Context, ProcessEnd
from podwire.services.chassis.health import serve_health
from podwire.services.chassis.iptables import missing_jumps
from podwire.services.chassis.kernel import KernelClient, KernelRefused, KernelUnavailable
from podwire.services.cni.flannel.core import direct, masquerade, tunnel
from podwire.services.cni.flannel.core.configuration import (
    Configuration,
    ConfigurationError,
    read,
    subnet_environment,
)
from podwire.services.cni.flannel.core.leases import HOST_GW, VXLAN, Lease, annotations, lease_of
from podwire.services.cni.flannel.settings import FlannelSettings

_RETRY: Final = 0.2
_RESYNC: Final = 10.0
_FAILURES: Final = (ApiError, ApiUnavailable, KernelRefused, KernelUnavailable, ContainerError)


class Flannel:
    """One flanneld: idle until it is given its node's container."""

    def __init__(self, context: Context, settings: FlannelSettings) -> None:
        self._context, self._settings = context, settings
        self._client = ApiClient(context.bus, f"system:flannel:{settings.node}")
        self._wake = asyncio.Event()
        self._nodes: Watch[Node] | None = None
        self._lease = ""

    async def run(self) -> None:
        """Serves until the claim ends."""
        context, settings = self._context, self._settings
        serve_health(context, lambda: {"lease": self._lease})
        container = await wait_for_claim(context, settings.image, settings.node)
        configuration = await self._read_configuration(container)
        kernel = KernelClient(context, settings.node, "flannel", container.offer.boot_id)
        watching = Watching(context.bus, context.clock, self._client, context.tasks)
        self._nodes = watching.watch(resources.NODES, Node, self._changed)
        context.tasks.start(self._work(container, kernel, configuration), name="flannel")
        await container.until_ended()
        await container.exit(0)

    def _changed(self, key: ObjectKey | None) -> None:
        self._wake.set()

    async def _read_configuration(self, container: Container) -> Configuration:
        text = await container.read_file(self._settings.net_conf)
        try:
            if text is None:
                raise ConfigurationError(f"open {self._settings.net_conf}: no such file or directory")
            return read(text.decode(errors="replace"))
        except ConfigurationError as error:
            container.log(f"Failed to create SubnetManager: {error}")
            await container.exit(1, str(error))
            raise ProcessEnd(str(error)) from None

    async def _work(self, container: Container, kernel: KernelClient, configuration: Configuration) -> None:
        ready = False
        while True:
            self._wake.clear()
            try:
                ready = ready or await self._set_up(container, kernel, configuration)
                if ready:
                    await self._follow(kernel, configuration)
            except _FAILURES as error:
                container.log(f"flannel: {error}")
                await asyncio.sleep(_RETRY)
                continue
            try:
                await asyncio.wait_for(self._wake.wait(), _RESYNC)
            except TimeoutError:
                pass

    def _own(self) -> Node | None:
        return self._nodes.named("", self._settings.node) if self._nodes is not None else None

    async def _set_up(self, container: Container, kernel: KernelClient, configuration: Configuration) -> bool:
        """Makes what this node needs, in an order in which each step may be the last: True when all is done."""
        node = self._own()
        if node is None or not node.spec.pod_cidr or not node.internal_ip:
            return False
        links = {link.name: link for link in await kernel.read(operations.Link, "links")}
        mtu, mac = links[self._settings.interface].mtu - configuration.overhead, ""
        if configuration.backend == VXLAN:
            mac = await self._make_tunnel(kernel, configuration, node, mtu)
        await self._make_rules(kernel, configuration, node.spec.pod_cidr)
        told = annotations(node.internal_ip, configuration.vni, mac, configuration.backend)
        body = {"metadata": {"annotations": told}}
        await self._client.patch(resources.NODES, "", self._settings.node, body)
        subnet = subnet_environment(configuration, node.spec.pod_cidr, mtu)
        await container.write_file(self._settings.subnet_file, subnet.encode())
        conflist = await container.read_file(self._settings.cni_conf)
        if conflist is not None:
            await container.write_file(self._settings.conflist, conflist)
        self._lease = node.spec.pod_cidr
        running = configuration.device if configuration.backend == VXLAN else self._settings.interface
        container.log(f"Lease acquired: {node.spec.pod_cidr}", f"Running {configuration.backend} on {running}")
        return True

    async def _make_tunnel(self, kernel: KernelClient, configuration: Configuration, node: Node, mtu: int) -> str:
        """The tunnel's MAC."""
        links = {link.name: link for link in await kernel.read(operations.Link, "links")}
        if configuration.device not in links:
            made = operations.LinkAdd(
                kind="vxlan",
                name=configuration.device,
                vni=configuration.vni,
                port=configuration.port,
                local=node.internal_ip,
                device=self._settings.interface,
                learning=False,
                mtu=mtu,
                up=True,
            )
            await kernel.program([made])
        await self._ensure_address(kernel, configuration, node.spec.pod_cidr)
        links = {link.name: link for link in await kernel.read(operations.Link, "links")}
        return links[configuration.device].address

    async def _ensure_address(self, kernel: KernelClient, configuration: Configuration, pod_cidr: str) -> None:
        wanted = f"{pod_cidr.partition('/')[0]}/32"
        present = await kernel.read(operations.LinkAddress, "addresses")
        own = [entry.address for entry in present if entry.device == configuration.device]
        changes: list[operations.Operation] = [
            operations.AddressDelete(device=configuration.device, address=entry) for entry in own if entry != wanted
        ]
        if wanted not in own:
            changes.append(operations.AddressAdd(device=configuration.device, address=wanted))
        if changes:
            await kernel.program(changes)

    async def _make_rules(self, kernel: KernelClient, configuration: Configuration, pod_cidr: str) -> None:
        text = masquerade.restore_text(configuration.network, pod_cidr)
        await kernel.program([operations.IptablesRestore(text=text, noflush=True, owner="flannel")])
        missing = missing_jumps(await kernel.iptables_save(), masquerade.JUMPS, append=True)
        if missing:
            await kernel.program(missing)

    async def _follow(self, kernel: KernelClient, configuration: Configuration) -> None:
        """Brings routes, and with a tunnel neighbours and FDB, to what the other nodes' leases say."""
        assert self._nodes is not None
        if not self._nodes.synced.is_set():
            return
        others = [node for key, node in self._nodes.objects.items() if key.name != self._settings.node]
        leases = [lease for node in others if (lease := lease_of(node, configuration.backend)) is not None]
        straight = await self._reached_directly(kernel, configuration, leases)
        routes = await kernel.read(operations.Route, "routes")
        own = [route for route in routes if route.device == self._settings.interface]
        needed = direct.changes(self._settings.interface, configuration.network, straight, own)
        if configuration.backend == VXLAN:
            tunnelled = [lease for lease in leases if lease not in straight]
            present = await self._present(kernel, configuration, routes)
            needed += tunnel.changes(configuration.device, tunnelled, present)
        if needed:
            await kernel.program(needed)

    async def _reached_directly(
        self, kernel: KernelClient, configuration: Configuration, leases: list[Lease]
    ) -> list[Lease]:
        """The leases that need no tunnel: all with host-gw, those on this node's segment with DirectRouting."""
        if configuration.backend == HOST_GW:
            return leases
        if not configuration.direct_routing:
            return []
        present = await kernel.read(operations.LinkAddress, "addresses")
        own = [entry.address for entry in present if entry.device == self._settings.interface]
        return [lease for lease in leases if direct.is_on_segment(lease.public_ip, own)]

    async def _present(
        self, kernel: KernelClient, configuration: Configuration, routes: list[operations.Route]
    ) -> tunnel.Present:
        device = configuration.device
        return tunnel.Present(
            tuple(entry for entry in routes if entry.device == device),
            tuple(entry for entry in await kernel.read(operations.Neighbour, "neighbours") if entry.device == device),
            tuple(entry for entry in await kernel.read(operations.Fdb, "fdb") if entry.device == device),
        )
