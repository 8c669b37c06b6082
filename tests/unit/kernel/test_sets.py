"""Sets, and the matches that differ from packet to packet."""

import pytest
from topology import SECOND, Network

from podwire.proto.messages import kernel as m
from podwire.services.node.kernel.errors import KernelError

SETS = """create NETS hash:net
create PORTS hash:ip,port
create HOSTS hash:ip
add NETS 10.0.0.0/24
add PORTS 10.0.0.2,udp:53
add HOSTS 10.244.1.5
create THREE hash:ip,port,ip
add THREE 10.0.0.2,udp:53,10.244.1.5
create TO hash:ip,port,net
add TO 10.0.0.2,udp:53,10.244.0.0/16
create EXCEPT hash:net
add EXCEPT 10.0.0.0/8
add EXCEPT 10.0.0.2 nomatch
create NETPORT hash:net,port
add NETPORT 10.0.0.0/24,udp:53
create NUMBERS bitmap:port range 50-60
add NUMBERS 53
create LIST list:set
add LIST NUMBERS
add LIST HOSTS
create SIX hash:ip family inet6
add SIX fe80::1
create SOON hash:ip timeout 2
add SOON 10.244.1.5
add SOON 10.0.0.2 timeout 0
"""


def passed(rule: tuple[str, ...], sends: int = 1, gap: int = 0) -> int:
    """How many of `sends` datagrams from pod a to 10.0.0.2:53 a FORWARD rule matched."""
    network = Network()
    network[1].pod("a", 5)
    network[1].do(m.IpsetRestore(text=SETS), m.IptablesCommand(arguments=("-A", "FORWARD", *rule)))
    network[2].sockets().open_udp().bind(("", 53))
    socket = network[1].sockets("a").open_udp()
    for _ in range(sends):
        socket.send_to(b"?", ("10.0.0.2", 53))
        network.run(gap)
    network.run(SECOND)
    network[1].kernel.settle()
    return network[1].kernel.root.netfilter.tables["filter"].chains["FORWARD"].rules[0].counter.packets


@pytest.mark.parametrize(
    ("rule", "hit"),
    [
        ("-m set --match-set NETS dst", 1),
        ("-m set --match-set NETS src", 0),
        ("-m set --match-set PORTS dst,dst", 1),
        ("-m set ! --match-set PORTS dst,dst", 0),
        ("-m set --match-set HOSTS src", 1),
        ("-m set --match-set THREE dst,dst,src", 1),
        ("-m set --match-set THREE src,src,dst", 0),
        ("-m set --match-set THREE dst,dst", 0),
        ("-m set --match-set TO dst,dst,src", 1),
        ("-m set --match-set EXCEPT dst", 0),
        ("-m set --match-set EXCEPT src", 1),
        ("-m set --match-set NETPORT dst,dst", 1),
        ("-m set --match-set NETPORT src,src", 0),
        ("-m set --match-set NUMBERS dst", 1),
        ("-m set --match-set NUMBERS src", 0),
        ("-m set --match-set LIST src", 1),
        ("-m set --match-set LIST dst", 1),
        ("-m set --match-set SIX dst", 0),
    ],
)
def test_sets(rule: str, hit: int) -> None:
    assert passed(tuple(rule.split())) == hit


def test_a_rule_about_a_set_that_is_not_there_is_refused() -> None:
    with pytest.raises(KernelError, match="Set GONE doesn't exist"):
        passed(("-m", "set", "--match-set", "GONE", "src"))


@pytest.mark.parametrize(("rule", "hits"), [("src", 2), ("dst", 9)])
def test_an_element_s_time_runs_out_for_cached_flows_too(rule: str, hits: int) -> None:
    assert passed(("-m", "set", "--match-set", "SOON", rule), 9, SECOND) == hits


@pytest.mark.parametrize(
    ("rule", "sends", "gap", "hits"),
    [
        ("-m statistic --mode nth --every 3 --packet 0", 9, 0, 3),
        ("-m statistic --mode random --probability 0", 9, 0, 0),
        ("-m statistic --mode random --probability 1", 9, 0, 9),
        ("-m limit --limit 1/sec --limit-burst 3", 9, 0, 3),
        ("-m limit --limit 1/sec --limit-burst 3", 9, SECOND, 9),
    ],
)
def test_matches_that_count_are_asked_every_time(rule: str, sends: int, gap: int, hits: int) -> None:
    assert passed(tuple(rule.split()), sends, gap) == hits


@pytest.mark.parametrize(
    "text",
    [
        "create X hash:nonsense",
        "add NETS 10.0.0.0/24",
        "add HOSTS 10.0.0.0/0",
        "add PORTS 10.0.0.1",
        "destroy NETS",
    ],
)
def test_what_is_refused_ends_a_restore_and_is_named(text: str) -> None:
    network = Network(1)
    network[1].do(m.IpsetRestore(text=SETS))
    network[1].do(m.IptablesCommand(arguments=("-A", "INPUT", "-m", "set", "--match-set", "NETS", "src")))
    before = list(network[1].kernel.root.netfilter.sets)
    with pytest.raises(KernelError, match=r"Error in line 2"):
        network[1].do(m.IpsetRestore(text=f"create NEW hash:ip\n{text}\ncreate LATER hash:ip\n"))
    assert list(network[1].kernel.root.netfilter.sets) == [*before, "NEW"]
