"""Packets' ways through machines: from where, to where, and what is seen on the way."""

import errno

import pytest
from services import FLANNEL, rules
from topology import SECOND, Network

from podwire.proto.messages import kernel as m
from podwire.proto.messages.telemetry import Hop
from podwire.proto.packet.summary import summarize_frame
from podwire.services.node.kernel.drops import DropReason
from podwire.services.node.kernel.sockets.tcp import TcpListener, TcpSocket

VIP = ("10.96.45.123", 80)


def cluster(*, cached: bool = True) -> Network:
    """Pods a and b on node-1, c on node-2; my-api is b and c on 8080."""
    network = Network(cached=cached)
    network[1].pod("a", 5)
    network[1].pod("b", 6)
    network[2].pod("c", 3)
    for node in network.nodes:
        flannel = FLANNEL.format(number=node.number)
        node.do(
            m.IptablesRestore(text=flannel, noflush=True),
            m.IptablesRestore(text=rules("10.244.1.6:8080", "10.244.2.3:8080"), noflush=True),
        )
    return network


def hops(network: Network) -> list[Hop]:
    return [hop for node in network.nodes for hop in node.kernel.hops]


def drops(network: Network) -> dict[tuple[str, str], int]:
    return {
        (netns or node.name, reason.value): count
        for node in network.nodes
        for (netns, reason), count in node.kernel.drops.counts.items()
    }


@pytest.mark.parametrize(
    ("destination", "ttl"),
    [
        ("10.244.1.6", 64),
        ("10.244.2.3", 62),
        ("10.244.1.1", 64),
        ("10.0.0.2", 63),
        ("10.244.1.5", 64),
        ("127.0.0.1", 64),
    ],
)
@pytest.mark.parametrize("with_rules", [False, True])
def test_ping_from_pod_a(destination: str, ttl: int, with_rules: bool) -> None:
    network = cluster()
    if not with_rules:
        network = Network()
        network[1].pod("a", 5)
        network[1].pod("b", 6)
        network[2].pod("c", 3)
    ping = network[1].sockets("a").open_ping()
    ping.send_echo(destination, 1, b"hello")
    network.run(SECOND)
    echo = ping.receive()
    assert echo is not None
    assert (echo.type, echo.source, echo.sequence, echo.payload) == (0, destination, 1, b"hello")
    if not with_rules or destination != "10.0.0.2":
        assert echo.ttl == ttl
    assert drops(network) == {}


def test_across_nodes_vxlan_adds_fifty_bytes() -> None:
    network = cluster()
    network[1].sockets("a").open_ping("trace-1").send_echo("10.244.2.3", 1, bytes(56))
    network.run(SECOND)
    outer = [frame for frame in network.frames if b"\x21\x18" in frame[36:38]]
    assert [len(frame) for frame in outer] == [14 + 84 + 50] * 2
    assert "IP 10.244.1.5 > 10.244.2.3: ICMP echo request" in summarize_frame(outer[0])
    wrapped = [hop for hop in hops(network) if hop.kind == "encapsulate"]
    assert [(hop.outer_source, hop.outer_destination, hop.vni, hop.bytes_added) for hop in wrapped] == [
        ("10.0.0.1", "10.0.0.2", 1, 50),
        ("10.0.0.2", "10.0.0.1", 1, 50),
    ]


def connect(network: Network, source: tuple[int, str], destination: tuple[str, int], trace: str = "") -> TcpSocket:
    socket = network[source[0]].sockets(source[1]).open_tcp(trace)
    socket.connect(destination)
    network.run(SECOND)
    return socket


def backends(network: Network) -> list[TcpListener]:
    return [network[1].sockets("b").listen_tcp(("", 8080)), network[2].sockets("c").listen_tcp(("", 8080))]


# source → destination: the source address that the endpoint on node-1 or node-2 sees
SERVICE_WALKS = [
    ((1, "a"), VIP, {"b": "10.244.1.5", "c": "10.244.1.5"}),
    ((2, "c"), VIP, {"b": "10.244.2.3", "c": "10.244.2.1"}),  # itself: masqueraded to cni0
    ((1, "b"), VIP, {"b": "10.244.1.1", "c": "10.244.1.6"}),
    ((1, ""), VIP, {"b": "10.244.1.1", "c": "10.244.1.0"}),  # not from a pod: masqueraded to the way out
    ((1, ""), ("10.0.0.2", 30080), {"b": "10.244.2.0", "c": "10.244.2.1"}),
    ((2, ""), ("10.0.0.2", 30080), {"b": "10.244.2.0", "c": "10.244.2.1"}),
]


