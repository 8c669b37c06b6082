"""Every reason for which this kernel drops packets says what to change."""

import pytest

from podwire.proto.messages.telemetry import Hop
from podwire.scripts.trace.advice import advice
from podwire.services.node.kernel.drops import DropReason


def dropped(reason: str, **more: object) -> Hop:
    values = {"trace": "t", "node": "n", "netns": "", "sequence": 1, "time": 1, "kind": "drop", "summary": "", **more}
    return Hop(reason=reason, **values)  # type: ignore[arg-type]  # a table of plain values


@pytest.mark.parametrize("reason", [each.value for each in DropReason if each != DropReason.NOT_SPECIFIED])
def test_a_sentence_for_every_reason(reason: str) -> None:
    assert len(advice(dropped(reason)).split()) > 3


@pytest.mark.parametrize(
    ("hop", "sentence"),
    [
        (dropped("IP_INHDR", detail="TTL exceeded in transit"), "send it with a larger TTL"),
        (dropped("NETFILTER_DROP", chain="FORWARD", table="filter", rule=0), "its policy is DROP: add a rule"),
        (dropped("NETFILTER_DROP", chain="X", table="filter", rule=3, owner="a/b"), "drops it (made for a/b): change"),
        (dropped("NOT_SPECIFIED", detail="no hairpin"), "no hairpin"),
    ],
)
def test_what_depends_on_more_than_the_reason(hop: Hop, sentence: str) -> None:
    assert sentence in advice(hop)
