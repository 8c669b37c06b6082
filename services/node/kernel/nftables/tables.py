"""Tables, chains and rules, and which chains stand in which hook (Linux net/netfilter/nf_tables_api.c)."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from podwire.proto.packet.ipv4 import TCP
from podwire.services.node.kernel.netfilter.targets.base import ACCEPT, DROP
from podwire.services.node.kernel.nftables.errors import NftError
from podwire.services.node.kernel.nftables.links import Links, check
from podwire.services.node.kernel.nftables.sets import NftSet
from podwire.services.node.kernel.nftables.statements import MISS, NEXT, Match, Refuse, Statement, Verdict
from podwire.services.node.kernel.packet import Packet

if TYPE_CHECKING:
    from podwire.services.node.kernel.netfilter.evaluation import Evaluation

FAMILIES: Final = ("ip", "ip6", "inet")
HOOKS: Final = {
    "prerouting": "PREROUTING",
    "input": "INPUT",
    "forward": "FORWARD",
    "output": "OUTPUT",
    "postrouting": "POSTROUTING",
}
PRIORITIES: Final = {"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100}
NAT_HOOKS: Final = ("prerouting", "input", "output", "postrouting")
JUMP_LIMIT: Final = 16
"""NFT_JUMP_STACK_SIZE."""


@dataclass(slots=True)
class Rule:
    """Statements in order; `comment` is nft's, and says whose rule it is."""

    statements: tuple[Statement, ...]
    comment: str = ""
    handle: int = 0

    def text(self) -> str:
        """The rule as nft writes it, without its comment and what the statement that follows implies (payload.c)."""
        following = [*self.statements[1:], None]
        shown = zip(self.statements, following, strict=True)
        return " ".join(each.text() for each, after in shown if after is None or not _implies(after, each))


def _implies(following: Statement, statement: Statement) -> bool:
    """Whether a statement's header says which protocol it is about, so that a match on it before goes unsaid."""
    if not isinstance(statement, Match) or statement.members is not None or statement.operator not in ("", "=="):
        return False
    if statement.left.text() not in ("meta l4proto", "ip protocol"):
        return False
    protocol = statement.ranges[0][0]
    if isinstance(following, Refuse):
        return following.implies_protocol and protocol == TCP
    left = getattr(following, "left", None) or getattr(following, "key", None)
    return getattr(left, "protocol", 0) == protocol


@dataclass(slots=True)
class Base:
    """What makes a chain a base chain."""

    kind: str
    hook: str
    priority: int
    policy: str = "accept"


@dataclass(slots=True)
class NftChain:
    """A chain; `base` is None for one that is only jumped to."""

    name: str
    base: Base | None = None
    comment: str = ""
    handle: int = 0
    rules: list[Rule] = field(default_factory=list)

    def copy(self) -> "NftChain":
        """The same rules under a list of its own."""
        return NftChain(self.name, self.base, self.comment, self.handle, list(self.rules))


@dataclass(slots=True)
class NftTable:
    """A table of a family with its chains, sets and maps."""

    family: str
    name: str
    comment: str = ""
    handle: int = 0
    flags: tuple[str, ...] = ()
    chains: dict[str, NftChain] = field(default_factory=dict)
    sets: dict[str, NftSet] = field(default_factory=dict)
    links: Links | None = None
    """What leads where, as last checked."""
    edited_chains: dict[str, NftChain | None] = field(default_factory=dict)
    """In a copy to try a transaction on: the chains that it has touched, as they were."""
    edited_sets: dict[str, NftSet | None] = field(default_factory=dict)

    def copy(self) -> "NftTable":
        """A copy to try a transaction on: chains and sets are shared until they are edited."""
        return NftTable(
            self.family,
            self.name,
            self.comment,
            self.handle,
            self.flags,
            dict(self.chains),
            dict(self.sets),
            self.links,
        )

    def edit_chain(self, name: str) -> NftChain:
        """The chain, private to this copy; NftError if there is none."""
        chain = self.chain(name)
        if name not in self.edited_chains:
            self.edited_chains[name] = chain
            chain = self.chains[name] = chain.copy()
        return chain

    def put_chain(self, chain: NftChain) -> NftChain:
        """A new chain."""
        self.edited_chains.setdefault(chain.name, None)
        self.chains[chain.name] = chain
        return chain

    def remove_chain(self, name: str) -> None:
        """Take a chain out."""
        self.edited_chains.setdefault(name, self.chains[name])
        del self.chains[name]

    def edit_set(self, name: str) -> NftSet:
        """The set, private to this copy; it must be there."""
        found = self.sets[name]
        if name not in self.edited_sets:
            self.edited_sets[name] = found
            found = self.sets[name] = found.copy()
            found.journal = []
        return found

    def put_set(self, made: NftSet) -> NftSet:
        """A new set."""
        self.edited_sets.setdefault(made.name, None)
        self.sets[made.name] = made
        return made

    def remove_set(self, name: str) -> None:
        """Take a set out."""
        self.edited_sets.setdefault(name, self.sets[name])
        del self.sets[name]

    def check(self) -> None:
        """Refuse what the kernel refuses at commit; the transaction's edits are then part of the table."""
        self.links = check(self)
        for name in self.edited_sets:
            if name in self.sets:
                self.sets[name].journal = None
        self.edited_chains, self.edited_sets = {}, {}

    def chain(self, name: str) -> NftChain:
        """The chain of a name; NftError if there is none."""
        if name not in self.chains:
            raise NftError("Could not process rule: No such file or directory")
        return self.chains[name]

    def evaluate(self, base: NftChain, packet: Packet, at: "Evaluation") -> str:
        """A base chain's verdict on a packet, ACCEPT or DROP (nft_do_chain)."""
        chain, index = base, 0
        callers: list[tuple[NftChain, int]] = []
        while True:
            verdict = _MISSED
            while index < len(chain.rules):
                at.rules_passed += 1
                verdict = self._apply(chain, index, packet, at)
                index += 1
                if verdict.kind != "miss":
                    break
            else:
                verdict = _MISSED
            if verdict.kind in ("accept", "drop"):
                return ACCEPT if verdict.kind == "accept" else _drop(self, chain, index, packet, at)
            if verdict.kind in ("jump", "goto"):
                if verdict.kind == "jump" and len(callers) >= JUMP_LIMIT:
                    return DROP
                if verdict.kind == "jump":
                    callers.append((chain, index))
                chain, index = self.chains[verdict.chain], 0
                continue
            if callers:
                chain, index = callers.pop()
                continue
            return self._policy(base, packet, at)

    def _apply(self, chain: NftChain, index: int, packet: Packet, at: "Evaluation") -> Verdict:
        rule = chain.rules[index]
        for statement in rule.statements:
            verdict = statement.run(packet, at)
            if verdict is not NEXT:
                if packet.trace and verdict is not MISS:
                    _trace(self, chain, index, verdict, packet, at)
                return verdict
        if packet.trace:
            _trace(self, chain, index, MISS, packet, at)
        return MISS

    def _policy(self, base: NftChain, packet: Packet, at: "Evaluation") -> str:
        policy = DROP if base.base is not None and base.base.policy == "drop" else ACCEPT
        kernel = at.namespace.kernel
        if packet.trace:
            kernel.hop(
                packet,
                "policy",
                at.namespace,
                hook=at.hook,
                table=f"{self.family} {self.name}",
                chain=base.name,
                rules_passed=at.rules_passed,
                verdict=policy,
            )
        if policy == DROP:
            at.table = f"{self.family} {self.name}"
            kernel.drop_by_rule(packet, at, base.name, 0, "policy drop", f"policy of chain {base.name}", self.comment)
        return policy


