"""The tools' own texts, from live state."""

import pytest
from services import rules
from topology import SECOND, Network

from podwire.proto.messages import kernel as m
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.fib import Selector
from podwire.services.node.kernel.printing.links import Selection, bridge_fdb, bridge_link, ip_addr, ip_link
from podwire.services.node.kernel.printing.routes import ip_neigh, ip_route, ip_route_get


def network() -> Network:
    made = Network()
    made[1].do(
        m.NetnsAdd(netns="cni-1"),
        m.LinkAdd(
            kind="veth",
            name="veth1234",
            peer="eth0",
            peer_netns="cni-1",
            mtu=1450,
            address="02:00:00:00:03:01",
            peer_address="02:00:00:00:03:02",
            up=True,
            master="cni0",
        ),
        m.LinkSet(netns="cni-1", name="eth0", up=True),
        m.AddressAdd(netns="cni-1", device="eth0", address="10.244.1.5/24", broadcast="+"),
        m.IptablesRestore(text=rules("10.244.1.5:8080"), noflush=True),
    )
    return made


CNI0 = (
    "4: cni0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 qdisc noqueue state UP mode DEFAULT group default qlen 1000\n"
    "    link/ether 02:00:00:00:02:01 brd ff:ff:ff:ff:ff:ff\n"
)
VETH = (
    "5: veth1234@if2: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 qdisc noqueue master cni0 state UP "
    "mode DEFAULT group default\n"
    "    link/ether 02:00:00:00:03:01 brd ff:ff:ff:ff:ff:ff link-netns cni-1\n"
)


@pytest.mark.parametrize(
    ("selection", "text"),
    [
        (Selection(kind="bridge"), CNI0),
        (Selection(device="veth1234"), VETH),
        (Selection(kind="veth"), VETH),
        (Selection(master="cni0"), VETH),
        (Selection(kind="bridge", oneline=True), CNI0.strip().replace("\n", "\\") + "\n"),
        (
            Selection(kind="bridge", brief=True),
            "cni0             UP             02:00:00:00:02:01 <BROADCAST,MULTICAST,UP,LOWER_UP> \n",
        ),
    ],
)
def test_ip_link(selection: Selection, text: str) -> None:
    assert ip_link(network()[1].kernel.root, selection) == text


def test_states_without_a_carrier() -> None:
    made = network()
    made[1].do(m.LinkSet(netns="cni-1", name="eth0", up=False))
    text = ip_link(made[1].kernel.root)
    assert "cni0: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1450 qdisc noqueue state DOWN" in text
    assert "<NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1450 qdisc noqueue master cni0 state LOWERLAYERDOWN" in text


def test_ip_addr() -> None:
    assert ip_addr(network()[1].kernel.namespace("cni-1"), Selection(device="eth0")) == (
        "2: eth0@if5: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 qdisc noqueue state UP group default\n"
        "    link/ether 02:00:00:00:03:02 brd ff:ff:ff:ff:ff:ff link-netnsid 0\n"
        "    inet 10.244.1.5/24 brd 10.244.1.255 scope global eth0\n"
        "       valid_lft forever preferred_lft forever\n"
        "    inet6 fe80::ff:fe00:302/64 scope link \n"
        "       valid_lft forever preferred_lft forever\n"
    )


def test_ip_route() -> None:
    assert ip_route(network()[1].kernel.root) == (
        "default via 10.0.0.254 dev eth0 \n"
        "10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.1 \n"
        "10.244.1.0/24 dev cni0 proto kernel scope link src 10.244.1.1 \n"
        "10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink \n"
    )
    get = ip_route_get(network()[1].kernel.root, Selector(0x0AF40203))
    assert get == "10.244.2.3 via 10.244.2.0 dev flannel.1 src 10.244.1.0 uid 0 \n    cache \n"


def test_ip_neigh() -> None:
    made = network()
    made[1].sockets().open_ping().send_echo("10.244.1.5", 1)
    made.run(SECOND)
    assert ip_neigh(made[1].kernel.root) == (
        "10.244.2.0 dev flannel.1 lladdr 02:00:00:00:01:02 PERMANENT \n"
        "10.244.1.5 dev cni0 lladdr 02:00:00:00:03:02 REACHABLE \n"
    )
    assert ip_neigh(made[1].kernel.root, "cni0") == "10.244.1.5 lladdr 02:00:00:00:03:02 REACHABLE \n"
    made[1].kernel.set_time(made[1].kernel.now + 31 * SECOND)
    assert ip_neigh(made[1].kernel.root, "cni0") == "10.244.1.5 lladdr 02:00:00:00:03:02 STALE \n", (
        "not confirmed since"
    )


def test_bridge() -> None:
    root = network()[1].kernel.root
    assert bridge_link(root) == (
        "5: veth1234@if2: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 master cni0 state forwarding priority 32 cost 2 \n"
    )
    assert bridge_fdb(root, "flannel.1") == "02:00:00:00:01:02 dst 10.0.0.2 self permanent\n"


def test_a_device_that_is_not_there() -> None:
    with pytest.raises(KernelError, match='Cannot find device "x"'):
        ip_link(network()[1].kernel.root, Selection(device="x"))
