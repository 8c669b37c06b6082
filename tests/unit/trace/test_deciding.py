"""Which of the rules that a packet passed are shown: the way to the verdict, and what changed the packet."""

import pytest

from podwire.proto.messages.telemetry import Hop
from podwire.scripts.trace.deciding import deciding


def rule(chain: str, verdict: str, hook: str = "PREROUTING", table: str = "nat") -> Hop:
    return Hop(
        trace="t", node="n", netns="", sequence=1, time=1, kind="rule", summary="", chain=chain, verdict=verdict,
        hook=hook, table=table,
    )  # fmt: skip  # one line of a table


def policy(chain: str) -> Hop:
    return Hop(
        trace="t", node="n", netns="", sequence=1, time=1, kind="policy", summary="", chain=chain, verdict="ACCEPT",
        hook=chain, table="nat",
    )  # fmt: skip  # as above


SERVICES, SVC, SEP = "KUBE-SERVICES", "KUBE-SVC-A", "KUBE-SEP-B"
TO_ENDPOINT = [rule("PREROUTING", SERVICES), rule(SERVICES, SVC), rule(SVC, SEP), rule(SEP, "DNAT")]


@pytest.mark.parametrize(
    ("passed", "shown"),
    [
        (TO_ENDPOINT, [0, 1, 2, 3]),
        (
            [
                rule("FORWARD", "KUBE-FORWARD"),
                rule("KUBE-FORWARD", "RETURN"),
                rule("FORWARD", "FLANNEL-FWD"),
                rule("FLANNEL-FWD", "ACCEPT"),
            ],
            [2, 3],
        ),
        ([rule("POSTROUTING", "X"), rule("X", "RETURN"), policy("PREROUTING")], [2]),
        ([rule("OUTPUT", SERVICES), rule(SERVICES, "KUBE-MARK-MASQ"), rule("KUBE-MARK-MASQ", "MARK"), *TO_ENDPOINT[1:]],
         [0, 1, 2, 3, 4, 5]),
        ([rule("POSTROUTING", "X"), rule("X", "RETURN")], []),
        (
            [
                rule("services", "jump other"),
                rule("other", "return"),
                rule("services", "goto service-a"),
                rule("service-a", "continue"),
                rule("service-a", "accept"),
            ],
            [2, 3, 4],
        ),
    ],
    ids=["to an endpoint", "only the chain that accepted", "the policy", "marks are effects", "no verdict", "nft"],
)  # fmt: skip  # a table
def test_what_decided(passed: list[Hop], shown: list[int]) -> None:
    assert deciding(passed) == [passed[index] for index in shown]


def test_other_hops_stay_and_tables_are_apart() -> None:
    route = Hop(trace="t", node="n", netns="", sequence=1, time=1, kind="route", summary="")
    passed = [rule("PREROUTING", "X"), rule("X", "RETURN"), route, rule("FORWARD", "ACCEPT", "FORWARD", "filter")]
    assert deciding(passed) == passed[2:]
