"""The netfilter state of one family in a namespace: tables, connections, sets, and which steps are worth taking."""

from typing import TYPE_CHECKING

from podwire.services.node.kernel.conntrack.table import ConnectionTable
from podwire.services.node.kernel.netfilter.chain import Table
from podwire.services.node.kernel.netfilter.hooks import CONFIRM, IPVS, ORDER, TRACK
from podwire.services.node.kernel.netfilter.parse import BUILTIN_CHAINS

if TYPE_CHECKING:
    from podwire.services.node.kernel.namespace import Namespace
    from podwire.services.node.kernel.netfilter.ipset.sets import IpSet


class Netfilter:
    """Tables appear when first used, as modules load; until then packets don't even look."""

    def __init__(self, namespace: "Namespace", ipv4: "Netfilter | None" = None) -> None:
        """IPv4's, or with `ipv4` IPv6's beside it: connections are tracked in one table for both."""
        self._namespace = namespace
        self.is_ipv6 = ipv4 is not None
        self.tables: dict[str, Table] = {}
        self.connections: ConnectionTable = ConnectionTable(namespace) if ipv4 is None else ipv4.connections
        self.sets: dict[str, IpSet] = {}
        self.recent: dict[str, dict[int, list[int]]] = {}
        self.active = False
        self.tracks = False
        self.steps: dict[str, tuple[str, ...]] = dict.fromkeys(ORDER, ())

    def table(self, name: str) -> Table:
        """A table, fresh if it was never used."""
        return self.tables.get(name) or Table(name, is_ipv6=self.is_ipv6)

    def install(self, tables: dict[str, Table]) -> None:
        """Put new versions of some tables in force, all in one step."""
        self.tables = {
            name: tables.get(name) or self.tables[name]
            for name in BUILTIN_CHAINS
            if name in tables or name in self.tables
        }
        balances = self._namespace.ipvs.enabled
        self.active = bool(self.tables) or balances
        tracks_balanced = balances and self._namespace.ipvs.sysctl("conntrack") > 0
        self.tracks = tracks_balanced or self._needs_conntrack()
        self.steps = {hook: tuple(step for step in order if self._wanted(step)) for hook, order in ORDER.items()}
        self._namespace.refresh()
        self._namespace.kernel.changed()

    def _wanted(self, step: str) -> bool:
        if step == IPVS:
            return self._namespace.ipvs.enabled
        return self.tracks if step in (TRACK, CONFIRM) else step in self.tables

    def _needs_conntrack(self) -> bool:
        """Rules that translate, or ask for a state, turn connection tracking on; a nat table alone does not."""
        return any(
            rule.needs_conntrack
            for table in self.tables.values()
            for chain in table.chains.values()
            for rule in chain.rules
        )
