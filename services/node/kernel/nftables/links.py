"""What in a table leads to which chain, kept so that a transaction is checked at the cost of what it changes.

Linux counts the uses of every chain, and looks for loops from base chains at every commit (nf_tables_validate). Here
each chain has a height above all that it leads to: while changes keep to that, there can be no loop.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from podwire.services.node.kernel.nftables.errors import NftError
from podwire.services.node.kernel.nftables.sets import Element, NftSet
from podwire.services.node.kernel.nftables.statements import Verdict

if TYPE_CHECKING:
    from podwire.services.node.kernel.nftables.tables import NftChain, NftTable

_HEADROOM: Final = 16
"""What a chain that looks up a named map is set higher, so that elements that come later find room below it."""
_NOWHERE: Final = "Could not process rule: No such file or directory"
_LOOP: Final = "Could not process rule: Too many links"


def targets_of(chain: "NftChain") -> Iterator[str]:
    """The chains that its rules name, also in anonymous maps."""
    for rule in chain.rules:
        for statement in rule.statements:
            verdict = getattr(statement, "verdict", None)
            if isinstance(verdict, Verdict) and verdict.chain:
                yield verdict.chain
            members = getattr(statement, "members", None)
            if members is not None and not members.name and (held := members.find()) is not None:
                yield from targets_in(held.elements)


def targets_in(elements: Iterable[Element]) -> Iterator[str]:
    """The chains that elements lead to."""
    for element in elements:
        if isinstance(element.data, Verdict) and element.data.chain:
            yield element.data.chain


def sets_of(chain: "NftChain") -> Iterator[str]:
    """The named sets and maps that its rules use."""
    for rule in chain.rules:
        for statement in rule.statements:
            members = getattr(statement, "members", None)
            if members is not None and members.name:
                yield members.name


@dataclass(frozen=True, slots=True)
class Links:
    """Of a table as it was last checked."""

    uses: dict[str, int]
    """How many rules and elements lead to each chain."""
    users: dict[str, dict[str, None]]
    """The chains whose rules name each set."""
    heights: dict[str, int]
    bases: tuple[str, ...]
    """The chains that stand in hooks."""
    tracking: str
    """A chain with a rule that needs connections to be tracked, "" if there is none."""

    def set_is_used(self, table: "NftTable", name: str) -> bool:
        """Whether a rule names a set, in a table that has been edited since."""
        kept = any(chain not in table.edited_chains for chain in self.users.get(name, ()))
        return kept or any(
            name in sets_of(table.chains[chain]) for chain in table.edited_chains if chain in table.chains
        )


def check(table: "NftTable") -> Links:
    """Refuses jumps to nowhere or to base chains, and loops; the table's links from now on. Raises NftError.

    What was known of the table is brought up to date in place, by way of its journal.
    """
    before = table.links
    if before is None:
        return _counted_anew(table)
    _recount(table, before)
    if not _keeps_heights(table, before):
        return _counted_anew(table)
    return replace(before, bases=_bases(table, before), tracking=_tracking(table, before))


def _counted_anew(table: "NftTable") -> Links:
    links = Links({}, {}, {}, _bases(table, None), _tracking(table, None))
    for chain in table.chains.values():
        _count(table, links.uses, targets_of(chain), 1)
        for name in sets_of(chain):
            links.users.setdefault(name, {})[chain.name] = None
    for held in table.sets.values():
        _count(table, links.uses, targets_in(held.elements), 1)
    for target in links.uses:
        _check_target(table, target)
    for name in table.chains:
        _measure(table, name, links.heights)
    return links


def _bases(table: "NftTable", before: Links | None) -> tuple[str, ...]:
    if before is not None:
        touched = [chain for name, old in table.edited_chains.items() for chain in (old, table.chains.get(name))]
        if all(chain is None or chain.base is None for chain in touched):
            return before.bases
    return tuple(name for name, chain in table.chains.items() if chain.base is not None)


def _tracking(table: "NftTable", before: Links | None) -> str:
    if before is not None and before.tracking and before.tracking not in table.edited_chains:
        return before.tracking
    unchanged = before is not None and not before.tracking
    names = [name for name in table.edited_chains if name in table.chains] if unchanged else list(table.chains)
    return next((name for name in names if _needs_conntrack(table.chains[name])), "")


def _needs_conntrack(chain: "NftChain") -> bool:
    return any(statement.needs_conntrack for rule in chain.rules for statement in rule.statements)


def _count(table: "NftTable", uses: dict[str, int], targets: Iterable[str], by: int) -> None:
    for target in targets:
        if count := uses.get(target, 0) + by:
            table.journal.put(uses, target, count)
        else:
            table.journal.drop(uses, target)


def _check_target(table: "NftTable", target: str) -> None:
    if target not in table.chains or table.chains[target].base is not None:
        raise NftError(_NOWHERE)


def _recount(table: "NftTable", links: Links) -> None:
    """Brings uses and users up to date."""
    touched = dict.fromkeys(table.edited_chains)
    for name, old in table.edited_chains.items():
        for chain, by in ((old, -1), (table.chains.get(name), 1)):
            if chain is not None:
                targets = list(targets_of(chain))
                _count(table, links.uses, targets, by)
                touched.update(dict.fromkeys(targets))
                _count_users(table, links.users, chain, by)
    for name, was in table.edited_sets.items():
        for element, by in set_changes(was, table.sets.get(name)):
            targets = list(targets_in((element,)))
            _count(table, links.uses, targets, by)
            touched.update(dict.fromkeys(targets))
    for target in touched:
        if target in links.uses:
            _check_target(table, target)


def _count_users(table: "NftTable", users: dict[str, dict[str, None]], chain: "NftChain", by: int) -> None:
    for held in dict.fromkeys(sets_of(chain)):
        others = {each: None for each in users.get(held, ()) if each != chain.name}
        table.journal.put(users, held, {**others, chain.name: None} if by > 0 else others)


def _keeps_heights(table: "NftTable", links: Links) -> bool:
    """Puts in those of new chains; false if something leads to a chain that is as high."""
    heights = links.heights
    for name in table.edited_chains:
        if name not in table.chains:
            table.journal.drop(heights, name)
    known = [name for name in table.edited_chains if name in heights]
    for name in table.edited_chains:
        if name in table.chains:
            _measure(table, name, heights)
    return all(_keeps_height(table, name, heights) for name in known) and all(
        _keeps_below(table, name, was, links) for name, was in table.edited_sets.items()
    )


def _keeps_height(table: "NftTable", name: str, heights: dict[str, int]) -> bool:
    chain = table.chains[name]
    targets = dict.fromkeys(targets_of(chain))
    for target in targets:
        _measure(table, target, heights)
    if any(heights[target] >= heights[name] for target in targets):
        return False
    return _same_sets(table, name) or not any(True for _ in sets_of(chain))


def _keeps_below(table: "NftTable", name: str, was: NftSet | None, links: Links) -> bool:
    """Whether what came into a set leads to chains below those that look it up."""
    above = [links.heights[chain] for chain in links.users.get(name, ())]
    for element, by in set_changes(was, table.sets.get(name)):
        for target in targets_in((element,)) if by > 0 and above else ():
            _measure(table, target, links.heights)
            if links.heights[target] >= min(above):
                return False
    return True


def _same_sets(table: "NftTable", name: str) -> bool:
    """Whether a chain looks up the sets that it looked up before: their elements are below it already."""
    old = table.edited_chains[name]
    return old is not None and dict.fromkeys(sets_of(old)) == dict.fromkeys(sets_of(table.chains[name]))


def _below(table: "NftTable", name: str) -> tuple[dict[str, None], bool]:
    """The chains that a chain leads to, also through named maps; and whether it looks any up."""
    chain = table.chains[name]
    found = dict.fromkeys(targets_of(chain))
    maps = [table.sets[held] for held in dict.fromkeys(sets_of(chain)) if held in table.sets]
    for held in maps:
        found.update(dict.fromkeys(targets_in(held.elements)))
    return found, any(held.data for held in maps)


def _measure(table: "NftTable", root: str, heights: dict[str, int]) -> None:
    """Depth first without recursion; a chain met on its own path is a loop."""
    if root in heights:
        return
    path = [(root, *_prepared(table, root))]
    on_path = {root: None}
    while path:
        name, rest, below, looks_up = path[-1]
        if not rest:
            highest = max((heights[each] for each in below), default=0)
            table.journal.put(heights, name, highest + 1 + (_HEADROOM if looks_up else 0))
            del on_path[name]
            path.pop()
            continue
        following = rest.pop()
        if following in on_path:
            raise NftError(_LOOP)
        if following not in heights:
            on_path[following] = None
            path.append((following, *_prepared(table, following)))


def _prepared(table: "NftTable", name: str) -> tuple[list[str], dict[str, None], bool]:
    below, looks_up = _below(table, name)
    return list(below), below, looks_up


def set_changes(old: NftSet | None, new: NftSet | None) -> list[tuple[Element, int]]:
    """The elements that went (-1) and came (1) in a set that a transaction has edited, put in or taken out."""
    before = old.journal or [] if old is not None else []
    if new is old:
        return before
    gone = [(element, -1) for element in (old.elements if old is not None else ())]
    return before + gone + [(element, 1) for element in (new.elements if new is not None else ())]
