"""Which of several next hops a packet takes: by a hash of its flow, in proportion to their weights.

Linux net/ipv4/fib_semantics.c (fib_rebalance, fib_select_multipath) and net/ipv4/route.c (fib_multipath_hash). The hash
is keyed by the machine's boot, as Linux's is by chance: each flow keeps to a hop, which one is for nobody to know.
"""

import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple

from podwire.proto.packet.addresses import is_ipv6
from podwire.services.node.kernel.conntrack.table import quoted_packet
from podwire.services.node.kernel.packet import FRAGMENT_BITS, Packet

if TYPE_CHECKING:
    from podwire.services.node.kernel.fib import Route

POLICIES: Final = ("0", "1")
"""net.ipv4.fib_multipath_hash_policy: addresses, or protocol and ports too."""
_SPAN: Final = 31
"""Bits of the hash that choose."""


class Flow(NamedTuple):
    """What the hash is of; 0 stands for what is not known."""

    destination: int
    source: int = 0
    protocol: int = 0
    source_port: int = 0
    destination_port: int = 0


def flow_of(packet: Packet) -> Flow:
    """A packet's flow: an ICMP error goes the way of the packet that it quotes (ip_multipath_l3_keys)."""
    about = quoted_packet(packet) or packet
    ports = (0, 0) if about.fragment & FRAGMENT_BITS else (about.source_port, about.destination_port)
    return Flow(about.destination, about.source, about.protocol, *ports)


def flow_hash(flow: Flow, policy: str, key: bytes) -> int:
    """31 bits of a flow; IPv6's protocol counts in either policy (rt6_multipath_hash)."""
    parts = [flow.source, flow.destination]
    if policy == "1":
        parts += [flow.protocol, flow.source_port, flow.destination_port]
    elif is_ipv6(flow.destination):
        parts.append(flow.protocol)
    text = ",".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2s(text, digest_size=4, key=key).digest()) >> 32 - _SPAN


def choose(route: "Route", number: int) -> "Route":
    """The route by the hop whose share of the numbers holds `number`; hops over devices that are down have none."""
    hops = [hop for hop in route.hops if hop.is_alive] or list(route.hops)
    total = sum(hop.weight for hop in hops)
    reached = 0
    for hop in hops:
        reached += hop.weight
        if number < ((reached << _SPAN) + total // 2) // total:
            return hop.route
    return hops[-1].route
