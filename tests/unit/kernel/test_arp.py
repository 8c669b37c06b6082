"""Which ARP requests get an answer, and from which address requests come (Linux Documentation/networking/ip-sysctl:
arp_ignore, arp_announce)."""

import pytest
from topology import Network

from podwire.proto.messages import kernel as m
from podwire.proto.packet.addresses import BROADCAST_MAC, ZERO_MAC, format_address, parse_ipv4
from podwire.proto.packet.arp import REPLY, REQUEST, Arp
from podwire.proto.packet.ethernet import TYPE_ARP, Ethernet

NEIGHBOUR = bytes((2, 0, 0, 0, 0, 9))
OWN, VIRTUAL, ELSEWHERE = "10.0.0.1", "10.96.0.10", "192.0.2.9"


def machine() -> Network:
    """A machine with an address of eth0, and another of a dummy device, as kube-ipvs0 has them."""
    network = Network()
    network[1].do(
        m.LinkAdd(kind="dummy", name="kube-ipvs0", up=True), m.AddressAdd(device="kube-ipvs0", address=f"{VIRTUAL}/32")
    )
    return network


def set_all(network: Network, name: str, level: int) -> None:
    network[1].do(m.SysctlWrite(key=f"net.ipv4.conf.all.{name}", value=str(level)))


def sent(network: Network) -> list[Arp]:
    """The ARP messages that left by eth0 since the last time."""
    kernel = network[1].kernel
    frames = [frame for device, frame, _ in kernel.transmitted if device == "eth0"]
    kernel.transmitted.clear()
    return [Arp.parse(frame[14:])[0] for frame in frames if int.from_bytes(frame[12:14]) == TYPE_ARP]


def is_answered(network: Network, target: str, sender: str) -> bool:
    request = Arp(REQUEST, NEIGHBOUR, parse_ipv4(sender), ZERO_MAC, parse_ipv4(target))
    network[1].kernel.receive("eth0", Ethernet(BROADCAST_MAC, NEIGHBOUR, TYPE_ARP).build() + request.build(), 0)
    return any(each.operation == REPLY for each in sent(network))


@pytest.mark.parametrize(
    ("level", "own", "virtual", "own_to_a_stranger"),
    [(0, True, True, True), (1, True, False, True), (2, True, False, False), (8, False, False, False)],
)
def test_arp_ignore(level: int, own: bool, virtual: bool, own_to_a_stranger: bool) -> None:
    network = machine()
    set_all(network, "arp_ignore", level)
    assert is_answered(network, OWN, "10.0.0.9") is own
    assert is_answered(network, VIRTUAL, "10.0.0.9") is virtual
    assert is_answered(network, OWN, ELSEWHERE) is own_to_a_stranger


def test_arp_ignore_3_hides_addresses_of_host_scope() -> None:
    network = machine()
    network[1].do(m.AddressAdd(device="lo", address="192.0.2.1/32", scope="host"))
    assert is_answered(network, "192.0.2.1", "10.0.0.9")
    set_all(network, "arp_ignore", 3)
    assert not is_answered(network, "192.0.2.1", "10.0.0.9")
    assert is_answered(network, VIRTUAL, "10.0.0.9")


@pytest.mark.parametrize(("level", "source"), [(0, VIRTUAL), (1, OWN), (2, OWN)])
def test_arp_announce(level: int, source: str) -> None:
    network = machine()
    set_all(network, "arp_announce", level)
    socket = network[1].sockets("").open_udp("")
    socket.bind((VIRTUAL, 0))
    socket.send_to(b"?", ("10.0.0.77", 9))
    [request] = sent(network)
    assert format_address(request.sender_address) == source
