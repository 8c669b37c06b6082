"""What in a table leads to which chain, kept so that a transaction is checked at the cost of what it changes.

Linux counts the uses of every chain, and looks for loops from base chains at every commit (nf_tables_validate). Here
each chain has a height above all that it leads to: while changes keep to that, there can be no loop.
"""

from collections.abc import Iterable, Iterator
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


class Links:
    """Uses of chains, users of sets, heights of chains; of a table as it was last checked."""

    def __init__(self) -> None:
        self.uses: dict[str, int] = {}
        self.users: dict[str, dict[str, None]] = {}
        self.heights: dict[str, int] = {}

    def set_is_used(self, table: "NftTable", name: str) -> bool:
        """Whether a rule names a set, in a table that has been edited since."""
        kept = any(chain not in table.edited_chains for chain in self.users.get(name, ()))
        return kept or any(
            name in sets_of(table.chains[chain]) for chain in table.edited_chains if chain in table.chains
        )


def check(table: "NftTable") -> Links:
    """Refuses jumps to nowhere or to base chains, and loops; the table's links from now on. Raises NftError."""
    before = table.links
    return _counted_anew(table) if before is None else _followed(table, before) or _counted_anew(table)


def _counted_anew(table: "NftTable") -> Links:
    links = Links()
    for chain in table.chains.values():
        _count(links.uses, targets_of(chain), 1)
        for name in sets_of(chain):
            links.users.setdefault(name, {})[chain.name] = None
    for held in table.sets.values():
        _count(links.uses, targets_in(held.elements), 1)
    for target in links.uses:
        _check_target(table, target)
    for name in table.chains:
        _measure(table, name, links.heights)
    return links


def _count(uses: dict[str, int], targets: Iterable[str], by: int) -> None:
    for target in targets:
        uses[target] = uses.get(target, 0) + by


def _check_target(table: "NftTable", target: str) -> None:
    if target not in table.chains or table.chains[target].base is not None:
        raise NftError(_NOWHERE)


def _followed(table: "NftTable", before: Links) -> Links | None:
    """The links after a transaction, from what it edited; None if heights must be measured anew."""
    uses, users, touched = dict(before.uses), dict(before.users), dict.fromkeys(table.edited_chains)
    for name, old in table.edited_chains.items():
        new = table.chains.get(name)
        for chain, by in ((old, -1), (new, 1)):
            targets = list(targets_of(chain)) if chain is not None else []
            _count(uses, targets, by)
            touched.update(dict.fromkeys(targets))
            for held in dict.fromkeys(sets_of(chain)) if chain is not None else ():
                users[held] = {each: None for each in users.get(held, ()) if each != name or by > 0}
                if by > 0:
                    users[held][name] = None
    for name, was in table.edited_sets.items():
        for element, by in set_changes(was, table.sets.get(name)):
            targets = list(targets_in((element,)))
            _count(uses, targets, by)
            touched.update(dict.fromkeys(targets))
    for target in touched:
        if uses.get(target, 0) > 0:
            _check_target(table, target)
        elif not uses.get(target, 1):
            del uses[target]
    links = Links()
    links.uses, links.users = uses, users
    heights = _kept_heights(table, before, users)
    if heights is None:
        return None
    links.heights = heights
    return links


def _kept_heights(table: "NftTable", before: Links, users: dict[str, dict[str, None]]) -> dict[str, int] | None:
    """Heights with those of new chains; None if something leads to a chain that is as high."""
    heights = before.heights.copy()
    for name in table.edited_chains:
        if name not in table.chains or name not in before.heights:
            heights.pop(name, None)
    for name in table.edited_chains:
        if name in table.chains:
            for each in (name, *targets_of(table.chains[name])):
                _measure(table, each, heights)
            if any(heights[target] >= heights[name] for target in targets_of(table.chains[name])):
                return None
            if (
                name in before.heights
                and any(True for _ in sets_of(table.chains[name]))
                and not _same_sets(table, name)
            ):
                return None
    for name, was in table.edited_sets.items():
        above = [heights[chain] for chain in users.get(name, ())]
        for element, by in set_changes(was, table.sets.get(name)):
            for target in targets_in((element,)) if by > 0 and above else ():
                _measure(table, target, heights)
                if heights[target] >= min(above):
                    return None
    return heights


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
            heights[name] = highest + 1 + (_HEADROOM if looks_up else 0)
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
    """The elements that went (-1) and came (1) between two versions of a set."""
    if new is not None and new.journal is not None and old is not None:
        return new.journal
    gone = [(element, -1) for element in (old.elements if old is not None else ())]
    return gone + [(element, 1) for element in (new.elements if new is not None else ())]
