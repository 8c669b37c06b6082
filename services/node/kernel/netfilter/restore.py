"""iptables-restore: text in, all of it or nothing (iptables/iptables-restore.c)."""

from podwire.services.node.kernel.counters import Counter
from podwire.services.node.kernel.netfilter import commands
from podwire.services.node.kernel.netfilter.chain import Table
from podwire.services.node.kernel.netfilter.errors import NetfilterError
from podwire.services.node.kernel.netfilter.parse import BUILTIN_CHAINS
from podwire.services.node.kernel.netfilter.tables import Netfilter
from podwire.services.node.kernel.netfilter.words import parse_number, split


def restore(netfilter: Netfilter, text: str, *, noflush: bool = False, counters: bool = False, owner: str = "") -> None:
    """Apply a whole text; NetfilterError with the line number, and nothing applied, if any of it is wrong."""
    reader = _Reader(netfilter, noflush=noflush, counters=counters, owner=owner)
    try:
        reader.read(text)
    except Exception:
        reader.undo()
        raise
    if reader.done:
        netfilter.install(reader.done)


class _Reader:
    """What has been read so far: committed tables, and the one that is open."""

    def __init__(self, netfilter: Netfilter, *, noflush: bool, counters: bool, owner: str) -> None:
        self._netfilter = netfilter
        self._noflush = noflush
        self._counters = counters
        self._owner = owner
        self.done: dict[str, Table] = {}
        self.table: Table | None = None

    def read(self, text: str) -> None:
        lines = text.splitlines()
        for number, line in enumerate(lines, 1):
            try:
                self.line(line)
            except NetfilterError as error:
                raise NetfilterError(error.message, number) from None
        if self.table is not None:
            raise NetfilterError("COMMIT expected", len(lines) + 1)

    def undo(self) -> None:
        """Have the tables that there were as they were."""
        for table in (*self.done.values(), *([self.table] if self.table is not None else ())):
            table.undo()

    def line(self, line: str) -> None:
        line = line.strip()
        kind = line[:1]
        if kind in ("", "#"):
            return
        if kind == "*":
            self._open(line[1:].strip())
        elif self.table is None:
            raise NetfilterError("failed")
        elif kind == "-":
            self._rule(self.table, line)
        elif line == "COMMIT":
            self._commit(self.table)
        elif kind == ":":
            self._chain(self.table, line[1:])
        else:
            self._rule(self.table, line)

    def _open(self, name: str) -> None:
        if self.table is not None:
            raise NetfilterError("failed")
        if name not in BUILTIN_CHAINS:
            raise NetfilterError(f"can't initialize iptables table `{name}': Table does not exist")
        if self._noflush or name in self.done:
            self.table = self.done.get(name) or self._netfilter.table(name)
        else:
            self.table = Table(name, is_ipv6=self._netfilter.is_ipv6)

    def _commit(self, table: Table) -> None:
        table.check(self._netfilter.sets)
        self.done[table.name] = table
        self.table = None

    def _chain(self, table: Table, line: str) -> None:
        words = line.split()
        if len(words) < 2:
            raise NetfilterError("invalid chain line")
        name, policy = words[0], words[1]
        if name in BUILTIN_CHAINS[table.name]:
            chain = table.edit(name)
            if policy not in ("ACCEPT", "DROP", "-"):
                raise NetfilterError(f"Can't set policy `{policy}' on `{name}': Bad policy name.")
            chain.policy = chain.policy if policy == "-" else policy
        elif name in table.chains:
            chain = table.edit(name)
        else:
            chain = table.create(name)
        chain.clear()
        if self._counters and len(words) > 2:
            chain.counter = Counter()
            chain.counter.set(*_parse_counters(words[2]))

    def _rule(self, table: Table, line: str) -> None:
        words = split(line)
        counts = None
        if words[0][:1] == "[":
            counts = _parse_counters(words.pop(0))
        if not words:
            raise NetfilterError("empty rule")
        if words[0] == "-t":
            raise NetfilterError("The -t option (seen in line) cannot be used in iptables-restore.")
        commands.run(table, words, self._owner)
        if counts is not None and self._counters and words[0] == "-A":
            table.chains[words[1]].rules[-1].counter.set(*counts)


def _parse_counters(text: str) -> tuple[int, int]:
    if not (text.startswith("[") and text.endswith("]") and text.count(":") == 1):
        raise NetfilterError(f"invalid counters {text}")
    packets, octets = text[1:-1].split(":")
    return parse_number(packets, 0, 2**64, "counter"), parse_number(octets, 0, 2**64, "counter")


def run_command(netfilter: Netfilter, arguments: list[str], owner: str = "") -> None:
    """One `iptables` call that changes something, as its arguments (without the program's name)."""
    words = [word for word in arguments if word not in ("-w", "--wait", "-n", "-v")]
    name = "filter"
    for option in ("-t", "--table"):
        if option in words:
            at = words.index(option)
            name = (words[at + 1 : at + 2] or [""])[0]
            del words[at : at + 2]
    if name not in BUILTIN_CHAINS:
        raise NetfilterError(f"can't initialize iptables table `{name}': Table does not exist")
    if not words:
        raise NetfilterError("no command specified")
    table = netfilter.table(name)
    try:
        commands.run(table, words, owner)
        table.check(netfilter.sets)
    except Exception:
        table.undo()
        raise
    if words[0] in ("-C", "--check"):
        table.undo()
    else:
        netfilter.install({name: table})
