"""Hosts on the machines' segment that are none of the cluster's machines: a kernel of their own, and a NIC.

They answer ARP, neighbour solicitations and pings, and refuse connections that they do not know.
"""

from collections.abc import Sequence

from podwire.services.chassis.bus.base import Bus
from podwire.services.chassis.chance import RandomBits
from podwire.services.chassis.clock import Clock
from podwire.services.node.kernel.kernel import Kernel
from podwire.services.node.machine import plug_in
from podwire.services.node.shell import KernelShell


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
    plug_in(shell, segment, addresses, routers)
    return shell
