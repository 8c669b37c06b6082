"""The netfilter state of one family in a namespace: tables, connections, sets, and which steps are worth taking."""

from typing import TYPE_CHECKING

from podwire.services.node.kernel.conntrack.table import ConnectionTable
from podwire.services.node.kernel.netfilter import hooks
from podwire.services.node.kernel.netfilter.chain import Table
from podwire.services.node.kernel.netfilter.parse import BUILTIN_CHAINS

if TYPE_CHECKING:
    from podwire.services.node.kernel.namespace import Namespace
    from podwire.services.node.kernel.netfilter.ipset.sets import IpSet


class Netfilter:
    """Tables appear when first used, as modules load; until then packets don't even look."""

    def __init__(self, namespace: "Namespace", ipv4: "Netfilter | None" = None) -> None:
        """IPv4's, or with `ipv4` IPv6's beside it: connections are tracked in one table for both."""
        self.namespace = namespace
        self.is_ipv6 = ipv4 is not None
        self.tables: dict[str, Table] = {}
        self.connections: ConnectionTable = ConnectionTable(namespace) if ipv4 is None else ipv4.connections
        self.sets: dict[str, IpSet] = {} if ipv4 is None else ipv4.sets
        self.recent: dict[str, dict[int, list[int]]] = {}
        self.active = False
        self.tracks = False
        self.steps: dict[str, tuple[hooks.Step, ...]] = dict.fromkeys(hooks.HOOKS, ())

    def table(self, name: str) -> Table:
        """A table, fresh if it was never used."""
        return self.tables.get(name) or Table(name, is_ipv6=self.is_ipv6)

    def install(self, tables: dict[str, Table]) -> None:
        """Have what was done to some tables stay, and in force; with none, what depends on the rest is renewed."""
        for table in tables.values():
            table.keep()
        self.tables = {
            name: tables.get(name) or self.tables[name]
            for name in BUILTIN_CHAINS
            if name in tables or name in self.tables
        }
        balances = self.namespace.ipvs.enabled
        tracks_balanced = balances and self.namespace.ipvs.sysctl("conntrack") > 0
        self.tracks = tracks_balanced or self._needs_conntrack()
        self.steps = {hook: hooks.steps(self, hook) for hook in hooks.HOOKS}
        self.active = any(self.steps.values())
        self.namespace.refresh()
        self.namespace.kernel.changed()

    def _needs_conntrack(self) -> bool:
        """Rules that translate, or ask for a state, turn connection tracking on; a nat table alone does not."""
        own = any(table.needs_conntrack for table in self.tables.values())
        return own or self.namespace.nftables.needs_conntrack(self.is_ipv6)
