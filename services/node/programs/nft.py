"""nft on the program's own namespace: `nft -f FILE`, commands as arguments, and `list` (nft(8), v1.0)."""

from collections.abc import Callable
from typing import Final

from podwire.services.node.files import FileError
from podwire.services.node.kernel.namespace import Namespace
from podwire.services.node.kernel.nftables import commands
from podwire.services.node.kernel.nftables.errors import NftError
from podwire.services.node.kernel.nftables.sets import NftSet
from podwire.services.node.kernel.nftables.tables import FAMILIES, NftTable
from podwire.services.node.kernel.printing.nftables import nft_ruleset, part_text, table_text
from podwire.services.node.pipes import read_all
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import UsageError, parse_options
from podwire.services.node.programs.filesystem import read_file

VERSION: Final = "nftables v1.0.9 (Old Doc Yak #3)"
_LONG: Final = {"file": "f:", "handle": "a", "check": "c", "numeric": "n", "version": "v", "json": "j", "echo": "e"}


async def nft(process: Process) -> int:
    """nft [-a] [-c] [-f FILE] [COMMAND …]"""
    try:
        options = parse_options(process.arguments[1:], "f:acnvVjes", _LONG, permute=False)
    except UsageError as error:
        await process.complain(f"nft: {error}")
        return 1
    if "v" in options or "V" in options:
        await process.print(f"{VERSION}\n")
        return 0
    if "j" in options:
        await process.complain("nft: JSON output is not built: leave -j out")
        return 1
    if process.machine is None:
        await process.complain("Operation not permitted (you must be root)")
        return 1
    try:
        name, text = await _input(process, options.value("f"), options.operands)
    except FileError as error:
        await process.complain(f'Error: Could not open file "{options.value("f")}": {error.strerror}')
        return 1
    words = text.split()
    try:
        if words[:1] in (["list"], ["get"]) and not name:
            await process.print(_listed(process, words, handles="a" in options))
        else:
            _apply(process, text, check="c" in options)
    except NftError as error:
        await process.stderr.write(error.shown(text, name).encode())
        return 1
    return 0


async def _input(process: Process, file: str, operands: list[str]) -> tuple[str, str]:
    """The name of the file ("" for arguments) and the text."""
    if not file:
        return "", " ".join(operands) + "\n"
    if file == "-":
        return "/dev/stdin", (await read_all(process.stdin)).decode(errors="replace")
    return file, read_file(process, file).decode(errors="replace")


def _apply(process: Process, text: str, *, check: bool) -> None:
    with process.network.shell.turn() as kernel:
        kernel.settle()
        namespace = kernel.namespace(process.network.namespace)
        netfilters = namespace.netfilter, namespace.netfilter6
        commands.apply(netfilters, namespace.nftables, text, kernel.now, only_check=check)


def _listed(process: Process, words: list[str], *, handles: bool) -> str:
    with process.network.shell.turn() as kernel:
        kernel.settle()
        namespace = kernel.namespace(process.network.namespace)
        rest = words[1:]
        what = rest.pop(0) if rest else ""
        if what in _PLURALS:
            family = rest.pop(0) if rest and rest[0] in FAMILIES else ""
            return _PLURALS[what](namespace, family, handles)
        if what in ("table", "chain", "set", "map"):
            return _one(namespace, what, rest, handles)
    raise NftError(f"syntax error, unexpected {what or 'newline'}", 1, len(words[0]) + 2, max(len(what), 1))


def _one(namespace: Namespace, what: str, rest: list[str], handles: bool) -> str:
    family = rest.pop(0) if rest and rest[0] in FAMILIES else "ip"
    if len(rest) != (1 if what == "table" else 2):
        raise NftError("syntax error, unexpected newline", 1, 1)
    table = namespace.nftables.tables.get((family, rest[0]))
    if table is None:
        raise _missing(what, family, rest, 0)
    if what == "table":
        return table_text(table, namespace.kernel.now, handles=handles)
    parts = table.chains if what == "chain" else table.sets
    part = parts.get(rest[1])
    if part is None or (isinstance(part, NftSet) and bool(part.data) != (what == "map")):
        raise _missing(what, family, rest, 1)
    return part_text(table, part, namespace.kernel.now, handles=handles)


def _missing(what: str, family: str, rest: list[str], which: int) -> NftError:
    before = " ".join(["list", what, family, *rest[:which]])
    return NftError("No such file or directory", 1, len(before) + 2, len(rest[which]))


def _tables(namespace: Namespace, family: str, handles: bool) -> str:
    tables = [each for each in namespace.nftables.tables.values() if family in ("", each.family)]
    return "".join(
        f"table {each.family} {each.name}{f' # handle {each.handle}' if handles else ''}\n" for each in tables
    )


def _parts(chosen: Callable[[NftTable], list[str]]) -> Callable[[Namespace, str, bool], str]:
    def listed(namespace: Namespace, family: str, handles: bool) -> str:
        tables = [each for each in namespace.nftables.tables.values() if family in ("", each.family)]
        return "".join(f"table {table.family} {table.name} {{\n" + "".join(chosen(table)) + "}\n" for table in tables)

    return listed


def _inner(text: str) -> str:
    """What stands between the table's braces."""
    return "".join(f"{line}\n" for line in text.splitlines()[1:-1])


def _chains(table: NftTable) -> list[str]:
    found = []
    for chain in table.chains.values():
        shown = chain.copy()
        shown.rules = []
        found.append(_inner(part_text(table, shown, 0)))
    return found


def _sets(table: NftTable) -> list[str]:
    return [_inner(part_text(table, each, 0)) for each in table.sets.values() if not each.data]


def _maps(table: NftTable) -> list[str]:
    return [_inner(part_text(table, each, 0)) for each in table.sets.values() if each.data]


_PLURALS: Final[dict[str, Callable[[Namespace, str, bool], str]]] = {
    "ruleset": lambda namespace, family, handles: nft_ruleset(namespace, family, handles=handles),
    "tables": _tables,
    "chains": _parts(_chains),
    "sets": _parts(_sets),
    "maps": _parts(_maps),
}
