"""stat, du and df: as far as files are kept here; owners are root's, times are none."""

import re
from typing import Final

from podwire.services.node.files import normal
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import UsageError, parse_options
from podwire.services.node.programs.filesystem import exists, is_folder, mode_of, read_file
from podwire.services.node.programs.usage import refuse

_BLOCK: Final = 4096
_DISK_BLOCKS: Final = 61_255_492
"""1K blocks of the file system that df shows."""
_DEEPEST: Final = 60


def mode_text(process: Process, path: str) -> str:
    """`-rw-r--r--`, with `d` for folders and `l` for links."""
    place = normal(path, process.folder)
    if process.files.target(place) is not None:
        return "lrwxrwxrwx"
    mode = mode_of(process, place)
    bits = "".join(letter if mode >> (8 - at) & 1 else "-" for at, letter in enumerate("rwxrwxrwx"))
    return ("d" if is_folder(process, place) else "-") + bits


async def stat(process: Process) -> int:
    """stat [-L] [-c FORMAT] FILE…"""
    try:
        options = parse_options(process.arguments[1:], "Lc:ft", {"format": "c:"})
    except UsageError as error:
        return await refuse(process, error, "stat [-ltf] [-c FMT] FILE...")
    code = 0
    for name in options.operands:
        place = normal(name, process.folder)
        if not exists(process, place) and process.files.target(place) is None:
            await process.complain(f"stat: can't stat '{name}': No such file or directory")
            code = 1
            continue
        await process.print(_described(process, name, place, options.value("c")))
    return code


def _described(process: Process, name: str, place: str, form: str) -> str:
    target = process.files.target(place)
    folder = target is None and is_folder(process, place)
    size = _BLOCK if folder else len(target or "") if target is not None else len(read_file(process, place))
    kind = "symbolic link" if target is not None else "directory" if folder else "regular file"
    kind = "regular empty file" if kind == "regular file" and not size else kind
    octal, text = f"{0o777 if target is not None else mode_of(process, place):o}", mode_text(process, place)
    values = {"n": name, "s": str(size), "a": octal, "A": text, "F": kind, "u": "0", "g": "0", "U": "root", "G": "root"}
    quoted = f"'{name}'" if target is None else f"'{name}' -> '{target}'"
    values |= {"h": "1", "b": str(-(-size // 512)), "B": "512", "N": quoted}
    if form:
        shown = re.sub("%([a-zA-Z])", lambda match: values.get(match.group(1), "?"), form.replace("%%", "\0"))
        return shown.replace("\0", "%") + "\n"
    head = name if target is None else quoted
    return (
        f"  File: {head}\n  Size: {size:<10}\tBlocks: {-(-size // 512):<10} IO Block: {_BLOCK:<6} {kind}\n"
        f"Access: ({octal.rjust(4, '0')}/{text})  Uid: (    0/    root)   Gid: (    0/    root)\n"
    )


def _used(process: Process, place: str, depth: int = 0) -> int:
    """1K blocks of a file or folder with everything below it."""
    if process.files.target(place) is not None or depth > _DEEPEST:
        return 0
    if not is_folder(process, place):
        return -(-len(read_file(process, place)) // _BLOCK) * 4
    names = process.files.entries(place)
    return 4 + sum(_used(process, f"{place.rstrip('/')}/{name}", depth + 1) for name in names)


async def du(process: Process) -> int:
    """du [-shk] [FILE]…: the sum of each; what is inside without -s."""
    try:
        options = parse_options(process.arguments[1:], "shkam")
    except UsageError as error:
        return await refuse(process, error, "du [-aHLdclsxhmk] [FILE]...")
    code = 0
    for name in options.operands or ["."]:
        place = normal(name, process.folder)
        if not exists(process, place):
            await process.complain(f"du: {name}: No such file or directory")
            code = 1
            continue
        lines = [] if "s" in options else _below(process, name, place)
        for shown, blocks in [*lines, (name, _used(process, place))]:
            await process.print(f"{_size(blocks) if 'h' in options else blocks}\t{shown}\n")
    return code


def _below(process: Process, name: str, place: str, depth: int = 0) -> list[tuple[str, int]]:
    lines: list[tuple[str, int]] = []
    for each in process.files.entries(place) if is_folder(process, place) and depth < _DEEPEST else []:
        below = f"{place.rstrip('/')}/{each}"
        if is_folder(process, below) and process.files.target(below) is None:
            shown = f"{name.rstrip('/')}/{each}"
            lines += [*_below(process, shown, below, depth + 1), (shown, _used(process, below))]
    return lines


def _size(blocks: int) -> str:
    return f"{blocks / 1024:.1f}M" if blocks >= 1024 else f"{blocks / 1:.1f}K"


async def df(process: Process) -> int:
    """df [-h] [FILE]…: one file system, with what the files here take of it."""
    used = _used(process, "/")
    free = _DISK_BLOCKS - used
    if any("h" in word for word in process.arguments[1:] if word.startswith("-")):
        cells = f"{_DISK_BLOCKS / 1024**2:>8.1f}G {used / 1024:>8.1f}M {free / 1024**2:>8.1f}G"
        head = "Filesystem                Size      Used Available Use% Mounted on"
    else:
        cells = f"{_DISK_BLOCKS:>9} {used:>9} {free:>9}"
        head = "Filesystem           1K-blocks      Used Available Use% Mounted on"
    await process.print(f"{head}\n{'overlay':<20} {cells} {-(-used * 100 // _DISK_BLOCKS):>3}% /\n")
    return 0
