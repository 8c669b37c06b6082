"""Chains and tables, and the index that makes a long chain fast to walk.

A run of rules that each name one exact destination (as in KUBE-SERVICES) or one destination port (as in
KUBE-NODEPORTS) is looked up in a dict; the rules it skips are still counted as passed.
"""

from collections.abc import Container
from typing import Final

from podwire.services.node.kernel.counters import Counter
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

    __slots__ = ("_runs", "counter", "name", "policy", "rules")

    def __init__(self, name: str, policy: str | None = None) -> None:
        self.name = name
        self.policy = policy
        self.counter = Counter()
        self.rules: list[Rule] = []
        self._runs: list[Run] | None = None

    def copy(self) -> "Chain":
        """The same rules under a list and a policy of its own."""
        twin = Chain(self.name, self.policy)
        twin.counter = self.counter
        twin.rules = list(self.rules)
        twin._runs = self._runs
        return twin

    def edited(self) -> list[Rule]:
        """The rules, for changing."""
        self._runs = None
        return self.rules

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
    """A table: builtin chains first, then the others in order of creation."""

    __slots__ = ("chains", "edited", "is_ipv6", "links", "name")

    def __init__(self, name: str, *, is_ipv6: bool = False) -> None:
        self.name = name
        self.is_ipv6 = is_ipv6
        self.chains = {chain: Chain(chain, "ACCEPT") for chain in BUILTIN_CHAINS[name]}
        self.links: Links | None = None
        self.edited: dict[str, Chain | None] = {}
        """The chains that were touched since the last check, as they were."""

    def copy(self) -> "Table":
        """A copy to try changes on: chains are shared until `edit` copies them."""
        twin = Table.__new__(Table)
        twin.name, twin.is_ipv6 = self.name, self.is_ipv6
        twin.chains = dict(self.chains)
        twin.links, twin.edited = self.links, {}
        return twin

    def edit(self, name: str) -> Chain:
        """The chain, private to this copy of the table; NetfilterError if there is none."""
        chain = self.chain(name)
        if name not in self.edited:
            self.edited[name] = chain
            chain = self.chains[name] = chain.copy()
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
        self.edited.setdefault(name, None)
        chain = self.chains[name] = Chain(name)
        return chain

    def delete(self, name: str) -> None:
        """Take a chain out that nothing jumps to."""
        self.edited.setdefault(name, self.chains[name])
        del self.chains[name]

    def rename(self, name: str, new: str) -> None:
        """The chain keeps its place."""
        self.chains[name].name = new
        self.chains = {new if each == name else each: chain for each, chain in self.chains.items()}
        self.links = None  # rare enough to look at everything

    @property
    def needs_conntrack(self) -> bool:
        """Whether a rule of it translates, or asks for a connection's state."""
        if self.links is not None and not self.edited:
            return bool(self.links.tracking)
        return any(rule.needs_conntrack for chain in self.chains.values() for rule in chain.rules)

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
        self.links = check(self, sets)
        self.edited = {}


def check_chain_name(name: str) -> None:
    """Refuse what iptables refuses as a chain's name."""
    if len(name) > MAXIMUM_NAME:
        raise NetfilterError(f"chain name `{name}' too long (must be under {MAXIMUM_NAME + 1} chars)")
    if not name or name[0] in "-!" or any(letter.isspace() for letter in name):
        raise NetfilterError(f"Invalid chain name `{name}'")
