"""Two nodes as Flannel and kube-proxy make them, on a segment with a machine outside, in one list of operations.

node-N: eth0 10.0.0.N, flannel.1 10.244.N.0, cni0 10.244.N.1/24; pods a 10.244.1.5 and b 10.244.1.6 on node-1, c
10.244.2.3 on node-2; outside is 10.0.0.100. The rules are kube-proxy's own text for five Services, and Flannel's.
"""

from collections.abc import Iterator
from typing import Any, Final

from podwire.proto.messages import kernel as m
from podwire.services.kube_proxy.core.endpoints import Endpoint
from podwire.services.kube_proxy.core.iptables.book import full_text
from podwire.services.kube_proxy.core.ports import ServicePortName, ServicePortState
from podwire.services.kube_proxy.core.surroundings import Surroundings

PODS: Final = {"a": (1, 5), "b": (1, 6), "c": (2, 3)}
POINTS: Final = [("a", "eth0"), ("b", "eth0"), ("c", "eth0"), ("outside", "eth0"), ("node1", "eth0"), ("node2", "eth0")]
A, B, C, OUTSIDE = "10.244.1.5", "10.244.1.6", "10.244.2.3", "10.0.0.100"
LOCAL_SERVICE, FAR_SERVICE, DNS, HAIRPIN, EMPTY = (f"10.96.0.{number}" for number in (10, 11, 12, 13, 14))
NODE_PORT: Final = 30080


def pod_mac(name: str) -> str:
    """The MAC of a pod's eth0."""
    number, host = PODS[name]
    return f"02:00:00:0{number}:00:{host:02x}"


def bridge_mac(number: int) -> str:
    """The MAC of a node's cni0."""
    return f"02:00:00:0{number}:00:01"


def node_mac(number: int) -> str:
    """The MAC of a node's eth0."""
    return f"02:00:00:00:00:{number:02x}"


OUTSIDE_MAC: Final = "02:00:00:00:00:64"


def _vtep(number: int) -> str:
    return f"02:00:00:00:01:{number:02x}"


def build() -> Iterator[Any]:
    """The whole topology."""
    yield m.NetnsAdd(netns="switch")
    yield m.SysctlWrite(netns="switch", key="net.bridge.bridge-nf-call-iptables", value="0")
    yield m.LinkAdd(netns="switch", kind="bridge", name="br0", address="02:00:00:00:00:fe", up=True)
    for number in (1, 2):
        yield from _node(number)
    yield from _wire("outside", 100, OUTSIDE_MAC)
    yield m.RouteAdd(netns="outside", destination="10.96.0.0/16", via="10.0.0.1", device="eth0")
    yield m.RouteAdd(netns="outside", destination="10.244.0.0/16", via="10.0.0.1", device="eth0")
    for number in (1, 2):
        yield from _learn(number, 3 - number)
    for name, (number, host) in PODS.items():
        yield from _pod(name, number, host)
    for number in (1, 2):
        yield from _rules(number)


def _wire(name: str, host: int, mac: str) -> Iterator[Any]:
    yield m.NetnsAdd(netns=name)
    yield m.LinkSet(netns=name, name="lo", up=True)
    yield m.LinkAdd(
        netns="switch", kind="veth", name=f"to-{name}", peer="eth0", peer_netns=name, peer_address=mac, up=True
    )
    yield m.LinkSet(netns="switch", name=f"to-{name}", master="br0")
    yield m.LinkSet(netns=name, name="eth0", up=True)
    yield m.AddressAdd(netns=name, device="eth0", address=f"10.0.0.{host}/24", broadcast="+")


def _node(number: int) -> Iterator[Any]:
    netns = f"node{number}"
    yield from _wire(netns, number, node_mac(number))
    yield m.SysctlWrite(netns=netns, key="net.ipv4.ip_forward", value="1")
    yield m.SysctlWrite(netns=netns, key="net.bridge.bridge-nf-call-iptables", value="1")
    yield m.RouteAdd(netns=netns, destination="default", via=OUTSIDE, device="eth0")
    yield m.LinkAdd(
        netns=netns,
        kind="vxlan",
        name="flannel.1",
        address=_vtep(number),
        vni=1,
        device="eth0",
        local=f"10.0.0.{number}",
        learning=False,
        up=True,
    )
    yield m.AddressAdd(netns=netns, device="flannel.1", address=f"10.244.{number}.0/32")
    yield m.LinkAdd(netns=netns, kind="bridge", name="cni0", mtu=1450, address=bridge_mac(number), up=True)
    yield m.AddressAdd(netns=netns, device="cni0", address=f"10.244.{number}.1/24", broadcast="+")


def _learn(number: int, other: int) -> Iterator[Any]:
    netns, subnet = f"node{number}", f"10.244.{other}.0"
    yield m.NeighbourReplace(netns=netns, device="flannel.1", address=subnet, mac=_vtep(other))
    yield m.FdbReplace(netns=netns, device="flannel.1", mac=_vtep(other), remote=f"10.0.0.{other}")
    yield m.RouteReplace(netns=netns, destination=f"{subnet}/24", device="flannel.1", via=subnet, onlink=True)


