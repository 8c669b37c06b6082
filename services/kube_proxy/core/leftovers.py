"""What the other modes left in the kernel: upstream's CleanupLeftovers of each (pkg/proxy/*/cleanup.go).

It runs after the first sync, so that Services are served without a gap, and takes nothing that the present mode uses:
iptables and ipvs mode share the names of some chains. (Upstream cleans up between these two only with --cleanup.)
KUBE-FIREWALL is the kubelet's and stays.
"""

from collections.abc import Iterator
from typing import Final

from podwire.proto.messages.kernel import (
    IpsetRestore,
    IptablesCommand,
    IptablesRestore,
    IpvsFlush,
    LinkDelete,
    NftRestore,
    Operation,
)
from podwire.services.chassis.iptables import Jump, chains_by_table, missing_jumps
from podwire.services.kube_proxy.core.family import Family
from podwire.services.kube_proxy.core.iptables import chains
from podwire.services.kube_proxy.core.ipvs import rules, sets
from podwire.services.kube_proxy.core.ipvs.book import DUMMY
from podwire.services.kube_proxy.core.nftables.names import FAMILY_WORDS, TABLE
from podwire.services.kube_proxy.core.rulebook import Observed

_CHAINS: Final[dict[str, dict[tuple[str, str], None]]] = {
    "iptables": dict.fromkeys(
        [
            *(("filter", chain) for chain in chains.FILTER if chain != chains.FIREWALL),
            *(("nat", chain) for chain in chains.NAT),
            *((table, chains.CANARY) for table in chains.CANARY_TABLES),
        ]
    ),
    "ipvs": dict.fromkeys((table, chain) for table, names in rules.CHAINS.items() for chain in names),
    "nftables": {},
}
_JUMPS: Final[dict[str, tuple[Jump, ...]]] = {
    "iptables": tuple(jump for jump in chains.JUMPS if jump[2] != chains.FIREWALL),
    "ipvs": rules.JUMPS,
    "nftables": (),
}


def leftovers(mode: str, family: Family, observed: Observed) -> list[Operation]:
    """The removals, in their order: rules, then what rules name."""
    found: list[Operation] = [*_unlinked(mode, family, observed.iptables)]
    if text := _without_chains(mode, observed.iptables):
        found.append(IptablesRestore(text=text, family=family, noflush=True))
    if mode != "ipvs":
        found += _without_ipvs(family, observed)
    if mode != "nftables":
        table = f"{FAMILY_WORDS[family][0]} {TABLE}"
        # a table that is not there cannot be deleted, so it is made first
        found.append(NftRestore(text=f"add table {table}\ndelete table {table}\n"))
    return found


def _unlinked(mode: str, family: Family, saved: str) -> Iterator[Operation]:
    foreign = dict.fromkeys(jump for jumps in _JUMPS.values() for jump in jumps if jump not in _JUMPS[mode])
    for jump in foreign:
        table, chain, target, matches = jump
        if not missing_jumps(saved, [jump]):
            arguments = ("-t", table, "-D", chain, *matches, "-j", target)
            yield IptablesCommand(arguments=arguments, family=family)


def _without_chains(mode: str, saved: str) -> str:
    lines: list[str] = []
    for table, present in chains_by_table(saved).items():
        gone = [chain for chain in present if _is_foreign(mode, table, chain)]
        if gone:
            lines += [f"*{table}", *(f":{chain} - [0:0]" for chain in gone), *(f"-X {chain}" for chain in gone)]
            lines.append("COMMIT")
    return "\n".join(lines) + "\n" if lines else ""


def _is_foreign(mode: str, table: str, chain: str) -> bool:
    if (table, chain) in _CHAINS[mode]:
        return False
    of_a_service = table == "nat" and chain.startswith(chains.OWNED_PREFIXES)
    return (of_a_service and mode != "iptables") or any((table, chain) in known for known in _CHAINS.values())


def _without_ipvs(family: Family, observed: Observed) -> Iterator[Operation]:
    if observed.virtual_services:
        yield IpvsFlush()
    if observed.has_dummy:
        yield LinkDelete(name=DUMMY)
    own = dict.fromkeys(sets.name_of(name, family) for name in sets.KINDS)
    present = [line.split()[1] for line in observed.ipsets.splitlines() if line.startswith("create ")]
    if gone := [name for name in present if name in own]:
        yield IpsetRestore(text="".join(f"destroy {name}\n" for name in gone))