@pytest.mark.parametrize(("source", "destination", "seen"), SERVICE_WALKS)
def test_service_walk(source: tuple[int, str], destination: tuple[str, int], seen: dict[str, str]) -> None:
    network = cluster()
    listeners = dict(zip("bc", backends(network), strict=True))
    reached: dict[str, str] = {}
    for _ in range(12):
        client = connect(network, source, destination)
        assert client.state == "ESTABLISHED"
        for name, listener in listeners.items():
            server = listener.accept()
            if server is not None and server.remote_endpoint is not None:
                reached[name] = server.remote_endpoint[0]
                client.send(b"GET")
                network.run(SECOND)
                assert server.receive() == b"GET"
                server.send(b"200")
                network.run(SECOND)
                assert client.receive() == b"200"
    assert reached == seen


def test_a_traced_request_names_every_rule_and_its_owner() -> None:
    network = cluster()
    backends(network)
    connect(network, (1, "a"), VIP, "trace-1")
    first = [hop for hop in hops(network) if hop.node == "node-1" and "[S]" in hop.summary]
    chains = [hop.chain for hop in first if hop.kind == "rule" and hop.table == "nat" and hop.hook == "PREROUTING"]
    assert chains[:3] == ["PREROUTING", "KUBE-SERVICES", "KUBE-SVC-API"]
    assert chains[3].startswith("KUBE-SEP-")
    rule = next(hop for hop in first if hop.chain == "KUBE-SERVICES")
    assert (rule.rule, rule.owner, rule.verdict) == (1, "default/my-api cluster IP", "KUBE-SVC-API")
    assert rule.rule_text == (
        '-A KUBE-SERVICES -d 10.96.45.123/32 -p tcp -m comment --comment "default/my-api cluster IP" '
        "-m tcp --dport 80 -j KUBE-SVC-API"
    )
    translated = next(hop for hop in first if hop.kind == "nat")
    assert translated.before == "10.96.45.123:80"
    assert translated.after in ("10.244.1.6:8080", "10.244.2.3:8080")
    replies = [hop for hop in hops(network) if "[S.]" in hop.summary and hop.netns == "a"]
    assert replies[-1].kind == "socket"
    assert all(hop.trace == "trace-1" for hop in hops(network))


def test_a_service_without_endpoints_refuses() -> None:
    network = cluster()
    client = connect(network, (1, "a"), ("10.96.0.99", 80), "trace-1")
    assert (client.state, client.error) == ("CLOSED", errno.ECONNREFUSED)
    died = next(hop for hop in hops(network) if hop.kind == "drop")
    assert (died.reason, died.table, died.chain, died.rule) == ("NETFILTER_DROP", "filter", "KUBE-SERVICES", 1)
    assert died.owner == "default/empty has no endpoints"
    assert drops(network) == {("node-1", "NETFILTER_DROP"): 1}


def test_a_closed_port_is_reset() -> None:
    network = cluster()
    client = connect(network, (1, "a"), ("10.244.2.3", 81))
    assert (client.state, client.error) == ("CLOSED", errno.ECONNREFUSED)
    assert drops(network) == {("c", "NO_SOCKET"): 1}


def test_an_unbound_udp_port_answers_with_icmp() -> None:
    network = cluster()
    client = network[1].sockets("a").open_udp()
    client.connect(("10.244.2.3", 53))
    client.send(b"?")
    network.run(SECOND)
    assert client.error == errno.ECONNREFUSED


@pytest.mark.parametrize(("ttl", "by"), [(1, "10.244.1.1"), (2, "10.244.2.0")])
def test_ttl_runs_out(ttl: int, by: str) -> None:
    network = cluster()
    ping = network[1].sockets("a").open_ping()
    ping.send_echo("10.244.2.3", 1, ttl=ttl)
    network.run(SECOND)
    echo = ping.receive()
    assert echo is not None
    assert (echo.type, echo.source) == (11, by)
    assert list(drops(network).values()) == [1]
    assert next(iter(drops(network)))[1] == "IP_INHDR"


