"""flanneld's shell: sets the families up, tells the others, follows them, writes the machine's files."""

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
from podwire.services.chassis.kernel import KernelClient, KernelRefused, KernelUnavailable
from podwire.services.cni.flannel.core.configuration import (
    Configuration,
    ConfigurationError,
    read,
    subnet_environment,
)
from podwire.services.cni.flannel.core.leases import VXLAN, subnet_of
from podwire.services.cni.flannel.programming import FamilyProgram
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
        programs = self._programs(kernel, configuration)
        if node is None or not all(program.is_ready(node) for program in programs):
            return False
        links = {link.name: link for link in await kernel.read(operations.Link, "links")}
        interface_mtu = links[self._settings.interface].mtu
        told: dict[str, str] = {}
        for program in programs:
            told |= await program.set_up(node, interface_mtu)
        await self._client.patch(resources.NODES, "", self._settings.node, {"metadata": {"annotations": told}})
        await self._write_files(container, configuration, node, interface_mtu - configuration.overhead)
        self._log_lease(container, configuration, node)
        return True

    def _programs(self, kernel: KernelClient, configuration: Configuration) -> list[FamilyProgram]:
        interface = self._settings.interface
        return [FamilyProgram(kernel, configuration, stack, interface) for stack in configuration.stacks]

    async def _write_files(self, container: Container, configuration: Configuration, node: Node, mtu: int) -> None:
        """What the CNI plugin reads: it needs no running flanneld."""
        subnets = {stack.family: subnet_of(node, stack) for stack in configuration.stacks}
        text = subnet_environment(configuration, subnets, mtu)
        await container.write_file(self._settings.subnet_file, text.encode())
        conflist = await container.read_file(self._settings.cni_conf)
        if conflist is not None:
            await container.write_file(self._settings.conflist, conflist)

    def _log_lease(self, container: Container, configuration: Configuration, node: Node) -> None:
        stacks = configuration.stacks
        self._lease = ",".join(subnet_of(node, stack) for stack in stacks)
        devices = [configuration.device(stack) for stack in stacks]
        running = " and ".join(devices) if configuration.backend == VXLAN else self._settings.interface
        container.log(f"Lease acquired: {self._lease}", f"Running {configuration.backend} on {running}")

    async def _follow(self, kernel: KernelClient, configuration: Configuration) -> None:
        """Brings each family's ways to what the other nodes tell."""
        assert self._nodes is not None
        if not self._nodes.synced.is_set():
            return
        others = [node for key, node in self._nodes.objects.items() if key.name != self._settings.node]
        for program in self._programs(kernel, configuration):
            await program.follow(others)
