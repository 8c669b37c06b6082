"""Texts for iptables-restore --noflush: the whole, or the chains that changed.

Chains that are named are replaced, all others stay. Upstream writes the chains that all Services share at every sync;
here their single rules are put in and taken out, so that a change costs what it changes. Their order means nothing
(upstream's is that of a Go map).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from podwire.proto.messages.kernel import IptablesRestore, IpvsService, Operation, Read, SysctlWrite
from podwire.services.chassis.iptables import chains_of, missing_jumps
from podwire.services.kube_proxy.core.fold import Change
from podwire.services.kube_proxy.core.iptables import chains
from podwire.services.kube_proxy.core.iptables.rules import EMPTY, LARGE_CLUSTER, Block, Place, block
from podwire.services.kube_proxy.core.ports import PortKey, ServicePortState
from podwire.services.kube_proxy.core.rulebook import Observed
from podwire.services.kube_proxy.core.surroundings import Surroundings

_TABLES: Final = ("filter", "nat")
_SHARED: Final[dict[str, tuple[str, ...]]] = {"filter": chains.FILTER, "nat": chains.NAT}


class IptablesBook:
    """What iptables mode has written for one family."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._states: dict[PortKey, ServicePortState] = {}
        self._blocks: dict[PortKey, Block] = {}
        self._endpoints = 0
        self._large = False
        self._rules = dict.fromkeys(_TABLES, 0)

    @property
    def rules(self) -> Mapping[str, int]:
        """Rules by table."""
        return self._rules

    def full(self, states: Mapping[PortKey, ServicePortState], observed: Observed) -> list[Operation]:
        """Everything; chains that earlier ones left are deleted, jumps that are missing are made."""
        text = self.full_text(states, chains_of(observed.iptables))
        missing = missing_jumps(observed.iptables, chains.JUMPS, family=self._around.family)
        if self._around.family == "ipv4" and self._around.localhost_node_ports:
            missing.append(SysctlWrite(key="net.ipv4.conf.all.route_localnet", value="1"))
        return [self._restore(text), self._restore(_canaries()), *missing]

    def full_text(self, states: Mapping[PortKey, ServicePortState], present: Iterable[str]) -> str:
        """The whole text. Of the chains that are `present` those of a Service port that is gone are deleted."""
        self._states = dict(states)
        self._endpoints = sum(len(state.endpoints) for state in states.values())
        self._large = self._endpoints > LARGE_CLUSTER
        self._blocks = {key: block(state, self._around, large=self._large) for key, state in states.items()}
        own = {name: rules for key in sorted(self._blocks) for name, rules in self._blocks[key].own.items()}
        stale = sorted({name: None for name in present if name.startswith(chains.OWNED_PREFIXES) and name not in own})
        shared = {(table, chain): self._shared(table, chain) for table in _TABLES for chain in _SHARED[table]}
        self._count(shared, own)
        return _text(shared, own, stale)

    def _count(self, shared: Mapping[Place, Sequence[str]], own: Mapping[str, Sequence[str]]) -> None:
        for table in _TABLES:
            self._rules[table] = sum(len(rules) for (where, _), rules in shared.items() if where == table)
        self._rules["nat"] += sum(len(rules) for rules in own.values())

    def update(self, changes: Sequence[Change]) -> list[Operation]:
        """The chains that changed."""
        text = self.update_text(changes)
        return [self._restore(text)] if text else []

    def follow_up(self) -> list[Read]:
        """Nothing."""
        return []

    def followed(self, services: Iterable[IpvsService]) -> list[Operation]:
        """Nothing."""
        return []

    def update_text(self, changes: Sequence[Change]) -> str:
        """The text of the chains that changed, "" if none has; the whole when the cluster becomes large or small."""
        if not changes:
            return ""
        for change in changes:
            self._endpoints += _size(change.after) - _size(change.before)
            if change.after is None:
                self._states.pop(change.key, None)
            else:
                self._states[change.key] = change.after
        if (self._endpoints > LARGE_CLUSTER) != self._large:
            present = [name for held in self._blocks.values() for name in held.own]
            return self.full_text(self._states, present)
        return self._partial(changes)

    def _partial(self, changes: Sequence[Change]) -> str:
        shared: list[tuple[str, str]] = []
        own: dict[str, Sequence[str]] = {}
        gone: dict[str, None] = {}
        for change in changes:
            old = self._blocks.pop(change.key, EMPTY)
            new = EMPTY if change.after is None else block(change.after, self._around, large=self._large)
            if change.after is not None:
                self._blocks[change.key] = new
            shared += _shared_edits(old, new)
            own |= {name: rules for name, rules in new.own.items() if old.own.get(name) != rules}
            gone |= dict.fromkeys(name for name in old.own if name not in new.own)
            self._adjust(old, new)
        return _edits(shared, own, [name for name in gone if name not in own])

    def _adjust(self, old: Block, new: Block) -> None:
        for held, sign in ((old, -1), (new, 1)):
            for (table, _), rules in held.shared.items():
                self._rules[table] += sign * len(rules)
            self._rules["nat"] += sign * sum(len(rules) for rules in held.own.values())

    def _shared(self, table: str, chain: str) -> list[str]:
        place = table, chain
        found = [rule for key in sorted(self._blocks) for rule in self._blocks[key].shared.get(place, ())]
        return [*found, *(f"-A {chain} {rule}" for rule in _fixed(place, self._around))]

    def _restore(self, text: str) -> IptablesRestore:
        return IptablesRestore(text=text, family=self._around.family, noflush=True)


