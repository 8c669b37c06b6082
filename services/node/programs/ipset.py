"""ipset (v7.17) on the program's own namespace."""

from typing import Final

from podwire.services.node.files import FileError
from podwire.services.node.kernel.namespace import Namespace
from podwire.services.node.kernel.netfilter.ipset import commands
from podwire.services.node.kernel.netfilter.ipset.kinds import IpsetError
from podwire.services.node.kernel.printing.ipset import ipset_list, ipset_names, ipset_save
from podwire.services.node.pipes import read_all
from podwire.services.node.process import Process
from podwire.services.node.programs.filesystem import read_file

VERSION: Final = "ipset v7.17"
_FLAGS: Final = {
    "-n": "name",
    "-name": "name",
    "--name": "name",
    "-t": "terse",
    "-terse": "terse",
    "--terse": "terse",
    "-s": "sorted",
    "-sorted": "sorted",
    "--sorted": "sorted",
    "-q": "quiet",
    "-quiet": "quiet",
    "--quiet": "quiet",
    "-!": "exist",
    "-exist": "exist",
    "--exist": "exist",
    "-r": "resolve",
    "-resolve": "resolve",
    "--resolve": "resolve",
}
_HELP: Final = f"{VERSION}\n\nUsage: ipset [options] COMMAND\n"


async def ipset(process: Process) -> int:
    """ipset [OPTIONS] create|add|del|test|destroy|list|save|restore|flush|rename|swap …"""
    flags: dict[str, str] = {}
    try:
        words = _without_flags(process.arguments[1:], flags)
        return await _run(process, words, flags)
    except IpsetError as error:
        if "quiet" not in flags:
            ours = error.message.endswith(".") and " is NOT in set " in error.message
            await process.complain(error.message if ours else f"{VERSION}: {error.message}")
            if error.usage:
                await process.complain("Try `ipset help' for more information.")
        return 2 if error.usage else 1
    except FileError as error:
        await process.complain(f"{VERSION}: {error.strerror}")
        return 1


def _without_flags(words: list[str], flags: dict[str, str]) -> list[str]:
    kept: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in _FLAGS and (word not in ("-n", "-t") or _at_option(kept)):
            flags[_FLAGS[word]] = ""
        elif word in ("-o", "-output", "--output", "-f", "-file", "--file"):
            if not rest:
                raise IpsetError(f"Missing mandatory argument to option {word}", usage=True)
            flags[word.strip("-")[0]] = rest.pop(0)
        else:
            kept.append(word)
    return kept


def _at_option(kept: list[str]) -> bool:
    return not kept or commands.ALIASES.get(kept[0], kept[0]) in ("list", "save")


async def _run(process: Process, words: list[str], flags: dict[str, str]) -> int:
    if not words:
        raise IpsetError("No command specified.", usage=True)
    command = commands.ALIASES.get(words[0], words[0])
    if command in ("version", "help"):
        await process.print(f"{VERSION}, protocol version: 7\n" if command == "version" else _HELP)
        return 0
    if process.machine is None:
        raise IpsetError("Kernel error received: Operation not permitted")
    if command in ("list", "save"):
        await process.print(_shown(process, command, words[1:], flags))
        return 0
    text = await _restored_text(process, flags) if command == "restore" else ""
    with process.network.shell.turn() as kernel:
        namespace = kernel.namespace(process.network.namespace)
        if command == "restore":
            commands.restore(namespace, text, exist="exist" in flags)
            return 0
        said = commands.run(namespace, words, exist="exist" in flags)
    if said and "quiet" not in flags:
        await process.complain(said)
    return 0


async def _restored_text(process: Process, flags: dict[str, str]) -> str:
    octets = read_file(process, flags["f"]) if "f" in flags else await read_all(process.stdin)
    return octets.decode(errors="replace")


def _shown(process: Process, command: str, operands: list[str], flags: dict[str, str]) -> str:
    form = flags.get("o", "save" if command == "save" else "plain")
    if form not in ("plain", "save"):
        raise IpsetError(f"Syntax error: output mode '{form}' is not built in podwire: plain and save are")
    if len(operands) > 1:
        raise IpsetError(f"Unknown argument {operands[1]}", usage=True)
    name, ordered = (operands or [""])[0], "sorted" in flags
    with process.network.shell.turn() as kernel:
        kernel.settle()
        namespace: Namespace = kernel.namespace(process.network.namespace)
        if name and name not in namespace.netfilter.sets:
            raise IpsetError("The set with the given name does not exist")
        if form == "save":
            return ipset_save(namespace, name, ordered=ordered)
        if "name" in flags:
            return ipset_names(namespace, name)
        return ipset_list(namespace, name, terse="terse" in flags, ordered=ordered)
