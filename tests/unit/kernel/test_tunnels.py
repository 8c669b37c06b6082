"""Geneve and IP-in-IP devices: two machines on one segment, bytes as scapy builds them, hops, counters, MTU."""

import pytest
from scapy.contrib.geneve import GENEVE
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import Ether
from topology import SECOND, Network

from podwire.proto.messages import kernel as m
from podwire.services.node.kernel.drops import DropReason
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.printing.links import Selection, ip_link


def pair(kind: str, **more: object) -> Network:
    """node-1 and node-2 with 192.168.9.1 and .2 on tun0."""
    network = Network()
    for own, other in ((1, 2), (2, 1)):
        network[own].do(
            m.LinkAdd(
                kind=kind,  # type: ignore[arg-type]  # a parameter of the test
                name="tun0",
                remote=f"10.0.0.{other}",
                address="" if kind == "ipip" else f"02:00:00:00:09:0{own}",
                up=True,
                **more,  # type: ignore[arg-type]
            ),
            m.AddressAdd(device="tun0", address=f"192.168.9.{own}/24"),
        )
    return network


GENEVE_PAIR = {"kind": "geneve", "vni": 7}
IPIP_PAIR = {"kind": "ipip"}


@pytest.mark.parametrize(("made", "added"), [(GENEVE_PAIR, 50), (IPIP_PAIR, 20)])
def test_an_echo_goes_through_and_comes_back(made: dict[str, object], added: int) -> None:
    network = pair(**made)  # type: ignore[arg-type]
    ping = network[1].sockets().open_ping(trace="t")
    ping.send_echo("192.168.9.2", 1)
    network.run(SECOND)
    ping.send_echo("192.168.9.2", 2)
    network.run(SECOND)
    answers = []
    while (echo := ping.receive()) is not None:
        answers.append((echo.sequence, echo.source, echo.ttl))
    assert answers == [(1, "192.168.9.2", 64), (2, "192.168.9.2", 64)]
    hops = [(hop.kind, hop.device, hop.bytes_added) for hop in network[1].kernel.hops if hop.bytes_added]
    assert ("encapsulate", "tun0", added) in hops
    assert ("decapsulate", "tun0", -added) in hops


def outer_frame(network: Network) -> bytes:
    """What node-1 put on the wire for an echo request whose neighbours are known."""
    ping = network[1].sockets().open_ping()
    ping.send_echo("192.168.9.2", 1, b"x" * 20)
    network.run(SECOND)
    tap = network[1].sockets().open_capture("eth0")
    ping.send_echo("192.168.9.2", 2, b"x" * 20, ttl=9)
    seen = tap.receive()
    assert seen is not None and seen.is_outgoing
    return seen.frame


def test_scapy_reads_geneve() -> None:
    frame = Ether(outer_frame(pair("geneve", vni=7)))
    assert (frame[IP].dst, frame[UDP].dport, frame[UDP].chksum) == ("10.0.0.2", 6081, 0)
    assert (frame[GENEVE].vni, frame[GENEVE].proto, frame[GENEVE].optionlen) == (7, 0x6558, 0)
    inner = frame[GENEVE].payload
    assert (inner[IP].src, inner[IP].ttl, inner[ICMP].type) == ("192.168.9.1", 9, 8)
    rebuilt = frame.copy()
    del rebuilt[IP].chksum, rebuilt[IP].len, rebuilt[UDP].len
    assert bytes(rebuilt) == bytes(frame)


def test_scapy_reads_ipip() -> None:
    frame = Ether(outer_frame(pair("ipip")))
    outer, inner = frame[IP], frame[IP].payload
    assert (outer.proto, outer.ttl, str(outer.flags), outer.dst) == (4, 9, "DF", "10.0.0.2")
    assert (inner.dst, inner.proto, inner.ttl) == ("192.168.9.2", 1, 9)


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (
            GENEVE_PAIR,
            "<BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 qdisc noqueue state UNKNOWN mode DEFAULT group default\n"
            "    link/ether 02:00:00:00:09:01 brd ff:ff:ff:ff:ff:ff promiscuity 0 allmulti 0 minmtu 68 maxmtu 65535\n"
            "    geneve id 7 remote 10.0.0.2 ttl auto dstport 6081 noudpcsum udp6zerocsumrx ",
        ),
        (
            IPIP_PAIR,
            "<POINTOPOINT,NOARP,UP,LOWER_UP> mtu 1480 qdisc noqueue state UNKNOWN mode DEFAULT group default\n"
            "    link/ipip 0.0.0.0 peer 10.0.0.2 promiscuity 0 allmulti 0 minmtu 68 maxmtu 65535\n"
            "    ipip ipip remote 10.0.0.2 local any ttl inherit pmtudisc ",
        ),
    ],
)
def test_how_they_print(made: dict[str, object], text: str) -> None:
    network = pair(**made)  # type: ignore[arg-type]
    assert text in ip_link(network[1].kernel.root, Selection(device="tun0", details=True))