def _size(state: ServicePortState | None) -> int:
    return len(state.endpoints) if state is not None else 0


def _text(shared: Mapping[Place, Sequence[str]], own: Mapping[str, Sequence[str]], gone: Sequence[str]) -> str:
    """Chain lines before rules, deletions last, as upstream writes them."""
    lines: list[str] = []
    for table in _TABLES:
        rules = {chain: found for (where, chain), found in shared.items() if where == table}
        rules |= own if table == "nat" else {}
        removed = gone if table == "nat" else ()
        if rules or removed:
            lines += [f"*{table}", *(f":{name} - [0:0]" for name in (*rules, *removed))]
            lines += [rule for found in rules.values() for rule in found]
            lines += [*(f"-X {name}" for name in removed), "COMMIT"]
    return "\n".join(lines) + "\n"


def _shared_edits(old: Block, new: Block) -> Iterator[tuple[str, str]]:
    """Table and command for each rule of a shared chain that goes or comes: at the front, where its place means nothing
    and the jump to the node ports stays the last."""
    for place in dict.fromkeys((*old.shared, *new.shared)):
        before, after = old.shared.get(place, ()), new.shared.get(place, ())
        yield from ((place[0], f"-D{rule[2:]}") for rule in before if rule not in after)
        yield from ((place[0], f"-I{rule[2:]}") for rule in after if rule not in before)


def _edits(shared: Sequence[tuple[str, str]], own: Mapping[str, Sequence[str]], gone: Sequence[str]) -> str:
    """A partial text, "" if there is nothing to change."""
    lines: list[str] = []
    for table in _TABLES:
        commands = [command for where, command in shared if where == table]
        mine, removed = (own, gone) if table == "nat" else ({}, ())
        if commands or mine or removed:
            lines += [f"*{table}", *(f":{name} - [0:0]" for name in (*mine, *removed)), *commands]
            lines += [rule for rules in mine.values() for rule in rules]
            lines += [*(f"-X {name}" for name in removed), "COMMIT"]
    return "\n".join(lines) + "\n" if lines else ""


def _canaries() -> str:
    return "".join(f"*{table}\n:{chains.CANARY} - [0:0]\nCOMMIT\n" for table in chains.CANARY_TABLES)


def _fixed(place: Place, around: Surroundings) -> Iterator[str]:
    """What a shared chain ends with, whatever Services there are."""
    mark = around.mark
    match place:
        case ("filter", chains.FIREWALL) if around.family == "ipv4" and around.localhost_node_ports:
            # node ports on localhost need route_localnet, which lets others in too (kubernetes issue 90259)
            yield (
                '-m comment --comment "block incoming localnet connections" -d 127.0.0.0/8 ! -s 127.0.0.0/8'
                " -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP"
            )
        case ("filter", chains.FORWARD):
            yield "-m conntrack --ctstate INVALID -j DROP"
            yield f'-m comment --comment "kubernetes forwarding rules" -m mark --mark {mark}/{mark} -j ACCEPT'
            yield (
                '-m comment --comment "kubernetes forwarding conntrack rule"'
                " -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
            )
        case ("nat", chains.POSTROUTING):
            yield f"-m mark ! --mark {mark}/{mark} -j RETURN"
            yield f"-j MARK --xor-mark {mark}"
            yield '-m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully'
        case ("nat", chains.MARK_MASQ):
            yield f"-j MARK --or-mark {mark}"
        case ("nat", chains.SERVICES):
            yield from _node_port_jumps(around)


def _node_port_jumps(around: Surroundings) -> Iterator[str]:
    said = '-m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain"'
    if around.node_port_addresses is None:
        but = " ! -d ::1/128" if around.family == "ipv6" else "" if around.localhost_node_ports else " ! -d 127.0.0.0/8"
        yield f"{said} -m addrtype --dst-type LOCAL{but} -j {chains.NODE_PORTS}"
    else:
        for address in around.node_port_addresses:
            yield f"{said} -d {address} -j {chains.NODE_PORTS}"


def full_text(states: Iterable[ServicePortState], around: Surroundings, present: Iterable[str] = ()) -> str:
    """The whole text for some Service ports."""
    return IptablesBook(around).full_text({state.key: state for state in states}, present)
