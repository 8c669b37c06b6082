"""What a mesh's proxies stand on: redirection with the original destination, TPROXY, owners; without root.

The same beside Linux: tests/oracle/test_proxying.py.
"""

import errno

import pytest
from topology import MILLISECOND, SECOND, Network

from podwire.proto.messages import kernel as m
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.sockets.tcp import TcpListener, TcpSocket

MESH = """*nat
-A OUTPUT -m owner --uid-owner 1337 -j RETURN
-A OUTPUT -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 15001
COMMIT
"""
TPROXY = "*mangle\n-A PREROUTING -p tcp -j TPROXY --on-port 15006 --tproxy-mark 0x1\nCOMMIT\n"


def two_pods(netns: str, rules: str) -> Network:
    network = Network()
    network[1].pod("a", 5)
    network[2].pod("c", 3)
    node = network[1] if netns == "a" else network[2]
    node.do(m.IptablesRestore(netns=netns, text=rules))
    return network


def reached(network: Network, listener: TcpListener, client: TcpSocket) -> TcpSocket | None:
    client.connect(("10.244.2.3", 80))
    network.run(SECOND)
    return listener.accept()


def test_a_sidecar_takes_what_others_send_and_knows_where_it_was_meant_to_go() -> None:
    network = two_pods("a", MESH)
    sidecar = network[1].sockets("a").listen_tcp(("0.0.0.0", 15001), user=1337)
    accepted = reached(network, sidecar, network[1].sockets("a").open_tcp())
    assert accepted is not None
    assert accepted.local_endpoint == ("127.0.0.1", 15001)
    assert network[1].sockets("a").original_destination(accepted) == ("10.244.2.3", 80)


def test_what_the_sidecar_itself_sends_leaves() -> None:
    network = two_pods("a", MESH)
    server = network[2].sockets("c").listen_tcp(("0.0.0.0", 80))
    accepted = reached(network, server, network[1].sockets("a").open_tcp(user=1337))
    assert accepted is not None
    assert accepted.remote_endpoint is not None
    assert accepted.remote_endpoint[0] == "10.244.1.5"


def test_an_accepted_connection_is_its_listeners_owners() -> None:
    network = two_pods("c", "*filter\n-A OUTPUT -p tcp -m owner ! --uid-owner 5-9 -j DROP\nCOMMIT\n")
    server = network[2].sockets("c").listen_tcp(("0.0.0.0", 80), user=7)
    assert reached(network, server, network[1].sockets("a").open_tcp()) is not None
    network = two_pods("c", "*filter\n-A OUTPUT -p tcp -m owner --gid-owner 7 -j DROP\nCOMMIT\n")
    server = network[2].sockets("c").listen_tcp(("0.0.0.0", 80), group=7)
    assert reached(network, server, network[1].sockets("a").open_tcp()) is None


def diverted(*, transparent: bool) -> tuple[Network, TcpSocket | None]:
    network = two_pods("c", TPROXY)
    network[2].do(
        m.RuleAdd(netns="c", priority=100, mark=1, mark_mask=0xFFFFFFFF, table="100"),
        m.RouteAdd(netns="c", destination="default", device="lo", table="100", kind="local"),
    )
    listener = network[2].sockets("c").listen_tcp(("0.0.0.0", 15006), transparent=transparent)
    return network, reached(network, listener, network[1].sockets("a").open_tcp())


def test_tproxy_hands_over_without_translating() -> None:
    network, accepted = diverted(transparent=True)
    assert accepted is not None
    assert accepted.local_endpoint == ("10.244.2.3", 80)
    accepted.send(b"hello")
    network.run(SECOND)
    (client,) = network[1].sockets("a").connections.values()
    assert client.receive() == b"hello"


def test_tproxy_drops_what_no_transparent_socket_takes() -> None:
    assert diverted(transparent=False)[1] is None


def test_only_a_transparent_socket_has_foreign_addresses() -> None:
    network = Network()
    sockets = network[1].sockets()
    with pytest.raises(KernelError) as caught:
        sockets.listen_tcp(("192.0.2.1", 80))
    assert caught.value.errno == errno.EADDRNOTAVAIL
    assert sockets.listen_tcp(("192.0.2.1", 80), transparent=True).local_endpoint == ("192.0.2.1", 80)


def test_without_tracking_there_is_no_original_destination() -> None:
    network = two_pods("c", "")
    listener = network[2].sockets("c").listen_tcp(("0.0.0.0", 80))
    accepted = reached(network, listener, network[1].sockets("a").open_tcp())
    assert accepted is not None
    with pytest.raises(KernelError) as caught:
        network[2].sockets("c").original_destination(accepted)
    assert caught.value.errno == errno.ENOENT


def kept_alive(*, peer_vanishes: bool) -> tuple[Network, TcpSocket]:
    network = two_pods("a", "")
    for key, value in (("time", "20"), ("intvl", "5"), ("probes", "3")):
        network[1].do(m.SysctlWrite(netns="a", key=f"net.ipv4.tcp_keepalive_{key}", value=value))
    listener = network[2].sockets("c").listen_tcp(("0.0.0.0", 80))
    client = network[1].sockets("a").open_tcp()
    accepted = reached(network, listener, client)
    assert accepted is not None
    client.keep_alive()
    if peer_vanishes:
        network.fate = lambda _: None
    network.frames.clear()
    return network, client


def segments(network: Network) -> int:
    return sum(frame[12:14] == b"\x08\x00" for frame in network.frames)


def test_keep_alive_asks_a_silent_peer_and_is_content_with_an_answer() -> None:
    network, client = kept_alive(peer_vanishes=False)
    network.run(19 * SECOND)
    assert segments(network) == 0
    network.run(100 * SECOND)
    assert segments(network) == 2 * (119 // 20)
    assert client.state == "ESTABLISHED"


def test_keep_alive_gives_up_a_peer_that_is_gone() -> None:
    network, client = kept_alive(peer_vanishes=True)
    network.run(20 * SECOND + 3 * 5 * SECOND - MILLISECOND)
    assert client.state == "ESTABLISHED"
    network.run(2 * MILLISECOND)
    assert client.state == "CLOSED"
    with pytest.raises(KernelError) as caught:
        client.receive()
    assert caught.value.errno == errno.ETIMEDOUT


def test_a_mark_that_changes_reaches_later_packets_of_cached_flows() -> None:
    """Every packet of the connection is asked; the mark is set half-way."""
    counted = {}
    for cached in (True, False):
        network = Network(cached=cached)
        network[1].pod("a", 5)
        network[2].pod("c", 3)
        rules = "-A FORWARD -m connmark --mark 0x2 -j ACCEPT\n"
        network[2].do(m.IptablesRestore(text=f"*filter\n{rules}COMMIT\n"))
        server = network[2].sockets("c").open_udp()
        server.bind(("0.0.0.0", 53))
        client = network[1].sockets("a").open_udp()
        for number in range(40):
            if number == 20:
                marking = "*mangle\n-A PREROUTING -p udp -m udp --dport 53 -j CONNMARK --set-mark 2\nCOMMIT\n"
                network[2].do(m.IptablesRestore(text=marking))
            client.send_to(b"?", ("10.244.2.3", 53))
            network.run(MILLISECOND)
        network[2].kernel.settle()
        counted[cached] = network[2].kernel.root.netfilter.tables["filter"].chains["FORWARD"].rules[0].counter.packets
    assert counted == {True: 20, False: 20}
