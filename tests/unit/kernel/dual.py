"""The address plan of topology.py with IPv6 beside it, as a dual-stack Flannel makes it.

node-N has fd00:10::N on eth0, fd00:10:244:N::1/64 on cni0 and flannel-v6.1 with fd00:10:244:N::.
"""

from tests.unit.kernel.topology import Network, Node

from podwire.proto.messages import kernel as m

PODS = "fd00:10:244:{number}::{host:x}"


def vtep6(node: Node) -> str:
    return f"02:00:00:00:06:{node.number:02x}"


def add_ipv6(network: Network) -> None:
    """Give every node IPv6, and tell each about the others."""
    for node in network.nodes:
        number = node.number
        node.do(
            m.SysctlWrite(key="net.ipv6.conf.all.forwarding", value="1"),
            m.AddressAdd(device="eth0", address=f"fd00:10::{number}/64"),
            m.AddressAdd(device="cni0", address=f"fd00:10:244:{number}::1/64"),
            m.LinkAdd(
                kind="vxlan",
                name="flannel-v6.1",
                address=vtep6(node),
                vni=1,
                device="eth0",
                local=f"fd00:10::{number}",
                learning=False,
                up=True,
            ),
            m.AddressAdd(device="flannel-v6.1", address=f"fd00:10:244:{number}::/128"),
        )
    for node in network.nodes:
        for other in network.nodes:
            if other is not node:
                learn6(node, other)


def learn6(node: Node, other: Node) -> None:
    """What flanneld programs for another node's IPv6 subnet."""
    subnet = f"fd00:10:244:{other.number}::"
    node.do(
        m.NeighbourReplace(device="flannel-v6.1", address=subnet, mac=vtep6(other)),
        m.FdbReplace(device="flannel-v6.1", mac=vtep6(other), remote=f"fd00:10::{other.number}"),
        m.RouteReplace(destination=f"{subnet}/64", device="flannel-v6.1", via=subnet, onlink=True),
    )


def dual_pod(node: Node, name: str, host: int, mtu: int = 1430) -> str:
    """A pod with an address of each family; its IPv6 address."""
    node.pod(name, host, mtu)
    address = PODS.format(number=node.number, host=host)
    node.do(
        m.LinkSet(netns=name, name="eth0", mtu=mtu),
        m.AddressAdd(netns=name, device="eth0", address=f"{address}/64"),
        m.RouteAdd(netns=name, destination="::/0", via=f"fd00:10:244:{node.number}::1"),
    )
    return address


def dual_cluster(*, cached: bool = True) -> Network:
    """Pods a and b on node-1, c on node-2."""
    network = Network(cached=cached)
    add_ipv6(network)
    dual_pod(network[1], "a", 5)
    dual_pod(network[1], "b", 6)
    dual_pod(network[2], "c", 3)
    return network
