"""Connection tracking and NAT: states, timeouts, both directions, ports when they clash, and deletion."""

import pytest
from topology import SECOND, Network

from podwire.proto.messages import kernel as m
from podwire.services.node.kernel.conntrack.tcp import STATES, TRANSITIONS
from podwire.services.node.kernel.printing.netfilter import conntrack_list

MASQUERADE = "*nat\n-A POSTROUTING -s 10.244.0.0/16 -o eth0 -j MASQUERADE\nCOMMIT\n"


def masqueraded() -> Network:
    """Pods of node-1 reach node-2's own address under 10.0.0.1."""
    network = Network()
    for host in (5, 6):
        network[1].pod(f"pod-{host}", host)
    network[1].do(m.IptablesRestore(text=MASQUERADE, noflush=True))
    return network


def test_two_pods_with_one_source_port_get_two() -> None:
    network = masqueraded()
    server = network[2].sockets().open_udp()
    server.bind(("", 53))
    for host in (5, 6):
        client = network[1].sockets(f"pod-{host}").open_udp()
        client.bind(("", 4000))
        client.send_to(b"%d" % host, ("10.0.0.2", 53))
        network.run(SECOND)
    first, second = server.receive(), server.receive()
    assert first is not None
    assert second is not None
    assert first.source == ("10.0.0.1", 4000)
    assert second.source[0] == "10.0.0.1"
    assert second.source[1] not in (4000, 0)


@pytest.mark.parametrize(
    ("replies", "waited", "alive"),
    [(False, 29, True), (False, 31, False), (True, 119, True), (True, 121, False)],
)
def test_udp_timeouts(replies: bool, waited: int, alive: bool) -> None:
    network = masqueraded()
    server = network[2].sockets().open_udp()
    server.bind(("", 53))
    client = network[1].sockets("pod-5").open_udp()
    for _ in range(3):
        client.send_to(b"?", ("10.0.0.2", 53))
        network.run(2 * SECOND)
        datagram = server.receive()
        if replies and datagram is not None:
            server.send_to(b"!", datagram.source)
            network.settle()
    table = network[1].kernel.root.netfilter.connections
    last = max(each.expires - each.timeout for each in table.connections())
    network.run(last + waited * SECOND - network.now)
    assert bool(list(table.connections())) == alive


def test_the_printed_line() -> None:
    network = masqueraded()
    network[1].sockets("pod-5").open_ping().send_echo("10.0.0.2", 1)
    network.fate = lambda _: None
    network.settle()
    identifier = next(iter(network[1].sockets("pod-5").pings))
    assert conntrack_list(network[1].kernel.root) == (
        f"icmp     1 30 src=10.244.1.5 dst=10.0.0.2 type=8 code=0 id={identifier} [UNREPLIED] "
        f"src=10.0.0.2 dst=10.0.0.1 type=0 code=0 id={identifier} mark=0 use=1\n"
    )


def test_deletion_by_original_destination() -> None:
    network = masqueraded()
    client = network[1].sockets("pod-5").open_udp()
    for port in (53, 54):
        client.send_to(b"?", ("10.0.0.2", port))
    network.settle()
    operation = m.ConntrackDelete(protocol="udp", original_destination="10.0.0.2", original_destination_port=53)
    network[1].do(operation)
    table = network[1].kernel.root.netfilter.connections
    assert [each.tuples[0][4] for each in table.connections()] == [54]


def test_an_icmp_error_finds_its_way_back_through_nat() -> None:
    network = masqueraded()
    client = network[1].sockets("pod-5").open_udp()
    client.connect(("10.0.0.2", 9))
    client.send(b"?")
    network.run(SECOND)
    assert client.error == 111


def test_states_that_rules_see() -> None:
    network = masqueraded()
    for state in ("NEW", "ESTABLISHED", "RELATED", "INVALID"):
        rule = ("-A", "FORWARD", "-m", "conntrack", "--ctstate", state)
        network[1].do(m.IptablesCommand(arguments=rule))
    listener = network[2].sockets().listen_tcp(("", 80))
    client = network[1].sockets("pod-5").open_tcp()
    client.connect(("10.0.0.2", 80))
    network.run(SECOND)
    assert listener.accept() is not None
    broken = network[1].sockets("pod-5").open_udp()
    broken.connect(("10.0.0.2", 9))
    broken.send(b"?")
    network.run(SECOND)
    rules = network[1].kernel.root.netfilter.tables["filter"].chains["FORWARD"].rules
    network[1].kernel.settle()
    assert [rule.counter.packets for rule in rules] == [2, 2, 1, 0]


def test_the_tcp_table_is_whole_and_leads_only_to_known_states() -> None:
    assert len(TRANSITIONS) == 2 * 6 * len(STATES)
    assert set(TRANSITIONS.values()) <= {*STATES, "IGNORE", "INVALID"}


def test_a_closed_connection_may_be_opened_again_from_the_same_port() -> None:
    network = masqueraded()
    listener = network[2].sockets().listen_tcp(("", 80))
    for _ in range(2):
        client = network[1].sockets("pod-5").open_tcp()
        client.bind(("0.0.0.0", 4000))
        client.connect(("10.0.0.2", 80))
        network.run(SECOND)
        assert client.state == "ESTABLISHED"
        server = listener.accept()
        assert server is not None
        server.close()
        network.run(SECOND)
        client.close()
        network.run(SECOND)
