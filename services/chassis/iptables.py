"""Jump rules into a component's own chains: which are missing from what `iptables-save` prints."""

import re
import shlex
from collections.abc import Iterable
from typing import Final, Literal

from podwire.proto.messages.kernel import IptablesCommand, Operation

_COUNTERS: Final = re.compile(r"^\[\d+:\d+\] ")

Jump = tuple[str, str, str, tuple[str, ...]]
"""Table, chain, target chain, and the matches before `-j`."""


def rules_by_table(saved: str) -> dict[str, list[list[str]]]:
    """The rules of an `iptables-save` text as words, by table."""
    tables: dict[str, list[list[str]]] = {}
    table = ""
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:]
            tables[table] = []
        elif (rule := _COUNTERS.sub("", line)).startswith("-A "):
            tables[table].append(shlex.split(rule))
    return tables


def chains_by_table(saved: str) -> dict[str, list[str]]:
    """The names of the chains in an `iptables-save` text, by table."""
    tables: dict[str, list[str]] = {}
    for line in saved.splitlines():
        if line.startswith("*"):
            tables[line[1:]] = []
        elif line.startswith(":"):
            tables[next(reversed(tables))].append(line[1:].split(" ", 1)[0])
    return tables


def chains_of(saved: str) -> list[str]:
    """The names of the chains in an `iptables-save` text."""
    return [line[1:].split(" ", 1)[0] for line in saved.splitlines() if line.startswith(":")]


def missing_jumps(
    saved: str, jumps: Iterable[Jump], append: bool = False, family: Literal["ipv4", "ipv6"] = "ipv4"
) -> list[Operation]:
    """The commands that add the jumps that are not there: at the front, or at the end."""
    tables = rules_by_table(saved)
    commands: list[Operation] = []
    for table, chain, target, matches in jumps:
        present = (rule for rule in tables.get(table, []) if rule[1] == chain and rule[-2:] == ["-j", target])
        if any(_same_matches(rule[2:-2], matches) for rule in present):
            continue
        arguments = ("-t", table, "-A" if append else "-I", chain, *matches, "-j", target)
        commands.append(IptablesCommand(arguments=arguments, family=family))
    return commands


def _same_matches(given: list[str], wanted: tuple[str, ...]) -> bool:
    """Matches may be printed in another order than they were given."""
    return sorted(given) == sorted(wanted)
