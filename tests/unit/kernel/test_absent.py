"""What docs/fidelity.md calls absent is absent, and what the kernel does instead."""

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from topology import MILLISECOND, SECOND, Network

from podwire.proto.messages import kernel as m
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.printing.routes import ip_route
from podwire.services.node.kernel.sockets.tcp import TcpSocket

ROUTER, HOST, OTHER = "10.0.0.1", "10.0.0.9", "10.0.0.7"
HOST_MAC, OTHER_MAC = "02:00:00:00:00:09", "02:00:00:00:00:07"
REDIRECT = 5


def receive(network: Network, packet: IP) -> None:
    """A packet of the host arrives at node-1, and what follows from it leaves."""
    frame = bytes(Ether(src=HOST_MAC, dst=network[1].mac) / packet)
    network[1].kernel.receive("eth0", frame, network.now)
    network.settle()


def test_no_redirect_is_sent_for_a_packet_that_leaves_by_where_it_came() -> None:
    network = Network()
    neighbours = (m.NeighbourReplace(device="eth0", address=OTHER, mac=OTHER_MAC),)
    network[1].do(*neighbours, m.NeighbourReplace(device="eth0", address=HOST, mac=HOST_MAC))
    receive(network, IP(src=HOST, dst=OTHER) / UDP(sport=1, dport=2) / Raw(b"x"))
    packets = [Ether(frame) for frame in network.frames]
    assert [(each.dst, each[IP].dst) for each in packets] == [(OTHER_MAC, OTHER)], "forwarded, and nothing else"


def test_a_redirect_changes_no_route() -> None:
    network = Network()
    before = ip_route(network[1].kernel.root)
    quoted = IP(src=ROUTER, dst="192.0.2.1") / UDP(sport=1, dport=2)
    receive(network, IP(src="10.0.0.254", dst=ROUTER) / ICMP(type=REDIRECT, code=1, gw=OTHER) / quoted)
    assert ip_route(network[1].kernel.root) == before


def test_no_rule_asks_for_a_helper_of_connection_tracking() -> None:
    text = "*raw\n-A PREROUTING -p tcp -m tcp --dport 21 -j CT --helper ftp\nCOMMIT\n"
    with pytest.raises(KernelError, match="--helper"):
        Network()[1].do(m.IptablesRestore(text=text))


def opened() -> tuple[Network, TcpSocket, TcpSocket]:
    network = Network()
    for number in (1, 2):
        network[number].do(
            m.NeighbourReplace(device="eth0", address=f"10.0.0.{3 - number}", mac=network[3 - number].mac)
        )
    listener, client = network[2].sockets().listen_tcp(("", 80)), network[1].sockets().open_tcp()
    client.connect(("10.0.0.2", 80))
    network.run(SECOND)
    server = listener.accept()
    assert server is not None
    return network, client, server


def segments(network: Network) -> list[TCP]:
    """The TCP headers of all frames so far."""
    return [Ether(frame)[TCP] for frame in network.frames if TCP in Ether(frame)]


def test_a_syn_offers_neither_sack_nor_timestamps_nor_ecn() -> None:
    network, _, _ = opened()
    for syn in segments(network)[:2]:
        assert {name for name, _ in syn.options} <= {"MSS", "WScale", "NOP", "EOL"}
        assert not syn.flags.E and not syn.flags.C


def test_small_segments_leave_at_once_and_are_acknowledged_at_once() -> None:
    """No Nagle: nobody waits for the acknowledgement. Nor is that delayed: it comes within the same millisecond."""
    network, client, server = opened()
    network.frames.clear()
    client.send(b"a")
    client.send(b"b")
    network.run(MILLISECOND)
    data = [each for each in segments(network) if bytes(each.payload).rstrip(b"\0")]
    assert [bytes(each.payload)[:1] for each in data] == [b"a", b"b"]
    assert server.receive(10) == b"ab"
    acknowledged = [each.ack for each in segments(network) if each.sport == 80]
    assert acknowledged and acknowledged[-1] == data[-1].seq + 1


def test_nothing_that_is_sent_is_urgent() -> None:
    network, client, server = opened()

    client.send(b"now")
    network.run(MILLISECOND)
    assert all(each.urgptr == 0 and not each.flags.U for each in segments(network))
    assert server.receive(10) == b"now"
