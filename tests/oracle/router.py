"""A router between three hosts: the topology that packets and rules are generated for.

client 10.1.0.2 -- c0 router s0 -- server 10.2.0.2; the router's third leg o0 leads to other, 10.3.0.2. Neighbours are
known, so that nothing but what a packet causes is on the wire.
"""

from collections.abc import Iterator
from typing import Any, Final

from podwire.proto.messages import kernel as m

HOSTS: Final = {"client": 1, "server": 2, "other": 3}
POINTS: Final = [("client", "eth0"), ("server", "eth0"), ("other", "eth0")]


def host_mac(number: int) -> str:
    """The MAC of a host's eth0."""
    return f"02:00:00:00:0{number}:02"


def router_mac(number: int) -> str:
    """The MAC of the router's leg to that host."""
    return f"02:00:00:00:0{number}:01"


def leg(name: str) -> str:
    """The router's device towards a host."""
    return f"{name[0]}0"


def build(*, server_mtu: int = 1500) -> Iterator[Any]:
    """The whole topology, both families."""
    yield m.NetnsAdd(netns="router")
    yield m.LinkSet(netns="router", name="lo", up=True)
    for key in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
        yield m.SysctlWrite(netns="router", key=key, value="1")
    for name, number in HOSTS.items():
        yield from _host(name, number, server_mtu if name == "server" else 1500)
    yield from _router_routes()


def policies() -> Iterator[Any]:
    """Policy rules on the router: by mark, source, port, interface and with a suppressed prefix length."""
    add, route = m.RuleAdd, m.RouteAdd
    yield route(netns="router", destination="default", via="10.3.0.2", device="o0", table="100")
    yield route(netns="router", destination="10.2.0.0/24", via="10.3.0.2", device="o0", table="101")
    yield route(netns="router", destination="10.3.0.0/24", kind="throw", table="101")
    yield route(netns="router", destination="default", via="10.2.0.2", device="s0")
    yield add(netns="router", priority=100, mark=1, mark_mask=1, table="100")
    yield add(netns="router", priority=101, protocol=17, destination_ports=(443, 9000), table="101")
    yield add(netns="router", priority=102, source="10.7.0.0/16", action="prohibit")
    yield add(netns="router", priority=103, tos=0x10, in_device="c0", table="101")
    yield add(netns="router", priority=104, protocol=6, source_ports=(80, 80), action="blackhole")
    yield add(netns="router", priority=105, table="main", suppress_prefix_length=0)
    yield add(netns="router", priority=106, inverted=True, source="10.1.0.0/24", table="100")


def _host(name: str, number: int, mtu: int) -> Iterator[Any]:
    yield m.NetnsAdd(netns=name)
    yield m.LinkSet(netns=name, name="lo", up=True)
    yield m.LinkAdd(
        netns="router",
        kind="veth",
        name=leg(name),
        address=router_mac(number),
        peer="eth0",
        peer_netns=name,
        peer_address=host_mac(number),
        mtu=mtu,
        up=True,
    )
    yield m.LinkSet(netns=name, name="eth0", up=True)
    for prefix, length in ((f"10.{number}.0.", 24), (f"fd0{number}::", 64)):
        yield m.AddressAdd(netns="router", device=leg(name), address=f"{prefix}1/{length}")
        yield m.AddressAdd(netns=name, device="eth0", address=f"{prefix}2/{length}")
        yield m.NeighbourReplace(netns="router", device=leg(name), address=f"{prefix}2", mac=host_mac(number))
        yield m.NeighbourReplace(netns=name, device="eth0", address=f"{prefix}1", mac=router_mac(number))
        yield m.RouteAdd(netns=name, destination="default", via=f"{prefix}1", device="eth0")


def _router_routes() -> Iterator[Any]:
    for kind, third in (("blackhole", 1), ("unreachable", 2), ("prohibit", 3)):
        yield m.RouteAdd(netns="router", destination=f"10.9.{third}.0/24", kind=kind)
        yield m.RouteAdd(netns="router", destination=f"fd09:{third}::/64", kind=kind)
    yield m.RouteAdd(netns="router", destination="10.96.0.0/16", device="s0", via="10.2.0.2")
    yield m.RouteAdd(netns="router", destination="10.4.0.0/16", device="o0", via="10.3.0.2")
    yield m.RouteAdd(netns="router", destination="10.4.8.0/24", device="s0", via="10.2.0.2", metric=5)
    yield m.RouteAdd(netns="router", destination="fd96::/64", device="s0", via="fd02::2")