def test_path_mtu_is_learned_and_heeded() -> None:
    network = Network()
    network[1].pod("a", 5, mtu=1500)
    network[1].do(m.LinkSet(netns="a", name="eth0", mtu=1500), m.LinkSet(name="cni0", mtu=1500))
    network[2].pod("c", 3)
    listener = network[2].sockets("c").listen_tcp(("", 80))
    client = connect(network, (1, "a"), ("10.244.2.3", 80))
    server = listener.accept()
    assert server is not None
    server._mss = client._mss = 1460  # as if the SYN's MSS had been lost on the way
    client.send(bytes(5000))
    network.run(5 * SECOND)
    assert server.receive() == bytes(5000)
    assert network[1].kernel.drops.count("", DropReason.PKT_TOO_BIG) > 0
    assert network[1].sockets("a").mtu_to(int.from_bytes(bytes((10, 244, 2, 3)))) == 1450


def test_large_pings_are_fragmented_and_put_together() -> None:
    network = cluster()
    payload = bytes(range(256)) * 20
    ping = network[1].sockets("a").open_ping()
    ping.send_echo("10.244.2.3", 1, payload)
    network.run(SECOND)
    echo = ping.receive()
    assert echo is not None
    assert echo.payload == payload


def test_nobody_there() -> None:
    network = cluster()
    client = network[1].sockets("a").open_tcp()
    client.connect(("10.244.2.77", 80))
    network.run(10 * SECOND)
    assert client.error == errno.EHOSTUNREACH
    assert drops(network)["node-2", "NEIGH_FAILED"] >= 1


@pytest.mark.parametrize(("kind", "number"), [("blackhole", 0), ("unreachable", 113), ("prohibit", 113)])
def test_routes_that_lead_nowhere(kind: str, number: int) -> None:
    network = cluster()
    network[1].do(m.RouteAdd(destination="192.0.2.0/24", kind=kind))  # type: ignore[arg-type]  # from the table above
    client = connect(network, (1, "a"), ("192.0.2.1", 80))
    assert client.error == number


def test_a_loop_of_routes_dies_by_ttl() -> None:
    network = Network()
    network[1].pod("a", 5)
    network[1].do(m.RouteAdd(destination="192.0.2.0/24", via="10.0.0.2"))
    network[2].do(m.RouteAdd(destination="192.0.2.0/24", via="10.0.0.1"))
    ping = network[1].sockets("a").open_ping()
    ping.send_echo("192.0.2.1", 1)
    network.run(SECOND)
    echo = ping.receive()
    assert echo is not None
    assert echo.type == 11


def test_a_loop_of_bridges_dies_too() -> None:
    network = Network(1)
    network[1].do(
        m.LinkAdd(kind="bridge", name="br1", up=True),
        m.LinkAdd(kind="veth", name="x0", peer="x1", up=True),
        m.LinkAdd(kind="veth", name="y0", peer="y1", up=True),
        *[m.LinkSet(name=name, up=True) for name in ("x1", "y1")],
        *[m.LinkSet(name=name, master=master) for name, master in (("x0", "cni0"), ("y0", "cni0"))],
        *[m.LinkSet(name=name, master=master) for name, master in (("x1", "br1"), ("y1", "br1"))],
    )
    network[1].pod("a", 5)
    network[1].sockets("a").open_ping().send_echo("10.244.1.9", 1)
    network.run(SECOND)
    assert network[1].kernel.drops.count("", DropReason.RECURSION_LIMIT) > 0


def test_without_bridge_netfilter_same_node_services_break() -> None:
    """The reply is bridged straight to the client, whose kernel knows nothing of the endpoint's address."""
    network = cluster()
    network[1].do(
        m.SysctlWrite(key="net.bridge.bridge-nf-call-iptables", value="0"),
        m.IptablesRestore(text=rules("10.244.1.6:8080"), noflush=True),
    )
    backends(network)
    assert connect(network, (1, "a"), VIP).state == "SYN_SENT"
