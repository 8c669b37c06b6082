"""From hops to flights: one flight is one packet, whatever its addresses become on the way."""

import io

import pytest
from rich.console import Console

from podwire.proto.messages import machine as messages
from podwire.proto.messages.telemetry import Hop
from podwire.scripts.chaos.targets import find, name
from podwire.scripts.cluster.folder import RunningProcess
from podwire.scripts.commands.trace import chosen, show
from podwire.scripts.errors import UserError
from podwire.scripts.trace.flights import Flight, flights, identity, inner
from podwire.scripts.trace.render import tree
from podwire.scripts.trace.resolve import Destination, Source

SYN = "IP 10.244.1.5.40000 > 10.96.45.123.80: Flags [S], seq 7, win 65535, length 0"
TRANSLATED = "IP 10.244.1.5.40000 > 10.244.2.3.8080: Flags [S], seq 7, win 65535, length 0"
OUTER = f"IP 172.18.0.3.4 > 172.18.0.4.8472: OTV/VXLAN, flags [I] (0x08), vni 1: {TRANSLATED}"
SYN_ACK = "IP 10.244.2.3.8080 > 10.244.1.5.40000: Flags [S.], seq 99, ack 8, win 65535, length 0"


def a_hop(summary: str, time: int, node: str = "node-1", sequence: int = 1, **details: object) -> Hop:
    values = {"trace": "t", "node": node, "netns": "", "kind": "route", "summary": summary, **details}
    return Hop(time=time, sequence=sequence, **values)  # type: ignore[arg-type]  # one table of plain values


HOPS = [
    a_hop(SYN_ACK, 30, "node-2"),
    a_hop(OUTER, 20, "node-2"),
    a_hop(SYN, 10),
    a_hop(TRANSLATED, 10, sequence=2, kind="nat", verdict="DNAT", before="10.96.45.123:80", after="10.244.2.3:8080"),
    a_hop(OUTER, 10, sequence=3),
]


def test_a_packet_keeps_its_identity_through_nat_and_tunnel() -> None:
    assert identity(SYN) == identity(TRANSLATED) == identity(OUTER)
    assert identity(SYN) != identity(SYN_ACK)
    assert inner(OUTER) == TRANSLATED


def test_flights_are_in_order_of_time() -> None:
    request, reply = flights(HOPS)
    assert [hop.node for hop in request.hops] == ["node-1", "node-1", "node-1", "node-2"]
    assert (request.is_reply, reply.is_reply) == (False, True)


def test_a_dead_packet_is_always_shown() -> None:
    dead = "IP 10.244.1.5.40000 > 10.96.45.123.80: Flags [F.], seq 9, ack 100, win 9, length 0"
    quiet = "IP 10.244.1.5.40000 > 10.96.45.123.80: Flags [.], ack 100, win 9, length 0"
    found = flights([*HOPS, a_hop(quiet, 40), a_hop(dead, 50, kind="drop", reason="NETFILTER_DROP")])
    assert [flight.summary for flight in chosen(found)] == [SYN, SYN_ACK, dead]


def shown(flight: Flight) -> str:
    console = Console(width=200, file=io.StringIO())
    with console.capture() as captured:
        console.print(tree(flight, "request"))
    return captured.get()


def test_a_mac_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """`:ab:` is the name of an emoji, too."""
    mac = "neighbour eth0 10.244.1.1 lladdr 86:7e:80:ab:6b:48 DELAY"
    outcome = messages.Outcome(success=True, text=mac, duration=1)
    source, destination = Source("node-1"), Destination("tcp", "10.244.1.5", 80)
    show(source, destination, outcome, flights([a_hop(SYN, 1, kind="neighbour", detail=mac)]), "tree")
    assert capsys.readouterr().out.count("86:7e:80:ab:6b:48") == 2


def test_a_tree_shows_nat_and_why_a_packet_died() -> None:
    rule = {"table": "filter", "chain": "KUBE-FORWARD", "rule": 1, "rule_text": "-A KUBE-FORWARD -j DROP"}
    [flight] = flights([*HOPS[2:4], a_hop(TRANSLATED, 11, kind="drop", reason="NETFILTER_DROP", **rule)])
    text = shown(flight)
    assert "DNAT 10.96.45.123:80 -> 10.244.2.3:8080" in text
    assert "NETFILTER_DROP" in text
    assert "rule 1 of chain KUBE-FORWARD in table filter drops it" in text


def test_a_tree_shows_the_wire_between_machines() -> None:
    request, _ = flights(HOPS)
    assert "wire node-1 -> node-2" in shown(request)


