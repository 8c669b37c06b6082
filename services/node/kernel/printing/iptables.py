"""The texts of iptables: -S, iptables-save, and -L (iptables/iptables.c, print_firewall)."""

from podwire.services.node.kernel.counters import Counter
from podwire.services.node.kernel.netfilter.chain import Chain, Table
from podwire.services.node.kernel.netfilter.errors import NetfilterError
from podwire.services.node.kernel.netfilter.rule import PROTOCOL_NAMES, Prefix, Rule
from podwire.services.node.kernel.netfilter.tables import Netfilter

TABLE_ORDER = ("mangle", "raw", "filter", "nat")
"""iptables-save's order (nf_tables variant)."""


def iptables_save(netfilter: Netfilter, *, table: str = "", counters: bool = False) -> str:
    """`iptables-save [-c] [-t TABLE]`, without the comment lines that hold the time."""
    names = [name for name in TABLE_ORDER if name in netfilter.tables and table in ("", name)]
    return "".join(_save_table(netfilter.tables[name], counters) for name in names)


def _save_table(table: Table, counters: bool) -> str:
    lines = [f"*{table.name}"]
    for chain in ordered(table):
        policy = chain.policy or "-"
        lines.append(f":{chain.name} {policy} {_brackets(chain.counter)}")
    for chain in ordered(table):
        for rule in chain.rules:
            prefix = f"{_brackets(rule.counter)} " if counters else ""
            lines.append(f"{prefix}-A {chain.name} {rule.specification()}".rstrip())
    return "\n".join([*lines, "COMMIT", ""])


def _brackets(counter: Counter) -> str:
    return f"[{counter.packets}:{counter.bytes}]"


def ordered(table: Table) -> list[Chain]:
    """Builtin chains in hook order, then the others by name."""
    builtin = [chain for chain in table.chains.values() if chain.policy is not None]
    others = [chain for chain in table.chains.values() if chain.policy is None]
    return builtin + sorted(others, key=lambda chain: chain.name)


def _chosen(table: Table, name: str) -> list[Chain]:
    if not name:
        return ordered(table)
    if name not in table.chains:
        raise NetfilterError("No chain/target/match by that name.")
    return [table.chains[name]]


def iptables_rules(table: Table, chain: str = "") -> str:
    """`iptables -S [CHAIN]`; NetfilterError if there is no such chain."""
    chains = _chosen(table, chain)
    lines = [f"-P {each.name} {each.policy}" if each.policy else f"-N {each.name}" for each in chains]
    lines += [f"-A {each.name} {rule.specification()}".rstrip() for each in chains for rule in each.rules]
    return "".join(line + "\n" for line in lines)


def iptables_list(
    table: Table,
    chain: str = "",
    *,
    verbose: bool = False,
    line_numbers: bool = False,
    exact: bool = False,
) -> str:
    """`iptables -L [CHAIN] -n [-v] [--line-numbers] [-x]`; NetfilterError if there is no such chain."""
    references = table.all_references()
    everywhere = "::/0" if table.is_ipv6 else "0.0.0.0/0"
    blocks = []
    for each in _chosen(table, chain):
        lines = [_chain_header(each, references[each.name], verbose, exact), _columns(verbose, line_numbers, exact)]
        for number, rule in enumerate(each.rules, 1):
            lines.append(_rule_line(rule, number if line_numbers else 0, verbose, exact, everywhere))
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def _chain_header(chain: Chain, references: int, verbose: bool, exact: bool) -> str:
    if chain.policy is None:
        return f"Chain {chain.name} ({references} references)"
    counts = ""
    if verbose:
        packets = _number(chain.counter.packets, exact).strip()
        counts = f" {packets} packets, {_number(chain.counter.bytes, exact).strip()} bytes"
    return f"Chain {chain.name} (policy {chain.policy}{counts})"


def _columns(verbose: bool, line_numbers: bool, exact: bool) -> str:
    text = "num  " if line_numbers else ""
    if verbose:
        text += f"{'pkts':>8} {'bytes':>10} " if exact else f"{'pkts':>5} {'bytes':>5} "
    text += f"{'target':<9}  prot opt"
    if verbose:
        text += f" {'in':<6} {'out':<6} "
    return text + f" {'source':<19}  {'destination':<19} "


def _number(value: int, exact: bool) -> str:
    """xtables_print_num: five digits, then thousands of K, M, G, T."""
    if exact:
        return f"{value:>8} "
    if value <= 99999:
        return f"{value:>5} "
    for unit in "KMG":
        value = (value + 500) // 1000
        if value <= 9999:
            return f"{value:>4}{unit} "
    return f"{(value + 500) // 1000:>4}T "


def _rule_line(rule: Rule, number: int, verbose: bool, exact: bool, everywhere: str) -> str:
    text = f"{number:<4} " if number else ""
    if verbose:
        text += _number(rule.counter.packets, exact)
        text += f"{rule.counter.bytes:>10} " if exact else _number(rule.counter.bytes, exact)
    text += f"{rule.verdict:<9} " + _protocol(rule)
    if verbose:
        text += f" {_interface(rule.in_interface):<6} {_interface(rule.out_interface):<6} "
    text += _address(rule.source, everywhere) + _address(rule.destination, everywhere)
    if rule.goto:
        text += " [goto] "
    details = [match.describe() for match in rule.matches]
    details += [rule.target.describe()] if rule.target is not None and rule.target.describe() else []
    return text + "".join(f" {detail}" for detail in details)


def _protocol(rule: Rule) -> str:
    number, inverted = rule.protocol or (0, False)
    name = PROTOCOL_NAMES.get(number, str(number))
    fragment = "--" if rule.fragment is None else ("-f" if rule.fragment else "!f")
    return f"{'!' if inverted else ' '}{name:<4} {fragment} "


def _interface(interface: tuple[str, bool] | None) -> str:
    if interface is None:
        return "*"
    return "!" * interface[1] + interface[0]


def _address(prefix: Prefix | None, everywhere: str) -> str:
    if prefix is None:
        return f" {everywhere:<19} "
    text = prefix.text().rpartition("/")[0] if prefix.is_host else prefix.text()
    return f"{'!' if prefix.inverted else ' '}{text:<19} "
