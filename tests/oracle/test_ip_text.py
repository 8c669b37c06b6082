"""What `ip` prints here and on this machine's own kernel, for the same links, routes, rules and neighbours."""

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
from tests.oracle.worlds import LinuxWorld, PodwireWorld, why_not

from podwire.proto.messages import kernel as m
from podwire.services.chassis.chance import RandomStream
from podwire.services.node.programs.ip.arguments import read_call
from podwire.services.node.programs.ip.command import shown

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(why_not()), reason=why_not() or "-")]
NETNS: Final = "box"
OPERATIONS: Final = (
    m.NetnsAdd(netns="far"),
    m.NetnsAdd(netns=NETNS),
    m.LinkSet(netns=NETNS, name="lo", up=True),
    m.SysctlWrite(netns=NETNS, key="net.ipv6.conf.all.disable_ipv6", value="1"),
    m.LinkAdd(
        netns=NETNS,
        kind="veth",
        name="eth0",
        address="02:00:00:00:00:01",
        peer="up0",
        peer_netns="far",
        peer_address="02:00:00:00:00:02",
        up=True,
    ),
    m.LinkSet(netns="far", name="up0", up=True),
    m.AddressAdd(netns=NETNS, device="eth0", address="10.0.0.1/24", broadcast="+"),
    m.LinkAdd(
        netns=NETNS,
        kind="vxlan",
        name="vx0",
        address="02:00:00:00:00:03",
        vni=5,
        port=4789,
        local="10.0.0.1",
        device="eth0",
        learning=False,
        up=True,
    ),
    m.AddressAdd(netns=NETNS, device="vx0", address="10.5.0.0/32"),
    m.RouteAdd(netns=NETNS, destination="default", via="10.0.0.254"),
    m.RouteAdd(netns=NETNS, destination="10.77.0.0/16", via="10.0.0.3", source="10.0.0.1", metric=50),
    m.RouteAdd(netns=NETNS, destination="10.78.0.0/16", kind="blackhole"),
    m.RouteAdd(netns=NETNS, destination="10.80.0.0/16", kind="unreachable", metric=5),
    m.RouteAdd(netns=NETNS, destination="10.79.0.0/16", device="eth0", table="100"),
    m.RouteAdd(netns=NETNS, destination="10.81.0.0/16", via="10.9.0.9", device="eth0", onlink=True),
    m.RouteAdd(
        netns=NETNS,
        destination="10.82.0.0/16",
        protocol="static",
        hops=[
            m.NextHop(via="10.0.0.3"),
            m.NextHop(via="10.9.0.9", device="eth0", weight=3, onlink=True),
            m.NextHop(device="vx0", weight=256),
        ],
    ),
    m.RuleAdd(netns=NETNS, priority=50, mark=1, mark_mask=15, table="100"),
    m.RuleAdd(
        netns=NETNS,
        priority=49,
        inverted=True,
        source="10.1.0.0/16",
        destination="10.2.0.0/16",
        in_device="eth0",
        tos=0x10,
        protocol=6,
        destination_ports=(80, 90),
        table="100",
    ),
    m.RuleAdd(netns=NETNS, priority=48, source="10.3.0.1", action="blackhole"),
    m.RuleAdd(netns=NETNS, priority=40, in_device="lo", table="main", suppress_prefix_length=0),
    m.NeighbourReplace(netns=NETNS, device="eth0", address="10.0.0.5", mac="02:00:00:00:00:05"),
    m.NeighbourReplace(netns=NETNS, device="eth0", address="10.0.0.8", proxy=True),
)
READS: Final = (
    "link show type vxlan",
    "addr show dev vx0",
    "-br addr show vx0",
    "-br link show vx0",
    "-4 -o addr show vx0",
    "route",
    "route show table 100",
    "route show table all",
    "route show root 10.76.0.0/14",
    "route show 10.77.0.0/16",
    "route show match 10.77.1.1",
    "route show type blackhole",
    "route show proto kernel",
    "route show via 10.0.0.3",
    "route show dev eth0",
    "route show 10.82.0.0/16",
    "-d route show 10.82.0.0/16",
    "-d route",
    "route get 10.77.0.1",
    "route get 10.0.0.1",
    "route get 10.79.0.1 mark 1",
    "rule",
    "neigh",
    "neigh show nud permanent",
    "neigh show dev eth0",
    "neigh show proxy",
)


@pytest.fixture(scope="module")
def worlds() -> Iterator[tuple[PodwireWorld, LinuxWorld]]:
    ours, theirs = PodwireWorld(RandomStream(1)), LinuxWorld()
    try:
        for world in (ours, theirs):
            world.build(OPERATIONS, ())
        yield ours, theirs
    finally:
        theirs.close()


def both(worlds: tuple[PodwireWorld, LinuxWorld], words: list[str]) -> tuple[str, str]:
    ours, theirs = worlds
    return shown(ours.kernel.namespace(NETNS), read_call(words)), theirs.run(NETNS, ["ip", *words])


@pytest.mark.parametrize("read", READS)
def test_text(worlds: tuple[PodwireWorld, LinuxWorld], read: str) -> None:
    ours, theirs = both(worlds, read.split())
    assert ours.replace(" qlen 1000", "") == theirs.replace(" qlen 1000", "")


@pytest.mark.parametrize("read", READS)
def test_json(worlds: tuple[PodwireWorld, LinuxWorld], read: str) -> None:
    ours, theirs = both(worlds, ["-j", *read.split()])
    assert without_queues(json.loads(ours)) == without_queues(json.loads(theirs))


@pytest.mark.parametrize("read", [read for read in READS if "link" not in read and "addr" not in read])
def test_pretty_json_to_the_byte(worlds: tuple[PodwireWorld, LinuxWorld], read: str) -> None:
    ours, theirs = both(worlds, ["-j", "-p", *read.split()])
    assert ours == theirs


def without_queues(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A device that ip made has a queue length; one that a CNI plugin made has none, which is what podwire's have."""
    return [{key: value for key, value in row.items() if key != "txqlen"} for row in rows]
