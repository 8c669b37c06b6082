"""The host outside the cluster: a kernel of its own at the gateway's address, on the machines' segment.

It answers ARP and refuses connections that it does not know, as the host does on which a cluster's machines run. Two
of them at once would answer each other's connections.
"""

import secrets
from typing import Final

from podwire.proto.messages import kernel as operations
from podwire.scripts.cluster.addressing import ADDRESSING
from podwire.scripts.cluster.layout import OUTSIDE, OUTSIDE_MAC, SEGMENT
from podwire.services.chassis.bus.base import Bus
from podwire.services.chassis.chance import RandomStream
from podwire.services.chassis.clock import Clock
from podwire.services.node.kernel.kernel import Kernel
from podwire.services.node.kernel.programming import apply_operation
from podwire.services.node.shell import KernelShell

NIC: Final = "eth0"


def outside_host(bus: Bus, clock: Clock, routers: tuple[str, ...] = (), seed: int | None = None) -> KernelShell:
    """A host outside; `routers` are the addresses of the machine to which it routes what is not on the segment."""
    random = RandomStream(secrets.randbits(64) if seed is None else seed)
    shell = KernelShell(Kernel(OUTSIDE, OUTSIDE, random), bus, clock)
    shell.plug(NIC, SEGMENT, OUTSIDE_MAC)
    steps: list[operations.Operation] = [
        operations.LinkSet(name="lo", up=True),
        operations.LinkAdd(kind="nic", name=NIC, address=OUTSIDE_MAC, segment=SEGMENT, up=True),
        *(operations.AddressAdd(device=NIC, address=address) for address in ADDRESSING["dual"].outside),
    ]
    for router in routers:
        everywhere = "::/0" if ":" in router else "0.0.0.0/0"
        steps.append(operations.RouteAdd(destination=everywhere, via=router, device=NIC))
    for step in steps:
        with shell.turn() as kernel:
            apply_operation(kernel, step)
    return shell
