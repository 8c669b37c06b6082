"""Tables, chains and rules, and which chains stand in which hook (Linux net/netfilter/nf_tables_api.c)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from podwire.proto.packet.ipv4 import TCP
from podwire.services.node.kernel.journal import Journal
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


@dataclass(slots=True, eq=False)
class NftTable:
    """A table of a family with its chains, sets and maps; transactions change it by way of a journal."""

    family: str
    name: str
    handle: int
    journal: Journal
    comment: str = ""
    flags: tuple[str, ...] = ()
    chains: dict[str, NftChain] = field(default_factory=dict)
    sets: dict[str, NftSet] = field(default_factory=dict)
    links: Links | None = None
    """What leads where, as last checked."""
    edited_chains: dict[str, NftChain | None] = field(default_factory=dict)
    """The chains that the transaction has touched, as they were."""
    edited_sets: dict[str, NftSet | None] = field(default_factory=dict)
    _kept: tuple[str, tuple[str, ...], Links | None] = ("", (), None)

    def edit_chain(self, name: str) -> NftChain:
        """The chain, for changing; NftError if there is none."""
        chain = self.chain(name)
        if name not in self.edited_chains:
            self.edited_chains[name] = chain
            chain = self.journal.put(self.chains, name, chain.copy())
        return chain

    def put_chain(self, chain: NftChain) -> NftChain:
        """A new chain."""
        self.edited_chains.setdefault(chain.name, None)
        return self.journal.put(self.chains, chain.name, chain)

    def remove_chain(self, name: str) -> None:
        """Take a chain out."""
        self.edited_chains.setdefault(name, self.chains[name])
        self.journal.drop(self.chains, name)

    def edit_set(self, name: str) -> NftSet:
        """The set, for changing; it must be there."""
        found = self.sets[name]
        if name not in self.edited_sets:
            self.edited_sets[name] = found
            found.begin()
        return found

    def put_set(self, made: NftSet) -> NftSet:
        """A new set."""
        self.edited_sets.setdefault(made.name, None)
        return self.journal.put(self.sets, made.name, made)

    def remove_set(self, name: str) -> None:
        """Take a set out."""
        self.edited_sets.setdefault(name, self.sets[name])
        self.journal.drop(self.sets, name)

    def begin(self) -> None:
        """A transaction begins to change it."""
        self._kept = self.comment, self.flags, self.links

    def check(self) -> None:
        """Refuse what the kernel refuses at commit."""
        self.links = check(self)

    def keep(self) -> None:
        """The transaction's changes, which were checked, stay."""
        for held in self.edited_sets.values():
            if held is not None:
                held.keep()
        self.edited_chains, self.edited_sets = {}, {}

    def undo(self) -> None:
        """Take the transaction's changes back, once the journal has taken back its own."""
        for held in self.edited_sets.values():
            if held is not None:
                held.undo()
        self.comment, self.flags, self.links = self._kept
        self.edited_chains, self.edited_sets = {}, {}
        in_order(self.chains)
        in_order(self.sets)

    @property
    def base_chains(self) -> "Iterator[tuple[NftTable, NftChain, Base]]":
        """Those that stand in hooks."""
        for name in self.links.bases if self.links is not None else ():
            chain = self.chains[name]
            assert chain.base is not None
            yield self, chain, chain.base

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
    """All tables of a namespace, by family and name. They are changed in place; a transaction can be taken back."""

    __slots__ = ("_edited", "_journal", "_kept_handle", "last_handle", "tables")

    def __init__(self) -> None:
        self.tables: dict[tuple[str, str], NftTable] = {}
        self.last_handle = self._kept_handle = 0
        self._journal = Journal()
        self._edited: dict[int, NftTable] = {}
        """The tables that the transaction has touched, by handle."""

    def edit(self, family: str, name: str) -> NftTable:
        """The table, for changing; NftError if there is none."""
        table = self.table(family, name)
        if table.handle not in self._edited:
            self._edited[table.handle] = table
            table.begin()
        return table

    def create(self, family: str, name: str) -> NftTable:
        """A new table."""
        self._journal.put(self.tables, (family, name), NftTable(family, name, self.next_handle(), self._journal))
        return self.edit(family, name)

    def remove(self, family: str, name: str) -> None:
        """Take a table out, if it is there."""
        self._journal.drop(self.tables, (family, name))

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
        return [base for table in self._of(is_ipv6) for base in table.base_chains]

    def needs_conntrack(self, is_ipv6: bool) -> bool:
        """Whether connections must be tracked for any rule of a family to work."""
        return any(table.links is not None and table.links.tracking for table in self._of(is_ipv6))

    def _of(self, is_ipv6: bool) -> Iterator[NftTable]:
        families = ("ip6" if is_ipv6 else "ip", "inet")
        return (table for table in self.tables.values() if table.family in families)

    def check(self) -> None:
        """Refuse jumps to nowhere or to base chains, and loops, as the kernel does at commit."""
        for table in self._edited.values():
            if self.tables.get((table.family, table.name)) is table:
                table.check()

    def keep(self) -> None:
        """The transaction's changes, which were checked, stay."""
        for table in self._edited.values():
            table.keep()
        self._edited = {}
        self._kept_handle = self.last_handle
        self._journal.keep()

    def undo(self) -> None:
        """Have everything as it was before the transaction."""
        self._journal.undo()
        for table in self._edited.values():
            table.undo()
        self._edited = {}
        self.last_handle = self._kept_handle
        in_order(self.tables)


class _Numbered(Protocol):
    @property
    def handle(self) -> int: ...


def in_order[K, V: _Numbered](held: dict[K, V]) -> None:
    """Sort entries by handle, which is the order in which they came."""
    entries = sorted(held.items(), key=lambda each: each[1].handle)
    held.clear()
    held.update(entries)
