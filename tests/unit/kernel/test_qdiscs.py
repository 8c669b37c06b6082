"""Queue disciplines on a pod's eth0: what waits, what dies and what it says, in tc's words."""

import errno

import pytest
from topology import MILLISECOND, SECOND, Network

from podwire.proto.messages import kernel as m
from podwire.proto.messages.process import Impairment
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.printing.qdiscs import qdisc_show

OWNER = "NetworkChaos default/slow"
SET = "create tgt hash:net\nadd tgt 10.244.1.7/32\n"
RULES = """*filter
:CHAOS-OUTPUT - [0:0]
-A OUTPUT -j CHAOS-OUTPUT
-A CHAOS-OUTPUT -o eth0 -m set --match-set tgt dst -j CLASSIFY --set-class 1:4
COMMIT
"""


def netem(parent: str = "root", handle: str = "1:", **link: float) -> m.Qdisc:
    impairment = Impairment(**link)  # type: ignore[arg-type]  # plain numbers
    return m.Qdisc(kind="netem", parent=parent, handle=handle, impairment=impairment, owner=OWNER)


def prio(bands: int = 4) -> m.Qdisc:
    return m.Qdisc(kind="prio", handle="1:", bands=bands, owner=OWNER)


def pods(*qdiscs: m.Qdisc) -> Network:
    """Pods a, b and c on one machine, who have spoken; a's eth0 has the disciplines."""
    network = Network(1)
    for name, host in (("a", 5), ("b", 6), ("c", 7)):
        network[1].pod(name, host)
    for to in ("10.244.1.6", "10.244.1.7"):
        answered(network, to)
    network[1].do(m.QdiscsReplace(netns="a", device="eth0", qdiscs=qdiscs))
    return network


def answered(network: Network, to: str = "10.244.1.6") -> int | None:
    """How long (ns) a ping from a took; None for none within ten seconds."""
    began = network.now
    ping = network[1].sockets("a").open_ping()
    ping.send_echo(to, 1, b"x")
    while network.now < began + 10 * SECOND:
        network.run(MILLISECOND)
        if ping.receive() is not None:
            return network.now - began
    return None


def show(network: Network, *, statistics: bool = False) -> list[str]:
    return qdisc_show(network[1].kernel.namespace("a"), "eth0", statistics).splitlines()


def test_a_delay_holds_what_leaves() -> None:
    took = answered(pods(netem(delay=100 * MILLISECOND)))
    assert took is not None and 100 * MILLISECOND <= took <= 102 * MILLISECOND


def test_cached_flows_do_not_go_round_it() -> None:
    network = Network(1)
    network[1].pod("a", 5)
    network[1].pod("b", 6)
    assert all(answered(network) for _ in range(4))
    network[1].do(m.QdiscsReplace(netns="a", device="eth0", qdiscs=(netem(delay=SECOND),)))
    assert all((took or 0) >= SECOND for took in (answered(network), answered(network)))
    network[1].do(m.QdiscsReplace(netns="a", device="eth0"))
    assert (answered(network) or SECOND) < 5 * MILLISECOND


def test_what_is_lost_says_for_whom() -> None:
    network = pods(netem(loss=1))
    assert answered(network) is None
    drop = network[1].kernel.drops.recent[-1]
    assert (drop.reason, drop.device) == ("QDISC_DROP", "eth0")
    assert drop.detail == f"netem 1: loses it ({OWNER})"


def test_only_the_chosen_class_is_delayed() -> None:
    network = pods(prio(), netem("1:4", "5:", delay=SECOND))
    network[1].do(m.IpsetRestore(netns="a", text=SET), m.IptablesRestore(netns="a", text=RULES, noflush=True))
    assert (answered(network, "10.244.1.6") or SECOND) < 5 * MILLISECOND
    assert (answered(network, "10.244.1.7") or 0) >= SECOND


def test_disciplines_chain() -> None:
    took = answered(pods(netem(delay=SECOND), netem("1:", "2:", delay=2 * SECOND)))
    assert took is not None and 3 * SECOND <= took < 3 * SECOND + 5 * MILLISECOND


