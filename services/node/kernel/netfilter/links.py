"""What in a table jumps where, kept so that a change is checked at the cost of what it changes.

Linux checks a whole table at every change (x_tables.c, mark_source_chains). Here each chain has a height above all
that it jumps to, and the hooks in which all that it reaches may stand: while a change keeps to both, the rest of the
table is as right as it was.
"""

from collections.abc import Container, Iterable, Iterator
from typing import TYPE_CHECKING, Final

from podwire.services.node.kernel.netfilter.errors import NetfilterError
from podwire.services.node.kernel.netfilter.matches.sets import SetMatch
from podwire.services.node.kernel.netfilter.parse import BUILTIN_CHAINS
from podwire.services.node.kernel.netfilter.rule import Rule

if TYPE_CHECKING:
    from podwire.services.node.kernel.netfilter.chain import Chain, Table

_EVERYWHERE: Final = tuple(dict.fromkeys(hook for hooks in BUILTIN_CHAINS.values() for hook in hooks))
Hooks = tuple[str, ...]


class Links:
    """Of a table as it was last checked: how many rules jump to each chain; heights; hooks; who tracks connections."""

    def __init__(self) -> None:
        self.uses: dict[str, int] = {}
        self.tracking = ""
        self.reach: dict[str, tuple[int, Hooks]] = {}


def jumps(chain: "Chain | None") -> Iterator[str]:
    """The chains that a chain's rules name, once for each rule."""
    return (rule.jump for rule in chain.rules if rule.jump) if chain is not None else iter(())


def uses_of(table: "Table", name: str) -> int:
    """How many rules jump to a chain now, in a table that has been edited since it was checked."""
    if table.links is None:
        return sum(target == name for chain in table.chains.values() for target in jumps(chain))
    before = sum(target == name for chain in table.edited.values() for target in jumps(chain))
    after = sum(target == name for edited in table.edited for target in jumps(table.chains.get(edited)))
    return table.links.uses.get(name, 0) - before + after


def check(table: "Table", sets: Container[str]) -> Links:
    """Refuses sets that are not there, jumps to nowhere, loops, targets in the wrong hook. Raises NetfilterError."""
    before = table.links
    names = table.chains if before is None else [name for name in table.edited if name in table.chains]
    for name in names:
        for rule in table.chains[name].rules:
            _check_rule(table, rule, sets)
    links = Links()
    links.tracking = _tracking(table, before)
    if before is not None:
        links.uses = _counted(before.uses, table)
        kept = _kept_reach(table, before)
        if kept is not None:
            links.reach = kept
            return links
    else:
        _count(links.uses, (target for chain in table.chains.values() for target in jumps(chain)), 1)
    for name in table.chains:
        _measure(table, name, links.reach)
    _check_hooks(table, BUILTIN_CHAINS[table.name], links.reach)
    return links


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


def _count(uses: dict[str, int], targets: Iterable[str], by: int) -> None:
    for target in targets:
        uses[target] = uses.get(target, 0) + by


def _counted(before: dict[str, int], table: "Table") -> dict[str, int]:
    uses = before.copy()
    for name, old in table.edited.items():
        _count(uses, jumps(old), -1)
        _count(uses, jumps(table.chains.get(name)), 1)
    return uses


def _kept_reach(table: "Table", before: Links) -> dict[str, tuple[int, Hooks]] | None:
    """With what new chains reach; None if an edited chain is no longer below what jumps to it."""
    reach = before.reach.copy()
    for name in table.edited:
        if name not in table.chains:
            reach.pop(name, None)
    for name in table.edited:
        if name not in table.chains:
            continue
        known = before.reach.get(name)
        if known is None:
            _measure(table, name, reach)
            continue
        below = dict.fromkeys(jumps(table.chains[name]))
        for target in below:
            _measure(table, target, reach)
        if any(reach[target][0] >= known[0] for target in below) or _hooks(table, name, below, reach) != known[1]:
            return None
    return reach


def _measure(table: "Table", root: str, reach: dict[str, tuple[int, Hooks]]) -> None:
    """Depth-first over the jumps, without recursion; a chain met on its own path is a loop."""
    if root in reach:
        return
    path = [(root, below := dict.fromkeys(jumps(table.chains[root])), list(below))]
    on_path = {root: None}
    while path:
        name, below, rest = path[-1]
        if not rest:
            height = 1 + max((reach[target][0] for target in below), default=0)
            reach[name] = height, _hooks(table, name, below, reach)
            del on_path[name]
            path.pop()
            continue
        following = rest.pop()
        if following in on_path:
            raise NetfilterError("Too many levels of symbolic links")
        if following not in reach:
            on_path[following] = None
            path.append((following, below := dict.fromkeys(jumps(table.chains[following])), list(below)))


def _hooks(table: "Table", name: str, below: Iterable[str], reach: dict[str, tuple[int, Hooks]]) -> Hooks:
    """Where all of a chain's rules, and of those that they jump to, may stand."""
    limits = [reach[target][1] for target in below if reach[target][1] is not _EVERYWHERE]
    for rule in table.chains[name].rules:
        limits += [match.hooks for match in rule.matches if match.hooks]
        limits += [rule.target.hooks] if rule.target is not None and rule.target.hooks else []
    if not limits:
        return _EVERYWHERE
    return tuple(hook for hook in _EVERYWHERE if all(hook in limit for limit in limits))


def _check_hooks(table: "Table", names: Iterable[str], reach: dict[str, tuple[int, Hooks]]) -> None:
    for name in names:
        if name not in reach[name][1]:
            raise NetfilterError("Invalid argument. Run `dmesg' for more information.")
