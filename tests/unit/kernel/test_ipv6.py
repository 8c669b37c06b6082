"""IPv6 through machines: neighbour discovery, routing, tunnels, path MTU, fragments, ip6tables, sockets."""

import errno

import pytest
from dual import dual_cluster
from topology import SECOND, Network

from podwire.proto.messages import kernel as m
from podwire.proto.packet.addresses import parse_address
from podwire.proto.packet.summary import summarize_frame
from podwire.services.node.kernel.drops import DropReason
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.printing.links import ip_addr
from podwire.services.node.kernel.printing.netfilter import conntrack_list
from podwire.services.node.kernel.printing.routes import ip_neigh, ip_route

A, B, C = "fd00:10:244:1::5", "fd00:10:244:1::6", "fd00:10:244:2::3"


def drops(network: Network) -> dict[tuple[str, str], int]:
    return {
        (netns or node.name, reason.value): count
        for node in network.nodes
        for (netns, reason), count in node.kernel.drops.counts.items()
    }


@pytest.mark.parametrize(
    ("destination", "hops"),
    [(B, 64), (C, 62), ("fd00:10:244:1::1", 64), ("fd00:10::2", 63), (A, 64), ("::1", 64)],
)
def test_ping_from_pod_a(destination: str, hops: int) -> None:
    network = dual_cluster()
    ping = network[1].sockets("a").open_ping()
    ping.send_echo(destination, 1, b"hello")
    network.run(SECOND)
    echo = ping.receive()
    assert echo is not None
    assert (echo.type, echo.source, echo.payload, echo.ttl) == (129, destination, b"hello", hops)
    assert drops(network) == {}


def test_a_neighbour_is_solicited_through_its_group_and_probed_alone() -> None:
    network = dual_cluster()
    network[1].sockets("a").open_ping("t").send_echo("fd00:10::2", 1)
    network.run(SECOND)
    said = [line for frame in network.frames if "neighbor" in (line := summarize_frame(frame))]
    assert said[:2] == [
        "IP6 fe80::ff:fe00:1 > ff02::1:ff00:2: ICMP6, neighbor solicitation, who has fd00:10::2, length 32",
        "IP6 fd00:10::2 > fe80::ff:fe00:1: ICMP6, neighbor advertisement, tgt is fd00:10::2, length 32",
    ]
    assert "fd00:10::2 dev eth0 lladdr 02:00:00:00:00:02 REACHABLE \n" in ip_neigh(
        network[1].kernel.root, family="ipv6"
    )


@pytest.mark.parametrize(("allowed", "state"), [("0", "FAILED"), ("1", "REACHABLE")])
def test_a_router_answers_for_another_only_with_proxy_ndp(allowed: str, state: str) -> None:
    network = dual_cluster()
    network[2].do(
        m.NeighbourReplace(device="eth0", address="fd00:10::77", proxy=True),
        m.SysctlWrite(key="net.ipv6.conf.eth0.proxy_ndp", value=allowed),
    )
    network[1].sockets("").open_ping().send_echo("fd00:10::77", 1)
    network.run(4 * SECOND)
    known = ip_neigh(network[1].kernel.root, family="ipv6")
    [line] = [line for line in known.splitlines() if line.startswith("fd00:10::77 ")]
    assert line.split()[-1] == state


def test_nobody_answers() -> None:
    network = dual_cluster()
    network[1].do(m.LinkSet(name="lo", up=True))
    udp = network[1].sockets().open_udp()
    udp.connect(("fd00:10::99", 53))
    udp.send(b"?")
    network.run(5 * SECOND)
    with pytest.raises(KernelError) as failure:
        udp.receive()
    assert failure.value.errno == errno.EHOSTUNREACH
    assert drops(network) == {("node-1", "NEIGH_FAILED"): 1}
    assert ip_neigh(network[1].kernel.root, family="ipv6").count("fd00:10::99 dev eth0 FAILED") == 1


