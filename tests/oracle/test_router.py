"""A router with generated rules forwards, answers, translates and counts generated packets as Linux does.

640 packets under 16 rule sets in every run, 3,200 under 80 in make test-all: a third IPv6, a quarter with policy
routing. One seed decides each rule set and its packets.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import pytest
from tests.oracle import router
from tests.oracle.frames import comparable, show
from tests.oracle.nft_rulesets import NftGenerator
from tests.oracle.packets import PacketGenerator
from tests.oracle.rulesets import RuleGenerator
from tests.oracle.worlds import Arrival, LinuxWorld, PodwireWorld, World, why_not

from podwire.proto.messages import kernel as m

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(why_not()), reason=why_not() or "-")]
PACKETS = 40


@contextmanager
def both_worlds(operations: list[Any]) -> Iterator[tuple[World, World]]:
    """podwire's kernel and Linux, built alike."""
    ours, theirs = PodwireWorld(random.Random(1)), LinuxWorld()
    try:
        for world in (ours, theirs):
            world.build(operations, router.POINTS)
        yield ours, theirs
    finally:
        ours.close()
        theirs.close()


def meet(worlds: tuple[World, World], seed: int, family: Literal["ipv4", "ipv6"], rules: str) -> None:
    """Restore the rules in both, send generated packets, and compare what arrives and what was counted."""
    for world in worlds:
        world.do(m.IptablesRestore(netns="router", text=rules, family=family))
    exchange(worlds, seed, family, rules)
    got, wanted = (counters(world.rules("router", family)) for world in worlds)
    assert got == wanted, rules
    assert worlds[0].statistics("router") == worlds[1].statistics("router"), rules


def exchange(worlds: tuple[World, World], seed: int, family: Literal["ipv4", "ipv6"], rules: str) -> None:
    """Send generated packets into both worlds, and compare what arrives."""
    generator = PacketGenerator(seed, family=family)
    for number in range(PACKETS):
        frame = generator.frame()
        got, wanted = (comparable(world.send("client", "eth0", frame)) for world in worlds)
        sent = show([Arrival("sent", "", frame)])
        assert got == wanted, f"packet {number}\n{sent}podwire:\n{show(got)}linux:\n{show(wanted)}{rules}"


def counters(text: str) -> list[str]:
    """The lines of a save without comments, by table."""
    lines, table = [], ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line
        elif line and not line.startswith(("#", "COMMIT")):
            lines.append(f"{table} {line}")
    return sorted(lines)


def seeds(first: int, few: int, many: int) -> list[Any]:
    """`few` seeds for every run of the tests, and up to `many` in make test-all."""
    return [pytest.param(first + at, marks=[pytest.mark.slow] if at >= few else []) for at in range(many)]


@pytest.mark.parametrize("seed", seeds(0, 12, 60))
def test_generated_packets_meet_generated_rules(seed: int) -> None:
    family: Literal["ipv4", "ipv6"] = "ipv6" if seed % 3 == 2 else "ipv4"
    rules = RuleGenerator(seed, family=family).text() if seed % 4 else ""
    with both_worlds([*router.build(server_mtu=1300 if seed % 2 else 1500)]) as worlds:
        meet(worlds, seed, family, rules)


@pytest.mark.parametrize("seed", seeds(200, 6, 40))
def test_nftables_decide_and_count_the_same(seed: int) -> None:
    family: Literal["ipv4", "ipv6"] = "ipv6" if seed % 3 == 2 else "ipv4"
    rules = NftGenerator(seed, family=family).text()
    with both_worlds([*router.build()]) as worlds:
        for world in worlds:
            world.do(m.NftRestore(netns="router", text=rules))
        exchange(worlds, seed, family, rules)
        got, wanted = (world.rules("router", "nft") for world in worlds)
        assert got == wanted, rules


MARK_PINGS = """*mangle
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -p icmp -j MARK --set-xmark 0x1/0x1
COMMIT
"""


@pytest.mark.parametrize("seed", seeds(100, 4, 20))
def test_policy_rules_choose_the_same_ways(seed: int) -> None:
    rules = RuleGenerator(seed, family="ipv4").text() if seed % 2 else MARK_PINGS
    with both_worlds([*router.build(), *router.policies()]) as worlds:
        meet(worlds, seed, "ipv4", rules)
