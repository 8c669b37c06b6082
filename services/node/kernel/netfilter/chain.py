"""Chains and tables, and the index that makes a long chain fast to walk.

A run of rules that each name one exact destination (as in KUBE-SERVICES) or one destination port (as in
KUBE-NODEPORTS) is looked up in a dict; the rules it skips are still counted as passed.
"""

from collections.abc import Container, Iterator
from typing import Final

from podwire.services.node.kernel.counters import Counter
from podwire.services.node.kernel.journal import Journal
from podwire.services.node.kernel.netfilter.errors import NetfilterError
from podwire.services.node.kernel.netfilter.links import Links, check, uses_of
from podwire.services.node.kernel.netfilter.matches.sctp import Sctp
from podwire.services.node.kernel.netfilter.matches.transport import Tcp, Udp
from podwire.services.node.kernel.netfilter.parse import BUILTIN_CHAINS
from podwire.services.node.kernel.netfilter.rule import Rule
from podwire.services.node.kernel.packet import Packet

SHORTEST_RUN: Final = 8
MAXIMUM_NAME: Final = 28


class Run:
    """Rules `first` to `end` (exclusive); `by_key` is None for a run that is walked one by one."""

    __slots__ = ("by_key", "end", "first", "kind")

    def __init__(self, kind: str, first: int) -> None:
        self.kind = kind
        self.first = first
        self.end = first
        self.by_key: dict[int, list[int]] | None = {} if kind else None

    def candidates(self, packet: Packet, start: int) -> range | list[int]:
        """Which of its rules from index `start` on could match, in order."""
        if self.by_key is None:
            return range(max(start, self.first), self.end)
        key = packet.destination if self.kind == "destination" else packet.destination_port
        return [index for index in self.by_key.get(key, ()) if index >= start]


class Chain:
    """A chain; `policy` is None for a user-defined one."""

    __slots__ = ("_runs", "changes", "counter", "name", "policy", "rules")

    def __init__(self, name: str, policy: str | None = None) -> None:
        self.name = name
        self.policy = policy
        self.counter = Counter()
        self.rules: list[Rule] = []
        self.changes: list[tuple[Rule, int]] = []
        """Since its table was last checked: the rules that came (1) and went (-1)."""
        self._runs: list[Run] | None = None

    def copy(self) -> "Chain":
        """The same rules under a list and a policy of its own."""
        twin = Chain(self.name, self.policy)
        twin.counter = self.counter
        twin.rules = list(self.rules)
        twin._runs = self._runs
        return twin

    def insert(self, index: int, rule: Rule) -> None:
        """Put a rule before the one at an index."""
        self.rules.insert(index, rule)
        self.changes.append((rule, 1))
        self._runs = None

    def append(self, rule: Rule) -> None:
        """Put a rule last."""
        self.rules.append(rule)
        self.changes.append((rule, 1))
        self._runs = None

    def remove(self, index: int) -> None:
        """Take a rule out."""
        self.changes.append((self.rules.pop(index), -1))
        self._runs = None

    def replace(self, index: int, rule: Rule) -> None:
        """Put a rule in another's place."""
        self.changes += [(self.rules[index], -1), (rule, 1)]
        self.rules[index] = rule
        self._runs = None

    def clear(self) -> None:
        """Take all rules out."""
        self.changes += [(rule, -1) for rule in self.rules]
        self.rules.clear()
        self._runs = None

    @property
    def runs(self) -> list[Run]:
        """The chain's rules in runs, built when first asked for."""
        if self._runs is None:
            self._runs = _find_runs(self.rules)
        return self._runs


def _find_runs(rules: list[Rule]) -> list[Run]:
    runs: list[Run] = []
    for index, rule in enumerate(rules):
        kind, key = _index_key(rule)
        if not runs or runs[-1].kind != kind:
            runs.append(Run(kind, index))
        runs[-1].end = index + 1
        by_key = runs[-1].by_key
        if by_key is not None:
            by_key.setdefault(key, []).append(index)
    for run in runs:
        if run.end - run.first < SHORTEST_RUN:
            run.by_key = None
    return runs


