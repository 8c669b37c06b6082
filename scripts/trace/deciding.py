"""Of the rules that a packet passed at one hook, those that decided: the way to the verdict, and what had an effect.

A jump into a chain that came back without a verdict decided nothing. The kernel tells all of them; people read these.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from podwire.proto.messages.telemetry import Hop

_BACK: Final = ("RETURN", "return")
_EFFECTS: Final = ("MARK", "CT", "LOG", "CONTINUE", "continue")


def deciding(hops: Sequence[Hop]) -> list[Hop]:
    """The hops without rules that decided nothing."""
    kept: list[Hop] = []
    for place, group in groupby(hops, key=_place):
        run = list(group)
        kept += _run(run) if place[0] else run
    return kept


def _place(hop: Hop) -> tuple[bool, str, str, str, str]:
    is_rule = hop.kind in ("rule", "policy")
    return (is_rule, hop.node, hop.netns, hop.hook, hop.table) if is_rule else (False, "", "", "", "")


def _run(run: list[Hop]) -> list[Hop]:
    """One traversal of one table at one hook."""
    wanted: dict[int, None] = {}
    for index, hop in enumerate(run):
        if hop.kind == "policy" or hop.verdict in _EFFECTS or (index == len(run) - 1 and hop.verdict not in _BACK):
            wanted.update(dict.fromkeys((index, *_way_to(run, index))))
    return [run[index] for index in sorted(wanted)]


def _way_to(run: list[Hop], index: int) -> Iterator[int]:
    """The jumps by which a rule's chain was reached; iptables' verdict is the chain, nft's says jump or goto too."""
    if run[index].kind == "policy":
        return
    chain = run[index].chain
    for before in range(index - 1, -1, -1):
        if run[before].verdict in (chain, f"jump {chain}", f"goto {chain}"):
            yield before
            chain = run[before].chain
