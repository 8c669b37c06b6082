"""Texts for `nft -f`: the whole table, or the chains and elements that changed, each one transaction.

A chain that no Service needs any more is flushed first and deleted at the next sync: kernels before 6.2 notice late
that no element of a map leads there (upstream's staleChains).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from podwire.proto.messages.kernel import IpvsService, NftRestore, Operation, Read
from podwire.services.kube_proxy.core.claims import Claims
from podwire.services.kube_proxy.core.fold import Change
from podwire.services.kube_proxy.core.nftables import names
from podwire.services.kube_proxy.core.nftables.base import setup
from podwire.services.kube_proxy.core.nftables.rules import EMPTY, Block, Place, Value, block
from podwire.services.kube_proxy.core.ports import PortKey, ServicePortState
from podwire.services.kube_proxy.core.rulebook import Observed
from podwire.services.kube_proxy.core.surroundings import Surroundings

_TABLE: Final = re.compile(r"^table (\S+) (\S+) \{", re.MULTILINE)
_HELD: Final = re.compile(r"^\t(chain|set) (\S+) \{", re.MULTILINE)


class NftablesBook:
    """What nftables mode has written for one family."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._table = f"{names.FAMILY_WORDS[around.family][0]} {names.TABLE}"
        self._blocks: dict[PortKey, Block] = {}
        self._elements: Claims[Place, Value] = Claims()
        self._stale: dict[str, None] = {}

    @property
    def rules(self) -> Mapping[str, int]:
        """Rules in chains of Services, and elements."""
        in_chains = sum(len(rules) for held in self._blocks.values() for rules in held.chains.values())
        return {"rules": in_chains, "elements": len(self._elements)}

    def full(self, states: Mapping[PortKey, ServicePortState], observed: Observed) -> list[Operation]:
        """Everything; chains and affinity sets that nobody needs any more go."""
        present = _held(observed.nftables, self._table)
        return [NftRestore(text=self.full_text(states, present["chain"], present["set"]))]

    def full_text(
        self, states: Mapping[PortKey, ServicePortState], chains: Iterable[str] = (), sets: Iterable[str] = ()
    ) -> str:
        """The whole text, where these chains and sets are there already."""
        self._blocks, self._elements = {}, Claims()
        own: dict[str, Sequence[str]] = {}
        wanted: dict[str, int] = {}
        for key in sorted(states):
            made = self._blocks[key] = block(states[key], self._around)
            self._elements.replace(key, {}, made.elements)
            own |= made.chains
            wanted |= made.sets
        self._elements.take()
        self._stale = {name: None for name in chains if names.is_of_a_service(name) and name not in own}
        gone = [name for name in sets if name.startswith(names.AFFINITY) and name not in wanted]
        base, *rest = setup(self._around)
        lines = [f"add table {self._table} {{ comment {base} ; }}", *map(self._complete, rest)]
        lines += self._written(own, wanted)
        lines += [self._added(place, value) for place, value in self._elements.items()]
        lines += [self._complete(f"flush chain {name}") for name in self._stale]
        lines += [self._complete(f"delete set {name}") for name in gone]
        return "\n".join(lines) + "\n"

    def update(self, changes: Sequence[Change]) -> list[Operation]:
        """What changed, after the chains that were left over."""
        stale = "".join(self._complete(f"delete chain {name}") + "\n" for name in self._stale)
        self._stale = {}
        texts = (stale, self.update_text(changes))
        return [NftRestore(text=text) for text in texts if text]

    def follow_up(self) -> list[Read]:
        """Nothing."""
        return []

    def followed(self, services: Iterable[IpvsService]) -> list[Operation]:
        """Nothing."""
        return []

    def update_text(self, changes: Sequence[Change]) -> str:
        """The chains, sets and elements that changed, "" if none has."""
        own: dict[str, Sequence[str]] = {}
        wanted: dict[str, int] = {}
        gone: dict[str, str] = {}
        first: list[str] = []
        for change in changes:
            old = self._blocks.pop(change.key, EMPTY)
            new = EMPTY if change.after is None else block(change.after, self._around)
            if change.after is not None:
                self._blocks[change.key] = new
            self._elements.replace(change.key, old.elements, new.elements)
            if retimed := [name for name, seconds in new.sets.items() if old.sets.get(name, seconds) != seconds]:
                first += self._unmade(old, retimed)
                old = Block(dict.fromkeys(old.chains, ()), _without(old.sets, retimed), old.elements)
            own |= {name: rules for name, rules in new.chains.items() if old.chains.get(name) != rules}
            wanted |= {name: seconds for name, seconds in new.sets.items() if name not in old.sets}
            gone |= {name: "chain" for name in old.chains if name not in new.chains}
            gone |= {name: "set" for name in old.sets if name not in new.sets}
        lines = [*first, *self._written(own, wanted), *self._changed_elements(), *self._unused(own, gone)]
        return "\n".join(lines) + "\n" if lines else ""

    def _unmade(self, old: Block, sets: Iterable[str]) -> Iterator[str]:
        """A set's timeout cannot change: once no rule names the set, it is made anew."""
        yield from (self._complete(f"flush chain {name}") for name in old.chains)
        yield from (self._complete(f"delete set {name}") for name in sets)

    def _changed_elements(self) -> Iterator[str]:
        for place, (before, after) in self._elements.take().items():
            if before is not None:
                yield self._complete(f"delete element {place.container} {{ {place.key} }}")
            if after is not None:
                yield self._added(place, after)

    def _unused(self, own: Mapping[str, Sequence[str]], gone: Mapping[str, str]) -> Iterator[str]:
        """After the elements that led there are gone."""
        chains = [name for name, kind in gone.items() if kind == "chain" and name not in own]
        self._stale |= dict.fromkeys(chains)
        yield from (self._complete(f"flush chain {name}") for name in chains)
        yield from (self._complete(f"delete set {name}") for name, kind in gone.items() if kind == "set")

    def _written(self, own: Mapping[str, Sequence[str]], wanted: Mapping[str, int]) -> Iterator[str]:
        """Sets and chains before the rules that name them."""
        address = names.FAMILY_WORDS[self._around.family][1]
        for name, seconds in wanted.items():
            made = f"{{ type {address} ; flags dynamic,timeout ; timeout {seconds}s ; }}"
            yield self._complete(f"add set {name} {made}")
        for name in own:
            yield from (self._complete(f"add chain {name}"), self._complete(f"flush chain {name}"))
        for name, rules in own.items():
            yield from (self._complete(f"add rule {name} {rule}") for rule in rules)

    def _complete(self, command: str) -> str:
        """The command with the table after the kind of its object."""
        verb, kind, rest = command.split(" ", 2)
        return f"{verb} {kind} {self._table} {rest}"

    def _added(self, place: Place, value: Value) -> str:
        comment = f' comment "{value.comment}"' if value.comment else ""
        verdict = f" : {value.verdict}" if value.verdict else ""
        return self._complete(f"add element {place.container} {{ {place.key}{comment}{verdict} }}")


def _without(sets: Mapping[str, int], left_out: Iterable[str]) -> dict[str, int]:
    return {name: seconds for name, seconds in sets.items() if name not in left_out}


def _held(ruleset: str, table: str) -> dict[str, list[str]]:
    """The chains and sets of a table in what `nft list ruleset` prints."""
    found: dict[str, list[str]] = {"chain": [], "set": []}
    starts = list(_TABLE.finditer(ruleset))
    for start, after in zip(starts, [*starts[1:], None], strict=False):
        if f"{start[1]} {start[2]}" == table:
            for held in _HELD.finditer(ruleset, start.end(), after.start() if after else len(ruleset)):
                found[held[1]].append(held[2])
    return found
