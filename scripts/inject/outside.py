"""A host outside of the cluster for the time of a command, with addresses of its own."""

import secrets
from collections.abc import Sequence
from typing import Final

from podwire.scripts.cluster.layout import OUTSIDE, SEGMENT
from podwire.services.chassis.bus.base import Bus
from podwire.services.chassis.chance import RandomStream
from podwire.services.chassis.clock import Clock
from podwire.services.node.outside.host import attach_host
from podwire.services.node.shell import KernelShell

_PREFIX: Final = {True: 64, False: 16}
"""Lengths of the segment's networks, of IPv6 and of IPv4."""


def outside_host(
    bus: Bus, clock: Clock, addresses: Sequence[str], routers: Sequence[str] = (), seed: int | None = None
) -> KernelShell:
    """A host outside; `routers` are the addresses of the machine to which it routes what is not on the segment."""
    random = RandomStream(secrets.randbits(64) if seed is None else seed)
    whole = [f"{address}/{_PREFIX[':' in address]}" for address in addresses]
    return attach_host(bus, clock, random, name=OUTSIDE, addresses=whole, segment=SEGMENT, routers=routers)
