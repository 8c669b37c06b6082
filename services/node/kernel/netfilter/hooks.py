"""The five hooks, and what stands in each, in Linux's order of priorities (include/uapi/linux/netfilter_ipv4.h)."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from podwire.proto.packet.ethernet import TYPE_IPV6
from podwire.services.node.kernel.conntrack import nat
from podwire.services.node.kernel.conntrack.table import ECHOES
from podwire.services.node.kernel.ipvs import forwarding
from podwire.services.node.kernel.netfilter.evaluation import Evaluation
from podwire.services.node.kernel.netfilter.parse import BUILTIN_CHAINS
from podwire.services.node.kernel.netfilter.targets.base import DROP
from podwire.services.node.kernel.netfilter.traverse import traverse
from podwire.services.node.kernel.packet import Packet

if TYPE_CHECKING:
    from podwire.services.node.kernel.namespace import Namespace
    from podwire.services.node.kernel.netfilter.tables import Netfilter
    from podwire.services.node.kernel.nftables.tables import Base, NftChain, NftTable

HOOKS: Final = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
RAW, CONNTRACK, MANGLE, NAT_DESTINATION, FILTER, NAT_SOURCE, CONFIRM = -300, -200, -150, -100, 0, 100, 1 << 31
_TABLES: Final = {"raw": RAW, "mangle": MANGLE, "filter": FILTER}
_NAT: Final = {"PREROUTING": NAT_DESTINATION, "OUTPUT": NAT_DESTINATION, "INPUT": NAT_SOURCE, "POSTROUTING": NAT_SOURCE}
_IPVS: Final = {"INPUT": NAT_SOURCE - 2, "FORWARD": NAT_SOURCE - 1, "OUTPUT": NAT_DESTINATION + 1}
_CONFIRMS: Final = ("INPUT", "POSTROUTING")
_TRACKS: Final = ("PREROUTING", "OUTPUT")

type Step = Callable[[Packet, Evaluation], bool]
"""What happens at one priority; false if the packet died."""
type Consult = Callable[[Packet, Evaluation], str]
"""Rules that a connection's first packet is shown to: ACCEPT or DROP."""


def run(namespace: "Namespace", hook: str, packet: Packet) -> bool:
    """Take a packet through a hook; false if it died there."""
    netfilter = namespace.netfilter6 if packet.ethertype == TYPE_IPV6 else namespace.netfilter
    if not netfilter.active:
        return True
    at = Evaluation(
        namespace,
        hook,
        "",
        packet.in_device.name if packet.in_device is not None and hook != "OUTPUT" else "",
        packet.out_device.name if packet.out_device is not None and hook != "PREROUTING" else "",
    )
    for step in netfilter.steps[hook]:
        at.rules_passed = 0
        if not step(packet, at):
            return False
    return True


def steps(netfilter: "Netfilter", hook: str) -> tuple[Step, ...]:
    """What packets of a family meet at a hook, by priority; of equals the youngest first (nf_hook_entries_grow)."""
    found = [*_nftables(netfilter, hook), *_tables(netfilter, hook)]
    if netfilter.tracks and hook in _TRACKS:
        found.append((CONNTRACK, functools.partial(_track, netfilter)))
    if netfilter.tracks and hook in _CONFIRMS:
        found.append((CONFIRM, lambda packet, _: netfilter.connections.confirm(packet)))
    if netfilter.namespace.ipvs.enabled and hook in _IPVS:
        found.append((_IPVS[hook], _balance))
    consults = _nat_rules(netfilter, hook)
    if consults:
        found.append((_NAT[hook], functools.partial(_translate, consults)))
    return tuple(step for _, step in sorted(found, key=lambda each: each[0]))


def _tables(netfilter: "Netfilter", hook: str) -> list[tuple[int, Step]]:
    return [
        (priority, functools.partial(_filter, netfilter, name))
        for name, priority in _TABLES.items()
        if name in netfilter.tables and hook in BUILTIN_CHAINS[name]
    ]


def _nftables(netfilter: "Netfilter", hook: str) -> list[tuple[int, Step]]:
    return [
        (base.priority, functools.partial(_ask_chain, table, chain))
        for table, chain, base in _youngest_first(netfilter)
        if base.kind != "nat" and base.hook.upper() == hook
    ]


def _youngest_first(netfilter: "Netfilter") -> "list[tuple[NftTable, NftChain, Base]]":
    bases = netfilter.namespace.nftables.bases(netfilter.is_ipv6)
    return sorted(bases, key=lambda each: -each[1].handle)


def _ask_chain(table: "NftTable", chain: "NftChain", packet: Packet, at: Evaluation) -> bool:
    return table.evaluate(chain, packet, at) != DROP


def _nat_rules(netfilter: "Netfilter", hook: str) -> tuple[Consult, ...]:
    """The nat table and nat chains of a hook, by priority."""
    found: list[tuple[int, Consult]] = [
        (base.priority, functools.partial(table.evaluate, chain))
        for table, chain, base in _youngest_first(netfilter)
        if base.kind == "nat" and base.hook.upper() == hook
    ]
    if "nat" in netfilter.tables and hook in BUILTIN_CHAINS["nat"]:
        found.append((_NAT[hook], functools.partial(_ask_nat_table, netfilter)))
    return tuple(consult for _, consult in sorted(found, key=lambda each: each[0]))


def _track(netfilter: "Netfilter", packet: Packet, at: Evaluation) -> bool:
    return netfilter.connections.track(packet, verify=at.hook == "PREROUTING")


def _balance(packet: Packet, at: Evaluation) -> bool:
    return forwarding.step(at.namespace, at.hook, packet)


def _filter(netfilter: "Netfilter", name: str, packet: Packet, at: Evaluation) -> bool:
    at.table = name
    return traverse(netfilter.tables[name], packet, at) != DROP


def _ask_nat_table(netfilter: "Netfilter", packet: Packet, at: Evaluation) -> str:
    at.table = "nat"
    return traverse(netfilter.tables["nat"], packet, at)


def _translate(consults: tuple[Consult, ...], packet: Packet, at: Evaluation) -> bool:
    """Ask the rules about a connection's first packet; rewrite whatever belongs to a translated one."""
    connection = packet.connection
    if connection is None:
        return True
    source = _NAT[at.hook] == NAT_SOURCE
    done = connection.nat_source_done if source else connection.nat_destination_done
    is_error = packet.related and packet.protocol in ECHOES  # translated as its connection is, never by rules
    if not done and not connection.confirmed and not is_error:
        if any(consult(packet, at) == DROP for consult in consults):
            return False
        nat.set_up(at.namespace, packet, nat.NO_CHANGE, source=source)
    changed = nat.translate(packet, source=source)
    if changed is not None and packet.trace:
        at.namespace.kernel.hop(
            packet,
            "nat",
            at.namespace,
            hook=at.hook,
            table="nat",
            verdict="SNAT" if source else "DNAT",
            before=changed[0],
            after=changed[1],
        )
    return True
