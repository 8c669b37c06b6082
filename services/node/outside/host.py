"""Hosts on the machines' segment that are none of the cluster's machines: a kernel of their own, and a NIC.

They answer ARP, neighbour solicitations and pings, and refuse connections that they do not know.
"""

from collections.abc import Sequence
from typing import Final

from podwire.proto.messages import kernel as operations
from podwire.services.chassis.bus.base import Bus
from podwire.services.chassis.chance import RandomBits
from podwire.services.chassis.clock import Clock
from podwire.services.node.kernel.kernel import Kernel
from podwire.services.node.kernel.programming import apply_operation
from podwire.services.node.machine import mac_of
from podwire.services.node.shell import KernelShell

NIC: Final = "eth0"


def attach_host(
    bus: Bus,
    clock: Clock,
    random: RandomBits,
    *,
    name: str,
    addresses: Sequence[str],
    segment: str,
    routers: Sequence[str] = (),
) -> KernelShell:
    """A host that hears the segment from now on. `addresses` have their prefix lengths; `routers` are a machine's
    addresses to which it routes what is not on the segment."""
    shell = KernelShell(Kernel(name, name, random), bus, clock)
    mac = mac_of(addresses[0])
    shell.plug(NIC, segment, mac)
    for step in (
        operations.LinkSet(name="lo", up=True),
        operations.LinkAdd(kind="nic", name=NIC, address=mac, segment=segment, up=True),
        *(operations.AddressAdd(device=NIC, address=address) for address in addresses),
        *(operations.RouteAdd(destination=_default(via), via=via, device=NIC) for via in routers),
    ):
        with shell.turn() as kernel:
            apply_operation(kernel, step)
    return shell


def _default(router: str) -> str:
    return "::/0" if ":" in router else "0.0.0.0/0"