def test_addresses_come_with_links() -> None:
    network = dual_cluster()
    text = ip_addr(network[1].kernel.namespace("a"))
    assert "    inet6 ::1/128 scope host \n" in text
    assert f"    inet6 {A}/64 scope global \n       valid_lft forever preferred_lft forever\n    inet6 fe80::" in text
    node = network[1]
    node.do(m.LinkAdd(kind="bridge", name="br9", address="02:00:00:00:09:01", up=True))
    assert "inet6" not in ip_addr(node.kernel.root).split("br9")[1]
    node.do(m.LinkSet(netns="a", name="eth0", up=False))
    assert "inet6 fd00" not in ip_addr(node.kernel.namespace("a"))


def test_routes_print_as_iproute2_prints_them() -> None:
    network = dual_cluster()
    root = network[1].kernel.root
    assert ip_route(root, family="ipv6").splitlines()[:4] == [
        "fd00:10::/64 dev eth0 proto kernel metric 256 pref medium",
        "fd00:10:244:1:: dev flannel-v6.1 proto kernel metric 256 pref medium",
        "fd00:10:244:1::/64 dev cni0 proto kernel metric 256 pref medium",
        "fd00:10:244:2::/64 via fd00:10:244:2:: dev flannel-v6.1 metric 1024 onlink pref medium",
    ]
    pod = ip_route(network[1].kernel.namespace("a"), family="ipv6").splitlines()
    assert pod[0] == "fd00:10:244:1::/64 dev eth0 proto kernel metric 256 pref medium"
    assert pod[-1] == "default via fd00:10:244:1::1 dev eth0 metric 1024 pref medium"


def test_tcp_across_nodes() -> None:
    network = dual_cluster()
    listener = network[2].sockets("c").listen_tcp(("::", 80))
    client = network[1].sockets("a").open_tcp()
    client.connect((C, 80))
    network.run(SECOND)
    server = listener.accept()
    assert server is not None
    assert server.remote_endpoint == (A, client.local_endpoint[1])
    client.send(bytes(5000))
    network.run(SECOND)
    assert len(server.receive(10000) or b"") == 5000
    outer = [frame for frame in network.frames if frame[12:14] == b"\x86\xdd" and frame[20] == 17]
    assert max(len(frame) for frame in outer) == 1514  # 1430 + 14 inside, 70 around


def test_a_dual_stack_listener_takes_ipv4_too() -> None:
    network = dual_cluster()
    listener = network[2].sockets("c").listen_tcp(("::", 80))
    with pytest.raises(KernelError) as failure:
        network[2].sockets("c").listen_tcp(("0.0.0.0", 80))
    assert failure.value.errno == errno.EADDRINUSE
    client = network[1].sockets("a").open_tcp()
    client.connect(("10.244.2.3", 80))
    network.run(SECOND)
    assert client.state == "ESTABLISHED"
    assert listener.accept() is not None


def test_path_mtu_is_told_and_kept() -> None:
    network = dual_cluster()
    network[2].do(m.LinkSet(name="cni0", mtu=1300), m.LinkSet(name="veth3", mtu=1300))
    socket = network[1].sockets("a").open_udp()
    socket.connect((C, 9))
    socket.send(bytes(1350))
    network.run(SECOND)
    assert network[1].sockets("a").mtu_to(parse_address(C)) == 1300
    assert drops(network) == {("node-2", "PKT_TOO_BIG"): 1}


@pytest.mark.parametrize("tracked", [False, True])
def test_the_sender_cuts_and_the_receiver_joins(tracked: bool) -> None:
    network = dual_cluster()
    if tracked:
        rule = "*filter\n-A FORWARD -m conntrack --ctstate INVALID -j DROP\nCOMMIT\n"
        network[1].do(m.IptablesRestore(text=rule, family="ipv6"))
    ping = network[1].sockets("a").open_ping()
    payload = bytes(range(256)) * 12
    ping.send_echo(C, 1, payload)
    network.run(SECOND)
    echo = ping.receive()
    assert echo is not None
    assert echo.payload == payload
    assert drops(network) == {}