def _pod(name: str, number: int, host: int) -> Iterator[Any]:
    yield m.NetnsAdd(netns=name)
    yield m.LinkSet(netns=name, name="lo", up=True)
    yield m.LinkAdd(
        netns=f"node{number}",
        kind="veth",
        name=f"veth{host}",
        address=f"02:00:00:0{number}:01:{host:02x}",
        peer="eth0",
        peer_netns=name,
        peer_address=pod_mac(name),
        mtu=1450,
        up=True,
    )
    yield m.LinkSet(netns=f"node{number}", name=f"veth{host}", master="cni0", hairpin=True)
    yield m.LinkSet(netns=name, name="eth0", up=True)
    yield m.AddressAdd(netns=name, device="eth0", address=f"10.244.{number}.{host}/24", broadcast="+")
    yield m.RouteAdd(netns=name, destination="default", via=f"10.244.{number}.1", device="eth0")


def _states(number: int) -> list[ServicePortState]:
    def state(name: str, address: str, port: int, *pods: str, protocol: str = "tcp", node_port: int = 0) -> Any:
        target = {"tcp": 8080, "udp": 5353}[protocol]
        endpoints = tuple(
            Endpoint(f"10.244.{PODS[pod][0]}.{PODS[pod][1]}", target, PODS[pod][0] == number, True, True, False)
            for pod in pods
        )
        return ServicePortState(
            name=ServicePortName("default", name, ""),
            protocol=protocol,
            cluster_ip=address,
            port=port,
            node_port=node_port,
            cluster_endpoints=endpoints,
        )

    return [
        state("local", LOCAL_SERVICE, 80, "b"),
        state("far", FAR_SERVICE, 80, "c", node_port=NODE_PORT),
        state("dns", DNS, 53, "c", protocol="udp"),
        state("hairpin", HAIRPIN, 80, "a"),
        state("empty", EMPTY, 80),
    ]


def _rules(number: int) -> Iterator[Any]:
    netns = f"node{number}"
    yield m.IptablesRestore(netns=netns, text=JUMPS, noflush=True)
    yield m.IptablesRestore(netns=netns, text=FLANNEL.format(number=number), noflush=True)
    own = full_text(_states(number), Surroundings(cluster_cidr="10.244.0.0/16"))
    yield m.IptablesRestore(netns=netns, text=own, noflush=True)


JUMPS: Final = """*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:KUBE-EXTERNAL-SERVICES - [0:0]
:KUBE-FIREWALL - [0:0]
:KUBE-FORWARD - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-PROXY-FIREWALL - [0:0]
:KUBE-SERVICES - [0:0]
-A INPUT -m conntrack --ctstate NEW -j KUBE-PROXY-FIREWALL
-A INPUT -j KUBE-NODEPORTS
-A INPUT -m conntrack --ctstate NEW -j KUBE-EXTERNAL-SERVICES
-A INPUT -j KUBE-FIREWALL
-A FORWARD -m conntrack --ctstate NEW -j KUBE-PROXY-FIREWALL
-A FORWARD -j KUBE-FORWARD
-A FORWARD -m conntrack --ctstate NEW -j KUBE-SERVICES
-A FORWARD -m conntrack --ctstate NEW -j KUBE-EXTERNAL-SERVICES
-A OUTPUT -m conntrack --ctstate NEW -j KUBE-PROXY-FIREWALL
-A OUTPUT -m conntrack --ctstate NEW -j KUBE-SERVICES
-A OUTPUT -j KUBE-FIREWALL
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-SERVICES - [0:0]
-A PREROUTING -j KUBE-SERVICES
-A OUTPUT -j KUBE-SERVICES
-A POSTROUTING -j KUBE-POSTROUTING
COMMIT
"""
FLANNEL: Final = """*nat
:FLANNEL-POSTRTG - [0:0]
-A POSTROUTING -j FLANNEL-POSTRTG
-A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 -j RETURN
-A FLANNEL-POSTRTG -s 10.244.{number}.0/24 -d 10.244.0.0/16 -j RETURN
-A FLANNEL-POSTRTG -s 10.244.0.0/16 -d 10.244.{number}.0/24 -j RETURN
-A FLANNEL-POSTRTG ! -s 10.244.0.0/16 -d 10.244.{number}.0/24 -j RETURN
-A FLANNEL-POSTRTG -s 10.244.0.0/16 ! -d 224.0.0.0/4 -j MASQUERADE --random-fully
-A FLANNEL-POSTRTG ! -s 10.244.0.0/16 -d 10.244.0.0/16 -j MASQUERADE --random-fully
COMMIT
*filter
:FLANNEL-FWD - [0:0]
-A FORWARD -j FLANNEL-FWD
-A FLANNEL-FWD -s 10.244.0.0/16 -j ACCEPT
-A FLANNEL-FWD -d 10.244.0.0/16 -j ACCEPT
COMMIT
"""
