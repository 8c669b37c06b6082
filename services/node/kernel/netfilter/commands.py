"""Commands on a table: what one iptables call or one line of a restore does (iptables/xshared.c do_parse)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from podwire.services.node.kernel.netfilter.chain import Chain, Table, check_chain_name
from podwire.services.node.kernel.netfilter.errors import NetfilterError
from podwire.services.node.kernel.netfilter.parse import parse_rule
from podwire.services.node.kernel.netfilter.rule import Rule
from podwire.services.node.kernel.netfilter.words import parse_number

_LONG: Final = {
    "--append": "-A",
    "--insert": "-I",
    "--delete": "-D",
    "--replace": "-R",
    "--check": "-C",
    "--flush": "-F",
    "--zero": "-Z",
    "--new-chain": "-N",
    "--new": "-N",
    "--delete-chain": "-X",
    "--policy": "-P",
    "--rename-chain": "-E",
}
_GONE: Final = "Bad rule (does a matching rule exist in that chain?)."
_NO_CHAIN: Final = "No chain/target/match by that name."


def run(table: Table, words: Sequence[str], owner: str = "") -> None:
    """Apply one command to a table; NetfilterError leaves what must be undone."""
    command = _LONG.get(words[0], words[0])
    if command == "-A" and len(words) > 1:
        return _append(table, words[1], words[2:], owner)
    arguments = list(words[1:])
    if command in ("-F", "-Z", "-X"):
        return _on_many(table, command, arguments)
    if not arguments:
        raise NetfilterError(f'option "{command}" requires an argument')
    if command in ("-N", "-P", "-E"):
        return _on_chain(table, command, arguments)
    return _on_rule(table, command, arguments, owner)


def _append(table: Table, name: str, specification: Sequence[str], owner: str) -> None:
    chain = table.edit(name)
    rule = parse_rule(specification, table.name, is_ipv6=table.is_ipv6)
    rule.owner = owner
    chain.append(rule)


def _on_many(table: Table, command: str, arguments: list[str]) -> None:
    names = arguments[:1] or list(table.chains)
    for name in names:
        if command == "-X" and not arguments and table.chain(name).policy is not None:
            continue
        if command == "-X":
            _delete_chain(table, name)
        elif command == "-F":
            table.edit(name).clear()
        else:
            chain = table.chain(name)
            if len(arguments) > 1:
                _zero_rule(chain, parse_number(arguments[1], 1, 2**31, "rule number"))
                continue
            for counter in (chain.counter, *(rule.counter for rule in chain.rules)):
                counter.set(0, 0)


def _zero_rule(chain: Chain, number: int) -> None:
    """One rule's counters; a number beyond the last does nothing, as with iptables-nft."""
    if number <= len(chain.rules):
        chain.rules[number - 1].counter.set(0, 0)


def _delete_chain(table: Table, name: str) -> None:
    chain = table.chain(name)
    if chain.policy is not None:
        raise NetfilterError(f"Can't delete built-in chain `{name}'")
    if chain.rules:
        raise NetfilterError("Directory not empty.")
    if table.references(name):
        raise NetfilterError("Too many links.")
    table.delete(name)


def _on_chain(table: Table, command: str, arguments: list[str]) -> None:
    name = arguments[0]
    if command == "-N":
        table.create(name)
    elif command == "-P":
        chain = table.chain(name)
        if chain.policy is None or len(arguments) < 2 or arguments[1] not in ("ACCEPT", "DROP"):
            raise NetfilterError("Bad policy name. Run `dmesg' for more information.")
        table.edit(name).policy = arguments[1]
    elif len(arguments) < 2:
        raise NetfilterError("-E requires old-chain-name and new-chain-name")
    else:
        _rename(table, name, arguments[1])


def _rename(table: Table, name: str, new: str) -> None:
    """Jumps follow the chain. (A renamed built-in chain would be out of iptables' reach.)"""
    if table.chain(name).policy is not None:
        raise NetfilterError(f"chain `{name}': renaming of built-in chains is not built")
    if new in table.chains:
        raise NetfilterError("File exists.")
    check_chain_name(new)
    for other in list(table.chains.values()):
        if any(rule.jump == name for rule in other.rules):
            edited = table.edit(other.name)
            for index, rule in enumerate(edited.rules):
                if rule.jump == name:
                    edited.replace(index, replace(rule, jump=new))
    table.rename(name, new)


def _on_rule(table: Table, command: str, arguments: list[str], owner: str) -> None:
    name = arguments.pop(0)
    if command not in ("-I", "-D", "-R", "-C"):
        raise NetfilterError(f'unknown option "{command}"')
    chain = table.edit(name)
    number = None
    if command in ("-I", "-D", "-R") and arguments and arguments[0].isdigit():
        number = parse_number(arguments.pop(0), 1, 2**31, "rule number")
    if command == "-D" and number is not None and not arguments:
        _at(chain, number)
        chain.remove(number - 1)
        return None
    rule = parse_rule(arguments, table.name, is_ipv6=table.is_ipv6)
    rule.owner = owner
    return _place(chain, command, number, rule)


def _place(chain: Chain, command: str, number: int | None, rule: Rule) -> None:
    if command == "-I":
        if (number or 1) > len(chain.rules) + 1:
            raise NetfilterError("Index of insertion too big.")
        chain.insert((number or 1) - 1, rule)
    elif command == "-R":
        _at(chain, number or 0)
        chain.replace((number or 1) - 1, rule)
    else:
        index = _find(chain, rule)
        if command == "-D":
            chain.remove(index)


def _at(chain: Chain, number: int) -> Rule:
    if not 1 <= number <= len(chain.rules):
        raise NetfilterError("Index of deletion too big.")
    return chain.rules[number - 1]


def _find(chain: Chain, rule: Rule) -> int:
    wanted = rule.specification()
    jump, destination = rule.jump, rule.destination
    for index, each in enumerate(chain.rules):
        if each.jump == jump and each.destination == destination and each.specification() == wanted:
            return index
    raise NetfilterError(_GONE if chain.rules or wanted else _NO_CHAIN)