def test_hop_limit_and_missing_routes_are_answered() -> None:
    network = dual_cluster()
    ping = network[1].sockets("a").open_ping()
    ping.send_echo(C, 1, ttl=1)
    ping.send_echo("2001:db8::1", 2)
    network.run(SECOND)
    first, second = ping.receive(), ping.receive()
    assert first is not None
    assert second is not None
    assert (first.source, first.type, first.code) == ("fd00:10:244:1::1", 3, 0)
    assert (second.source, second.type, second.code) == ("fd00:10:244:1::1", 1, 0)


SERVICE = """*nat
:KUBE-SERVICES - [0:0]
:KUBE-SVC-API - [0:0]
:KUBE-SEP-C - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-POSTROUTING - [0:0]
-A PREROUTING -j KUBE-SERVICES
-A OUTPUT -j KUBE-SERVICES
-A POSTROUTING -j KUBE-POSTROUTING
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MASQUERADE --random-fully
-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
-A KUBE-SERVICES -d fd00:10:96::a/128 -p tcp -m tcp --dport 80 -j KUBE-SVC-API
-A KUBE-SVC-API ! -s fd00:10:244::/48 -p tcp -j KUBE-MARK-MASQ
-A KUBE-SVC-API -j KUBE-SEP-C
-A KUBE-SEP-C -p tcp -j DNAT --to-destination [fd00:10:244:2::3]:8080
COMMIT
"""


@pytest.mark.parametrize("netns", ["a", ""])
def test_a_service_is_translated_there_and_back(netns: str) -> None:
    network = dual_cluster()
    network[1].do(m.IptablesRestore(text=SERVICE, family="ipv6"))
    listener = network[2].sockets("c").listen_tcp(("::", 8080))
    client = network[1].sockets(netns).open_tcp()
    client.connect(("fd00:10:96::a", 80)) if netns else None
    if not netns:
        network[1].do(m.RouteAdd(destination="fd00:10:96::/112", device="eth0"))
        client.connect(("fd00:10:96::a", 80))
    network.run(SECOND)
    assert client.state == "ESTABLISHED"
    server = listener.accept()
    assert server is not None
    table = conntrack_list(network[1].kernel.root, family="ipv6")
    assert "dst=fd00:10:96::a sport=" in table
    assert "src=fd00:10:244:2::3" in table


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        ("icmp6-port-unreachable", errno.ECONNREFUSED),
        ("icmp6-adm-prohibited", errno.EACCES),
        ("icmp6-no-route", errno.ENETUNREACH),
        ("tcp-reset", errno.ECONNREFUSED),
    ],
)
def test_reject(answer: str, seen: int) -> None:
    network = dual_cluster()
    rule = f"*filter\n-A FORWARD -p tcp -d {C} -j REJECT --reject-with {answer}\nCOMMIT\n"
    network[1].do(m.IptablesRestore(text=rule, family="ipv6"))
    client = network[1].sockets("a").open_tcp()
    client.connect((C, 80))
    network.run(SECOND)
    assert client.error == seen
    assert network[1].kernel.drops.count("", DropReason.NETFILTER_DROP) == 1


def test_discovery_is_never_tracked() -> None:
    network = dual_cluster()
    invalid = "-m conntrack --ctstate INVALID -j DROP"
    rule = f"*filter\n-A INPUT {invalid}\n-A OUTPUT {invalid}\nCOMMIT\n"
    for node in network.nodes:
        node.do(m.IptablesRestore(text=rule, family="ipv6"))
    ping = network[1].sockets().open_ping()
    ping.send_echo("fd00:10::2", 1)
    network.run(SECOND)
    assert ping.receive() is not None
    assert len(network[1].kernel.root.netfilter.connections) == 1


def test_disable_ipv6() -> None:
    network = dual_cluster()
    node = network[1]
    node.do(m.SysctlWrite(netns="a", key="net.ipv6.conf.eth0.disable_ipv6", value="1"))
    assert "fd00" not in ip_addr(node.kernel.namespace("a"))
    with pytest.raises(KernelError, match="IPv6 is disabled on this device"):
        node.do(m.AddressAdd(netns="a", device="eth0", address="fd00::9/64"))
