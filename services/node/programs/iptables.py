"""iptables, iptables-save and iptables-restore on the program's own namespace (iptables 1.8, nf_tables variant)."""

from dataclasses import dataclass
from typing import Final

from podwire.services.node.files import FileError
from podwire.services.node.kernel.namespace import Namespace
from podwire.services.node.kernel.netfilter.errors import NetfilterError
from podwire.services.node.kernel.netfilter.parse import BUILTIN_CHAINS
from podwire.services.node.kernel.netfilter.restore import restore, run_command
from podwire.services.node.kernel.netfilter.tables import Netfilter
from podwire.services.node.kernel.printing.iptables import (
    TABLE_ORDER,
    iptables_list,
    iptables_rules,
    iptables_save,
)
from podwire.services.node.pipes import read_all
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import UsageError, parse_options
from podwire.services.node.programs.calendar import format_date
from podwire.services.node.programs.filesystem import read_file

VERSION: Final = "v1.8.10 (nf_tables)"
_NOT_ROOT: Final = 4
_FROM_KERNEL: Final = (
    "No chain/target/match by that name.",
    "Bad rule",
    "Directory not empty",
    "Too many links",
    "File exists",
)
_LONG: Final = {"--list": "L", "--list-rules": "S", "--numeric": "n", "--verbose": "v", "--exact": "x"}
_FLAGS: Final = "nvx"


@dataclass(slots=True)
class _Listing:
    """-L or -S with what belongs to it."""

    command: str = ""
    table: str = "filter"
    chain: str = ""
    flags: str = ""
    line_numbers: bool = False


def read_listing(words: list[str]) -> _Listing | None:
    """A call that lists; None if it is one that changes. Raises UsageError."""
    listing, rest = _Listing(), list(words)
    while rest:
        word = rest.pop(0)
        letters = _LONG.get(word) or (word[1:] if word.startswith("-") and not word.startswith("--") else "")
        if word in ("-t", "--table") and rest:
            listing.table = rest.pop(0)
        elif word in ("--line-numbers", "--line"):
            listing.line_numbers = True
        elif word in ("-w", "--wait"):
            rest[:] = rest[1:] if rest and rest[0].isdigit() else rest
        elif letters and all(letter in _FLAGS + "LSw" for letter in letters):
            listing.flags += letters
            command = next((letter for letter in letters if letter in "LS"), "")
            listing.command = listing.command or command
            if command and rest and not rest[0].startswith("-"):
                listing.chain = rest.pop(0)
        elif listing.command:
            raise UsageError(f'unknown option "{word}"' if word.startswith("-") else f"Bad argument `{word}'")
        else:
            return None
    return listing if listing.command else None


async def iptables(process: Process) -> int:
    """iptables|ip6tables [-t TABLE] COMMAND …"""
    words, tool = process.arguments[1:], _tool(process)
    if words in (["-V"], ["--version"]):
        await process.print(f"{tool} {VERSION}\n")
        return 0
    if process.machine is None:
        return await _not_root(process, tool)
    try:
        listing = read_listing(words)
        with process.network.shell.turn() as kernel:
            kernel.settle()
            netfilter = _netfilter(kernel.namespace(process.network.namespace), tool)
            text = _change(netfilter, words) if listing is None else _listed(netfilter, listing)
        await process.print(text)
    except (NetfilterError, UsageError) as error:
        return await _refused(process, tool, str(error))
    return 0


def _tool(process: Process) -> str:
    """`iptables` or `ip6tables`: one program, two names, each also with -save and -restore."""
    return "ip6tables" if process.arguments[0].rpartition("/")[2].startswith("ip6tables") else "iptables"


def _netfilter(namespace: Namespace, tool: str) -> Netfilter:
    return namespace.netfilter6 if tool == "ip6tables" else namespace.netfilter


async def _not_root(process: Process, name: str) -> int:
    reason = "Could not fetch rule set generation id: Permission denied (you must be root)"
    await process.complain(f"{name} {VERSION}: {reason}")
    return _NOT_ROOT