def _index_key(rule: Rule) -> tuple[str, int]:
    destination = rule.destination
    if destination is not None and destination.is_host and not destination.inverted:
        return "destination", destination.address
    for match in rule.matches:
        if isinstance(match, Tcp | Udp | Sctp) and match.destinations is not None:
            low, high, inverted = match.destinations
            if low == high and not inverted:
                return "port", low
    return "", 0


class Table:
    """A table, builtin chains first. It is changed in place, and can take back what was done since the last `keep`."""

    __slots__ = ("_journal", "_kept_links", "chains", "edited", "is_ipv6", "links", "name")

    def __init__(self, name: str, *, is_ipv6: bool = False) -> None:
        self.name = name
        self.is_ipv6 = is_ipv6
        self.chains = {chain: Chain(chain, "ACCEPT") for chain in BUILTIN_CHAINS[name]}
        self.links: Links | None = None
        self.edited: dict[str, Chain | None] = {}
        """The chains that were touched since the last check, as they were."""
        self._journal = Journal()
        self._kept_links: Links | None = None

    def edit(self, name: str) -> Chain:
        """The chain, for changing; NetfilterError if there is none."""
        chain = self.chain(name)
        if name not in self.edited:
            self.edited[name] = chain
            chain = self._journal.put(self.chains, name, chain.copy())
        return chain

    def chain(self, name: str) -> Chain:
        """The chain of a name; NetfilterError if there is none."""
        if name not in self.chains:
            raise NetfilterError("No chain/target/match by that name.")
        return self.chains[name]

    def create(self, name: str) -> Chain:
        """A new user-defined chain."""
        if name in self.chains:
            raise NetfilterError("Chain already exists.")
        check_chain_name(name)
        made = Chain(name)
        if (old := self.edited.setdefault(name, None)) is not None:
            made.changes = [(rule, -1) for rule in old.rules]
        return self._journal.put(self.chains, name, made)

    def delete(self, name: str) -> None:
        """Take a chain out that nothing jumps to."""
        self.edited.setdefault(name, self.chains[name])
        self._journal.drop(self.chains, name)

    def rename(self, name: str, new: str) -> None:
        """Give a chain another name; what jumps to it is not looked at."""
        chain = self.edit(name)
        chain.name = new
        self._journal.drop(self.chains, name)
        self._journal.put(self.chains, new, chain)
        self.links = None  # rare enough to look at everything

    @property
    def needs_conntrack(self) -> bool:
        """Whether a rule of it translates, or asks for a connection's state."""
        if self.links is not None and not self.edited:
            return bool(self.links.tracking)
        return any(rule.needs_conntrack for chain in self.chains.values() for rule in chain.rules)

    def changes(self) -> Iterator[tuple[str, Rule, int]]:
        """Since the last check: the rules that came (1) and went (-1), with their chain."""
        for name, old in self.edited.items():
            if name in self.chains:
                yield from ((name, rule, by) for rule, by in self.chains[name].changes)
            elif old is not None:
                yield from ((name, rule, -1) for rule in old.rules)

    def references(self, name: str) -> int:
        """How many rules jump to a chain."""
        return uses_of(self, name)

    def all_references(self) -> dict[str, int]:
        """How many rules jump to each chain."""
        counts = dict.fromkeys(self.chains, 0)
        for chain in self.chains.values():
            for rule in chain.rules:
                if rule.jump in counts:
                    counts[rule.jump] += 1
        return counts

    def check(self, sets: Container[str]) -> None:
        """Refuse sets that there are not, jumps to nowhere, loops, and targets in the wrong hook, as at commit."""
        self.links = check(self, sets, self._journal)
        for name in self.edited:
            if name in self.chains:
                self.chains[name].changes = []
        self.edited = {}

    def keep(self) -> None:
        """What was changed, and checked, stays."""
        self._journal.keep()
        self._kept_links = self.links

    def undo(self) -> None:
        """Have everything as it was at the last `keep`."""
        self._journal.undo()
        self.links, self.edited = self._kept_links, {}


def check_chain_name(name: str) -> None:
    """Refuse what iptables refuses as a chain's name."""
    if len(name) > MAXIMUM_NAME:
        raise NetfilterError(f"chain name `{name}' too long (must be under {MAXIMUM_NAME + 1} chars)")
    if not name or name[0] in "-!" or name.split() != [name]:
        raise NetfilterError(f"Invalid chain name `{name}'")
