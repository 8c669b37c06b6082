"""One family's part of the machine's kernel: the tunnel, the rules, and the ways to the other nodes."""

import ipaddress

from podwire.proto.kube.families import of_family
from podwire.proto.kube.network import Node
from podwire.proto.messages import kernel as operations
from podwire.services.chassis.iptables import missing_jumps
from podwire.services.chassis.kernel import KernelClient
from podwire.services.cni.flannel.core import direct, masquerade, tunnel
from podwire.services.cni.flannel.core.configuration import Configuration
from podwire.services.cni.flannel.core.leases import HOST_GW, VXLAN, Lease, annotations, lease_of, subnet_of
from podwire.services.cni.flannel.core.stack import Stack


class FamilyProgram:
    """Brings one family to what the nodes' leases say. Every method raises KernelRefused, KernelUnavailable."""

    def __init__(self, kernel: KernelClient, configuration: Configuration, stack: Stack, interface: str) -> None:
        self._kernel, self._configuration, self._interface = kernel, configuration, interface
        self._stack, self._network = stack, configuration.network(stack)
        self._device = configuration.device(stack)

    def is_ready(self, node: Node) -> bool:
        """Whether the node has what a lease needs: a pod range and an address."""
        return bool(subnet_of(node, self._stack) and of_family(node.internal_ips, self._stack.family))

    async def set_up(self, node: Node, interface_mtu: int) -> dict[str, str]:
        """Makes what this node needs; the annotations that tell the others of it."""
        address, subnet = of_family(node.internal_ips, self._stack.family), subnet_of(node, self._stack)
        backend, mac = self._configuration.backend, ""
        if backend == VXLAN:
            mac = await self._make_tunnel(address, subnet, interface_mtu - self._stack.overhead)
        await self._make_rules(subnet)
        return annotations(address, self._configuration.vni, mac, backend, self._stack)

    async def _make_tunnel(self, local: str, subnet: str, mtu: int) -> str:
        """The tunnel's MAC."""
        if self._device not in await self._links():
            made = operations.LinkAdd(
                kind="vxlan",
                name=self._device,
                vni=self._configuration.vni,
                port=self._configuration.port,
                local=local,
                device=self._interface,
                learning=False,
                mtu=mtu,
                up=True,
            )
            await self._kernel.program([made])
        await self._ensure_address(f"{subnet.partition('/')[0]}/{self._stack.bits}")
        return (await self._links())[self._device].address

    async def _links(self) -> dict[str, operations.Link]:
        return {link.name: link for link in await self._kernel.read(operations.Link, "links")}

    async def _addresses(self, device: str) -> list[str]:
        """Those of this family, without the link-local ones, which are the kernel's own."""
        present = await self._kernel.read(operations.LinkAddress, "addresses", family=self._stack.kernel)
        return [entry.address for entry in present if entry.device == device and entry.scope != "link"]

    async def _ensure_address(self, wanted: str) -> None:
        own = await self._addresses(self._device)
        changes: list[operations.Operation] = [
            operations.AddressDelete(device=self._device, address=entry) for entry in own if entry != wanted
        ]
        if wanted not in own:
            changes.append(operations.AddressAdd(device=self._device, address=wanted))
        if changes:
            await self._kernel.program(changes)

    async def _make_rules(self, subnet: str) -> None:
        kernel, family = self._kernel, self._stack.kernel
        text = masquerade.restore_text(self._network, subnet, self._stack)
        await kernel.program([operations.IptablesRestore(text=text, noflush=True, owner="flannel", family=family)])
        saved = await kernel.iptables_save(family=family)
        missing = missing_jumps(saved, masquerade.JUMPS, append=True, family=family)
        if missing:
            await kernel.program(missing)

    async def follow(self, others: list[Node]) -> None:
        """Brings routes, and with a tunnel neighbours and FDB, to what the other nodes' leases say."""
        backend = self._configuration.backend
        leases = [lease for node in others if (lease := lease_of(node, backend, self._stack)) is not None]
        straight = await self._reached_directly(leases)
        routes = await self._kernel.read(operations.Route, "routes", family=self._stack.kernel)
        own = [route for route in routes if route.device == self._interface]
        needed = direct.changes(self._interface, self._network, straight, own)
        if backend == VXLAN:
            tunnelled = [lease for lease in leases if lease not in straight]
            needed += tunnel.changes(self._device, tunnelled, await self._present(routes))
        if needed:
            await self._kernel.program(needed)

    async def _reached_directly(self, leases: list[Lease]) -> list[Lease]:
        """The leases that need no tunnel: all with host-gw, those on this node's segment with DirectRouting."""
        if self._configuration.backend == HOST_GW:
            return leases
        if not self._configuration.direct_routing:
            return []
        own = await self._addresses(self._interface)
        return [lease for lease in leases if direct.is_on_segment(lease.public_ip, own)]

    async def _present(self, routes: list[operations.Route]) -> tunnel.Present:
        device = self._device
        neighbours = await self._kernel.read(operations.Neighbour, "neighbours")
        return tunnel.Present(
            tuple(entry for entry in routes if entry.device == device),
            tuple(entry for entry in neighbours if entry.device == device and _is_unicast(entry.address)),
            tuple(entry for entry in await self._kernel.read(operations.Fdb, "fdb") if entry.device == device),
        )


def _is_unicast(address: str) -> bool:
    return not ipaddress.ip_address(address).is_multicast