def test_what_does_not_fit_into_ipip_is_answered_with_the_mtu_that_does() -> None:
    network = pair("ipip")
    network[1].do(m.LinkSet(name="eth0", mtu=1400), m.LinkSet(name="tun0", mtu=1480))
    network[1].do(m.LinkSet(name="lo", up=True))
    ping = network[1].sockets().open_ping()
    ping.send_echo("192.168.9.2", 1, bytes(1400))
    network.run(SECOND)
    assert network[1].kernel.root.sockets.mtu_to(0xC0A80902) == 1380


def test_without_a_remote_the_next_hop_is_the_other_end() -> None:
    network = Network()
    for own, other in ((1, 2), (2, 1)):
        network[own].do(
            m.LinkAdd(kind="ipip", name="tunl0", local=f"10.0.0.{own}", up=True),
            m.AddressAdd(device="tunl0", address=f"192.168.{own}.1/32"),
            m.RouteAdd(destination=f"192.168.{other}.0/24", via=f"10.0.0.{other}", device="tunl0", onlink=True),
        )
    ping = network[1].sockets().open_ping()
    ping.send_echo("192.168.2.1", 1)
    network.run(SECOND)
    answer = ping.receive()
    assert answer is not None and answer.source == "192.168.2.1"


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (UDP(sport=9, dport=6081) / b"short", DropReason.NOT_SPECIFIED),
        (UDP(sport=9, dport=6081) / GENEVE(vni=8) / Ether(), DropReason.NOT_SPECIFIED),
        (UDP(sport=9, dport=6081) / GENEVE(vni=7, critical=1) / Ether(), DropReason.UNHANDLED_PROTO),
        (UDP(sport=9, dport=6081) / GENEVE(vni=7, proto=0x800) / IP(), DropReason.UNHANDLED_PROTO),
        (UDP(sport=9, dport=6081) / GENEVE(vni=7, proto=0x6558) / b"tiny", DropReason.PKT_TOO_SMALL),
    ],
)
def test_what_is_no_packet_of_the_tunnel_is_dropped_with_a_reason(frame: object, reason: DropReason) -> None:
    network = pair("geneve", vni=7)
    kernel = network[1].kernel
    before = kernel.drops.count("", reason)
    whole = Ether(dst=network[1].mac, src=network[2].mac) / IP(src="10.0.0.2", dst="10.0.0.1") / frame
    kernel.receive("eth0", bytes(whole), kernel.now)
    assert kernel.drops.count("", reason) == before + 1


@pytest.mark.parametrize(
    ("operation", "says"),
    [
        (m.LinkAdd(kind="geneve", name="g", vni=1), "Remote is needed"),
        (m.LinkAdd(kind="geneve", name="g", vni=1 << 24, remote="10.0.0.9"), "out of range"),
        (m.LinkAdd(kind="geneve", name="g", vni=7, remote="10.0.0.2"), "File exists"),
        (m.LinkAdd(kind="ipip", name="g", remote="fd00::1"), "IPv4 addresses"),
        (m.LinkAdd(kind="ipip", name="g", ttl=300), "ttl out of range"),
    ],
)
def test_refusals(operation: m.LinkAdd, says: str) -> None:
    with pytest.raises(KernelError, match=says):
        pair("geneve", vni=7)[1].do(operation)


def test_a_deleted_device_gives_its_place_back() -> None:
    network = pair("geneve", vni=7)
    for _ in range(2):
        network[1].do(m.LinkDelete(name="tun0"), m.LinkAdd(kind="geneve", name="tun0", vni=7, remote="10.0.0.2"))