def test_tbf_spaces_what_exceeds_its_burst() -> None:
    """100 bytes a second, a bucket of 100 bytes: 43 bytes and the header pass at once, then one every 0.43 s."""
    bucket = m.Qdisc(kind="tbf", handle="1:", rate=100, burst=100, limit=1000)
    network = pods(bucket)
    first, second, third = (answered(network) for _ in range(3))
    assert first is not None and second is not None and third is not None
    assert first < 10 * MILLISECOND
    assert 200 * MILLISECOND < third < 500 * MILLISECOND


def test_tbf_drops_what_finds_no_room() -> None:
    network = pods(m.Qdisc(kind="tbf", handle="1:", rate=100, burst=60, limit=100))
    ping = network[1].sockets("a").open_ping()
    for _ in range(5):
        ping.send_echo("10.244.1.6", 1, b"x")
    network.settle()
    assert "tbf 1: is full: 100 bytes wait" in network[1].kernel.drops.recent[-1].detail


def test_what_waits_goes_with_the_discipline() -> None:
    network = pods(netem(delay=SECOND))
    ping = network[1].sockets("a").open_ping()
    ping.send_echo("10.244.1.6", 1, b"x")
    network.settle()
    network[1].do(m.QdiscsReplace(netns="a", device="eth0"))
    network.run(3 * SECOND)
    assert ping.receive() is None


def test_tc_prints_them() -> None:
    link = {"delay": 100 * MILLISECOND, "jitter": 10 * MILLISECOND, "loss": 0.01, "reorder": 0.25, "gap": 5}
    sfq = [m.Qdisc(kind="sfq", parent=f"1:{band}", handle=f"{band + 1}:") for band in (1, 2, 3)]
    network = pods(prio(), *sfq, netem("1:4", "5:", delay_correlation=0.25, **link))
    assert show(network)[0] == "qdisc prio 1: root refcnt 2 bands 4 priomap 1 2 2 2 1 2 0 0 1 1 1 1 1 1 1 1"
    assert show(network)[1] == "qdisc sfq 2: parent 1:1 limit 127p quantum 1514b depth 127 divisor 1024 "
    wanted = "qdisc netem 5: parent 1:4 limit 1000 delay 100ms  10ms 25% loss 1% reorder 25% gap 5"
    assert show(network)[4] == wanted
    assert " Sent 0 bytes 0 pkt (dropped 0, overlimits 0 requeues 0) " in show(network, statistics=True)


def test_tc_prints_what_is_there_by_itself() -> None:
    network = Network(1)
    network[1].pod("a", 5)
    assert show(network) == ["qdisc noqueue 0: root refcnt 2 "]
    kernel = network[1].kernel
    assert "qdisc fq_codel 0: dev eth0 root refcnt 2 limit 10240p" in qdisc_show(kernel.namespace(""))


@pytest.mark.parametrize(
    ("qdiscs", "number", "text"),
    [
        ([netem(handle="x")], errno.EINVAL, '"x": a handle is needed'),
        ([netem(), netem()], errno.EEXIST, "File exists"),
        ([netem("7:1")], errno.ENOENT, 'parent "7:1"'),
        ([prio(), netem("1:5", "2:")], errno.ENOENT, 'parent "1:5": Specified class not found.'),
        ([m.Qdisc(kind="tbf", handle="1:")], errno.EINVAL, "tbf: rate, burst and limit are needed"),
    ],
)
def test_a_bad_tree_changes_nothing(qdiscs: list[m.Qdisc], number: int, text: str) -> None:
    network = pods(netem(delay=SECOND))
    with pytest.raises(KernelError) as refused:
        network[1].do(m.QdiscsReplace(netns="a", device="eth0", qdiscs=tuple(qdiscs)))
    assert refused.value.errno == number and text in str(refused.value)
    assert show(network) == ["qdisc netem 1: root refcnt 2 limit 1000 delay 1s"]