async def _refused(process: Process, tool: str, message: str) -> int:
    if message.startswith(_FROM_KERNEL):
        await process.complain(f"{tool}: {message}")
        return 1
    await process.complain(f"{tool} {VERSION}: {message}")
    await process.complain(f"Try `{tool} -h' or '{tool} --help' for more information.")
    return 2


def _change(netfilter: Netfilter, words: list[str]) -> str:
    run_command(netfilter, words)
    return ""


def _listed(netfilter: Netfilter, listing: _Listing) -> str:
    if listing.table not in BUILTIN_CHAINS:
        raise NetfilterError(f"can't initialize iptables table `{listing.table}': Table does not exist")
    table = netfilter.table(listing.table)
    if listing.command == "S":
        return iptables_rules(table, listing.chain)
    text = iptables_list(
        table,
        listing.chain,
        verbose="v" in listing.flags,
        line_numbers=listing.line_numbers,
        exact="x" in listing.flags,
    )
    everywhere = "::/0" if netfilter.is_ipv6 else "0.0.0.0/0"
    return text if "n" in listing.flags else text.replace(f"{everywhere:<19}", f"{'anywhere':<19}")


async def save(process: Process) -> int:
    """iptables-save|ip6tables-save [-c] [-t TABLE]"""
    tool = _tool(process)
    try:
        options = parse_options(process.arguments[1:], "ct:", {"counters": "c", "table": "t:"})
    except UsageError as error:
        await process.complain(f"{tool}-save: {error}")
        return 1
    if process.machine is None:
        return await _not_root(process, f"{tool}-save")
    when = format_date("%a %b %e %H:%M:%S %Y", process.clock.now_ns())
    wanted = options.value("t")
    with process.network.shell.turn() as kernel:
        kernel.settle()
        netfilter = _netfilter(kernel.namespace(process.network.namespace), tool)
        texts = [
            f"# Generated by {tool}-save {VERSION} on {when}\n"
            + iptables_save(netfilter, table=name, counters="c" in options)
            + f"# Completed on {when}\n"
            for name in TABLE_ORDER
            if name in netfilter.tables and wanted in ("", name)
        ]
    await process.print("".join(texts))
    return 0


async def restore_tables(process: Process) -> int:
    """iptables-restore|ip6tables-restore [-n] [-c] [-t] [FILE]: all of it or nothing."""
    tool = f"{_tool(process)}-restore"
    long = {"noflush": "n", "counters": "c", "test": "t", "wait": "w", "verbose": "v", "table": "T:"}
    try:
        options = parse_options(process.arguments[1:], "nctvwW:T:", long)
        if options.operands:
            text = read_file(process, options.operands[0]).decode(errors="replace")
        else:
            text = (await read_all(process.stdin)).decode(errors="replace")
    except (UsageError, FileError) as error:
        await process.complain(f"{tool}: {getattr(error, 'strerror', None) or error}")
        return 1
    if process.machine is None:
        return await _not_root(process, tool)
    try:
        with process.network.shell.turn() as kernel:
            namespace = kernel.namespace(process.network.namespace)
            netfilter = _netfilter(namespace, _tool(process))
            if "t" in options:
                netfilter = _scratch(namespace, netfilter)
            restore(netfilter, text, noflush="n" in options, counters="c" in options)
    except NetfilterError as error:
        await process.complain(f"{tool} {VERSION}: {error.message}")
        await process.complain(f"Error occurred at line: {error.line}")
        await process.complain(f"Try `{tool} -h' or '{tool} --help' for more information.")
        return 2
    return 0


def _scratch(namespace: Namespace, real: Netfilter) -> Netfilter:
    """The same tables and sets, to try things on: tables are copied before they are edited."""
    scratch = Netfilter(namespace, namespace.netfilter if real.is_ipv6 else None)
    scratch.tables, scratch.sets = dict(real.tables), real.sets
    return scratch