RUNNING = [
    RunningProcess("apiserver", "control-plane", "a", 1, True, 0),
    RunningProcess("node", "node-1", "b", 2, False, 0),
    RunningProcess("kube-proxy", "node-1", "c", 3, True, 0),
    RunningProcess("kube-proxy", "node-2", "d", 4, True, 0),
    RunningProcess("coredns", "", "e", 5, True, 0),
    RunningProcess("coredns", "", "f", 6, True, 0),
    RunningProcess("coredns", "", "g", 7, False, 0),
]


@pytest.mark.parametrize(
    ("target", "pid"),
    [("apiserver", 1), ("node-1", 2), ("kube-proxy@node-2", 4), ("coredns/0", 5), ("coredns/1", 6)],
)
def test_targets_of_chaos(target: str, pid: int) -> None:
    process = find(target, RUNNING)
    assert process.pid == pid
    assert name(process, RUNNING) == target


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("kube-proxy", "ambiguous: kube-proxy@node-1, kube-proxy@node-2"),
        ("coredns/9", "there is no such process"),
        ("coredns/x", "there is no such process"),
        ("nothing", "there are apiserver, node-1, kube-proxy@node-1"),
    ],
)
def test_wrong_targets_name_the_right_ones(target: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        find(target, RUNNING)


ASKED = "IP 10.244.1.5.40000 > 10.96.0.10.53: UDP, length 5"
ASKED_POD = "IP 10.244.1.5.40000 > 10.244.2.3.5353: UDP, length 5"
MASKED = "IP 172.18.0.3.61000 > 10.244.2.3.5353: UDP, length 5"
ANSWERED = "IP 10.244.2.3.5353 > 172.18.0.3.61000: UDP, length 5"
REFUSED = "IP 10.244.2.3 > 10.244.1.5: ICMP 10.244.2.3 udp port 53 unreachable, length 41"


def test_a_port_that_nat_changes_does_not_make_another_packet() -> None:
    hops = [
        a_hop(ASKED, 1),
        a_hop(ASKED_POD, 2, kind="nat", verdict="DNAT", before="10.96.0.10:53", after="10.244.2.3:5353"),
        a_hop(MASKED, 3, kind="nat", verdict="SNAT", before="10.244.1.5:40000", after="172.18.0.3:61000"),
        a_hop(MASKED, 4, "node-2"),
        a_hop(ANSWERED, 5, "node-2"),
        a_hop(REFUSED, 6, "node-2"),
    ]
    forth, back, error = flights(hops)
    assert [len(flight.hops) for flight in (forth, back, error)] == [4, 1, 1]
    assert [flight.is_reply for flight in (forth, back, error)] == [False, True, True]


def test_an_identifier_that_nat_changes_does_not_either() -> None:
    asked = "IP 10.244.1.5 > 10.0.0.1: ICMP echo request, id 7, seq 1, length 64"
    masked = "IP 172.18.0.3 > 10.0.0.1: ICMP echo request, id 9, seq 1, length 64"
    changed = a_hop(masked, 2, kind="nat", verdict="SNAT", before="10.244.1.5", after="172.18.0.3")
    assert len(flights([a_hop(asked, 1), changed, a_hop(masked, 3)])) == 1


def test_ipv6_ends_have_brackets() -> None:
    asked, translated = "IP6 fd00::5.4000 > fd00::1.80: UDP, length 5", "IP6 fd00::5.4000 > fd00::9.81: UDP, length 5"
    changed = a_hop(translated, 2, kind="nat", verdict="DNAT", before="[fd00::1]:80", after="[fd00::9]:81")
    [flight] = flights([a_hop(asked, 1), changed])
    assert not flight.is_reply


def test_a_packet_sent_again_is_told_apart() -> None:
    def sent(time: int) -> list[Hop]:
        return [a_hop(SYN, time, detail="default"), a_hop(SYN, time + 1, kind="neighbour", detail="waits")]

    dead = [a_hop(SYN, 90 + each, kind="drop", reason="NEIGH_FAILED") for each in range(3)]
    found = flights([*sent(1), *sent(11), *sent(21), *dead])
    assert [(flight.title, len(flight.hops)) for flight in found] == [
        ("request", 3), ("request, attempt 2", 3), ("request, attempt 3", 3)
    ]  # fmt: skip  # a table
    assert all(flight.died for flight in found)


def test_neighbours_are_no_part_of_the_conversation() -> None:
    arp = "ARP, Reply 10.0.0.1 is-at 02:00:00:00:00:01, length 28"
    assert [flight.is_control for flight in flights([a_hop(SYN, 1), a_hop(arp, 2)])] == [False, True]