_MISSED: Final = Verdict("end")


def _trace(table: NftTable, chain: NftChain, index: int, verdict: Verdict, packet: Packet, at: "Evaluation") -> None:
    rule = chain.rules[index]
    at.namespace.kernel.hop(
        packet,
        "rule",
        at.namespace,
        hook=at.hook,
        table=f"{table.family} {table.name}",
        chain=chain.name,
        rule=index + 1,
        rule_text=rule.text(),
        rules_passed=at.rules_passed,
        verdict="continue" if verdict is MISS else verdict.text(),
        owner=rule.comment or chain.comment,
    )


def _drop(table: NftTable, chain: NftChain, index: int, packet: Packet, at: "Evaluation") -> str:
    rule = chain.rules[index - 1]
    at.table = f"{table.family} {table.name}"
    detail = f"drop in {at.table} {chain.name}, rule {index}"
    at.namespace.kernel.drop_by_rule(packet, at, chain.name, index, rule.text(), detail, rule.comment or chain.comment)
    return DROP


class Nftables:
    """All tables of a namespace, by family and name."""

    __slots__ = ("_edited", "last_handle", "live", "tables")

    def __init__(self) -> None:
        self.tables: dict[tuple[str, str], NftTable] = {}
        self.last_handle = 0
        self.live: Nftables = self
        """Where rules look for their sets: a copy's own tables until it is committed."""
        self._edited: dict[tuple[str, str], None] = {}

    def copy(self) -> "Nftables":
        """A copy to try a transaction on."""
        twin = Nftables()
        twin.tables, twin.last_handle = dict(self.tables), self.last_handle
        return twin

    def commit(self, trial: "Nftables") -> None:
        """Have what was tried on a copy."""
        self.tables, self.last_handle = trial.tables, trial.last_handle
        trial.live = self

    def edit(self, family: str, name: str) -> NftTable:
        """The table, private to this copy; NftError if there is none."""
        table = self.table(family, name)
        if (family, name) not in self._edited:
            table = self.tables[family, name] = table.copy()
            self._edited[family, name] = None
        return table

    def create(self, family: str, name: str) -> NftTable:
        """A new table."""
        made = self.tables[family, name] = NftTable(family, name, handle=self.next_handle())
        self._edited[family, name] = None
        return made

    def next_handle(self) -> int:
        """The next handle."""
        self.last_handle += 1
        return self.last_handle

    def table(self, family: str, name: str) -> NftTable:
        """The table of a name; NftError if there is none."""
        try:
            return self.tables[family, name]
        except KeyError:
            raise NftError("Could not process rule: No such file or directory") from None

    def bases(self, is_ipv6: bool) -> list[tuple[NftTable, NftChain, Base]]:
        """The base chains that a family's packets pass."""
        families = ("ip6" if is_ipv6 else "ip", "inet")
        return [
            (table, chain, chain.base)
            for table in self.tables.values()
            if table.family in families
            for chain in table.chains.values()
            if chain.base is not None
        ]

    def needs_conntrack(self, is_ipv6: bool) -> bool:
        """Whether connections must be tracked for any rule of a family to work."""
        families = ("ip6" if is_ipv6 else "ip", "inet")
        return any(
            statement.needs_conntrack
            for table in self.tables.values()
            if table.family in families
            for chain in table.chains.values()
            for rule in chain.rules
            for statement in rule.statements
        )

    def check(self) -> None:
        """Refuse jumps to nowhere or to base chains, and loops, as the kernel does at commit."""
        for key in self._edited:
            if key in self.tables:
                self.tables[key].check()
