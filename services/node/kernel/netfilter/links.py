"""What in a table jumps where, kept so that a change is checked at the cost of what it changes.

Linux checks a whole table at every change (x_tables.c, mark_source_chains). Here each chain has a height above all
that it jumps to, and the hooks in which all that it reaches may stand: while a change keeps to both, the rest of the
table is as right as it was.
"""

import functools
from collections.abc import Container, Iterable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from podwire.services.node.kernel.journal import Journal
from podwire.services.node.kernel.netfilter.errors import NetfilterError
from podwire.services.node.kernel.netfilter.matches.sets import SetMatch
from podwire.services.node.kernel.netfilter.parse import BUILTIN_CHAINS
from podwire.services.node.kernel.netfilter.rule import Rule

if TYPE_CHECKING:
    from podwire.services.node.kernel.netfilter.chain import Chain, Table

_EVERYWHERE: Final = tuple(dict.fromkeys(hook for hooks in BUILTIN_CHAINS.values() for hook in hooks))
_ABOVE_ALL: Final = 1 << 30
"""The height of builtin chains: nothing jumps to them."""
Hooks = tuple[str, ...]
Reach = dict[str, tuple[int, Hooks]]


class Links(NamedTuple):
    """Of a table as it was last checked."""

    uses: dict[str, int]
    """How many rules jump to each chain that any jumps to."""
    tracking: str
    """A chain with a rule that needs connections to be tracked, "" if there is none."""
    reach: Reach
    """Of each chain its height, and in which hooks all that it reaches may stand (a builtin one has its own)."""


def jumps(chain: "Chain") -> Iterator[str]:
    """The chains that a chain's rules name, once for each rule."""
    return (rule.jump for rule in chain.rules if rule.jump)


def uses_of(table: "Table", name: str) -> int:
    """How many rules jump to a chain now, in a table that has been edited since it was checked."""
    if table.links is None:
        return sum(target == name for chain in table.chains.values() for target in jumps(chain))
    return table.links.uses.get(name, 0) + sum(by for _, rule, by in table.changes() if rule.jump == name)


def check(table: "Table", sets: Container[str], journal: Journal) -> Links:
    """Refuses sets that are not there, jumps to nowhere, loops, targets in the wrong hook. Raises NetfilterError.

    What was known of the table is brought up to date in place, by way of its journal.
    """
    if table.links is None:
        return _check_all(table, sets, journal)
    changes, before = list(table.changes()), table.links
    for _, rule, by in changes:
        if by > 0:
            _check_rule(table, rule, sets)
        if rule.jump:
            _count(before.uses, rule.jump, by, journal)
    tracking = _tracking(table, before)
    if _keeps_reach(table, changes, before.reach, journal):
        return Links(before.uses, tracking, before.reach)
    return Links(before.uses, tracking, _reach(table, journal))


def _check_all(table: "Table", sets: Container[str], journal: Journal) -> Links:
    uses: dict[str, int] = {}
    for chain in table.chains.values():
        for rule in chain.rules:
            _check_rule(table, rule, sets)
            if rule.jump:
                uses[rule.jump] = uses.get(rule.jump, 0) + 1
    return Links(uses, _tracking(table, None), _reach(table, journal))


def _reach(table: "Table", journal: Journal) -> Reach:
    reach: Reach = {}
    for name in table.chains:
        _measure(table, name, reach, journal)
    for name in BUILTIN_CHAINS[table.name]:
        if name not in reach[name][1]:
            raise NetfilterError("Invalid argument. Run `dmesg' for more information.")
        reach[name] = _ABOVE_ALL, (name,)
    return reach


def _tracking(table: "Table", before: Links | None) -> str:
    """A chain with a rule that needs connections to be tracked, "" if there is none."""
    if before is not None and before.tracking and before.tracking not in table.edited:
        return before.tracking
    unchanged = before is not None and not before.tracking
    names = [name for name in table.edited if name in table.chains] if unchanged else list(table.chains)
    return next((name for name in names if any(r.needs_conntrack for r in table.chains[name].rules)), "")


def _check_rule(table: "Table", rule: Rule, sets: Container[str]) -> None:
    for match in rule.matches:
        if isinstance(match, SetMatch) and match.set not in sets:
            raise NetfilterError(f"Set {match.set} doesn't exist.")
    if rule.jump and (rule.jump not in table.chains or table.chains[rule.jump].policy is not None):
        raise NetfilterError(f"Couldn't load target `{rule.jump}':No such file or directory")


def _count(uses: dict[str, int], target: str, by: int, journal: Journal) -> None:
    if count := uses.get(target, 0) + by:
        journal.put(uses, target, count)
    else:
        journal.drop(uses, target)


def _keeps_reach(table: "Table", changes: Iterable[tuple[str, Rule, int]], reach: Reach, journal: Journal) -> bool:
    """Puts in what new chains reach; false if a chain is no longer below what jumps to it, or reaches fewer hooks.

    A rule that goes leaves both as bounds, if wider ones than need be.
    """
    for name in table.edited:
        if name not in table.chains:
            journal.drop(reach, name)
    known = {name: reach[name] for name in table.edited if name in reach}
    for name in table.edited:
        if name in table.chains:
            _measure(table, name, reach, journal)
    for name, rule, by in changes:
        if by > 0 and name in known:
            height, hooks = known[name]
            if rule.jump:
                _measure(table, rule.jump, reach, journal)
                if reach[rule.jump][0] >= height:
                    return False
            if any(hook not in limit for limit in _limits(rule, reach) for hook in hooks):
                return False
    return True


def _measure(table: "Table", root: str, reach: Reach, journal: Journal) -> None:
    """Depth-first over the jumps, without recursion; a chain met on its own path is a loop."""
    if root in reach:
        return
    below = dict.fromkeys(jumps(table.chains[root]))
    if all(target in reach for target in below):
        height = 1 + max((reach[target][0] for target in below), default=0)
        journal.put(reach, root, (height, _hooks(table, root, reach)))
        return
    path = [(root, below, list(below))]
    on_path = {root: None}
    while path:
        name, below, rest = path[-1]
        if not rest:
            height = 1 + max((reach[target][0] for target in below), default=0)
            journal.put(reach, name, (height, _hooks(table, name, reach)))
            del on_path[name]
            path.pop()
            continue
        following = rest.pop()
        if following in on_path:
            raise NetfilterError("Too many levels of symbolic links")
        if following not in reach:
            on_path[following] = None
            path.append((following, below := dict.fromkeys(jumps(table.chains[following])), list(below)))


def _limits(rule: Rule, reach: Reach) -> list[Hooks]:
    """Where a rule, and all of those that it jumps to, may stand."""
    found = [match.hooks for match in rule.matches if match.hooks]
    if rule.target is not None and rule.target.hooks:
        found.append(rule.target.hooks)
    if rule.jump and reach[rule.jump][1] is not _EVERYWHERE:
        found.append(reach[rule.jump][1])
    return found


def _hooks(table: "Table", name: str, reach: Reach) -> Hooks:
    """Where all of a chain's rules, and of those that they jump to, may stand."""
    limits: dict[Hooks, None] = {}
    for rule in table.chains[name].rules:
        for limit in _limits(rule, reach):
            limits[limit] = None
    return _common(tuple(limits)) if limits else _EVERYWHERE


@functools.cache
def _common(limits: tuple[Hooks, ...]) -> Hooks:
    return tuple(hook for hook in _EVERYWHERE if all(hook in limit for limit in limits))
