"""cp, mv, ln, rmdir, chmod, truncate."""

import re
from collections.abc import Callable
from typing import Final

from podwire.services.node.files import FileError, normal
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import Options, UsageError, parse_options
from podwire.services.node.programs.filesystem import exists, failure, is_folder, mode_of, read_file, write_file
from podwire.services.node.programs.usage import refuse

_DEEPEST: Final = 60
_SIZES: Final = {"": 1, "k": 1024, "K": 1024, "M": 1024**2, "G": 1024**3}


Action = Callable[[Process, Options, str, str], str]


def _targets(process: Process, operands: list[str], usage: str) -> list[tuple[str, str]]:
    """(from, to) of each operand but the last. Raises UsageError and FileError."""
    if len(operands) < 2:
        raise UsageError(usage)
    *sources, last = operands
    if is_folder(process, last):
        return [(source, f"{last.rstrip('/')}/{source.rstrip('/').rpartition('/')[2]}") for source in sources]
    if len(sources) > 1:
        raise FileError(20, "Not a directory", last)
    return [(sources[0], last)]


def copy(process: Process, source: str, target: str, depth: int = 0) -> None:
    """Copies a file, or a folder and everything below it. Raises FileError."""
    place = normal(source, process.folder)
    if not is_folder(process, place):
        write_file(process, target, read_file(process, place), mode_of(process, place))
        return
    inside = normal(target, process.folder).startswith(place.rstrip("/") + "/")
    if depth > _DEEPEST or inside:
        raise FileError(22, "Invalid argument")
    process.files.make_folder(normal(target, process.folder))
    for name in process.files.entries(place):
        copy(process, f"{place.rstrip('/')}/{name}", f"{target.rstrip('/')}/{name}", depth + 1)


async def cp(process: Process) -> int:
    """cp [-rapf] FILE… TARGET"""
    return await _each(process, "rRapfdvLPiT", "cp [-arPLHpfinlsTu] SOURCE DEST", _copy_one)


def _copy_one(process: Process, options: Options, source: str, target: str) -> str:
    if not exists(process, source):
        return f"cp: can't stat '{source}': No such file or directory"
    if is_folder(process, source) and not any(letter in options for letter in "rRa"):
        return f"cp: omitting directory '{source}'"
    copy(process, source, target)
    return ""


async def mv(process: Process) -> int:
    """mv [-f] FILE… TARGET"""
    return await _each(process, "finvT", "mv [-finT] SOURCE... DIRECTORY", _move_one)


def _move_one(process: Process, options: Options, source: str, target: str) -> str:
    place = normal(source, process.folder)
    link = process.files.target(place)
    if link is None and not exists(process, place):
        return f"mv: can't rename '{source}': No such file or directory"
    if place == normal(target, process.folder):
        return f"mv: '{source}' and '{target}' are the same file"
    if link is not None:
        process.files.link(normal(target, process.folder), link)
        process.files.remove(place)
        return ""
    copy(process, source, target)
    remove_tree(process, place)
    return ""


def remove_tree(process: Process, place: str, depth: int = 0) -> None:
    """Removes a file, or a folder and everything below it. Raises FileError."""
    files = process.files
    if files.target(place) is not None or not files.is_folder(place):
        files.remove(place)
        return
    if depth > _DEEPEST:
        raise FileError(36, "File name too long")
    for name in files.entries(place):
        remove_tree(process, f"{place.rstrip('/')}/{name}", depth + 1)
    files.remove_folder(place)


async def _each(process: Process, letters: str, usage: str, act: Action) -> int:
    tool, code = process.arguments[0].rpartition("/")[2], 0
    try:
        options = parse_options(process.arguments[1:], letters)
        pairs = _targets(process, options.operands, "two operands at least")
    except UsageError as error:
        return await refuse(process, error, usage)
    except FileError as error:
        await process.complain(f"{tool}: {error.filename}: {error.strerror}")
        return 1
    for source, target in pairs:
        try:
            complaint = act(process, options, source, target)
        except FileError as error:
            complaint = f"{tool}: can't create '{target}': {error.strerror}"
        if complaint:
            await process.complain(complaint)
            code = 1
    return code


async def ln(process: Process) -> int:
    """ln -s [-f] [-n] TARGET [LINK]; hard links are not built."""
    try:
        options = parse_options(process.arguments[1:], "sfnvT")
        if not 1 <= len(options.operands) <= 2:
            raise UsageError("a target and a name")
    except UsageError as error:
        return await refuse(process, error, "ln [-sfnbtv] [-S SUF] TARGET... LINK|DIR")
    if "s" not in options:
        await process.complain("ln: hard links are not built here: use -s")
        return 1
    target = options.operands[0]
    name = options.operands[1] if len(options.operands) > 1 else "."
    place = normal(name, process.folder)
    is_link = process.files.target(place) is not None
    if is_folder(process, place) and not (is_link and "n" in options):
        place = f"{place.rstrip('/')}/{target.rstrip('/').rpartition('/')[2]}"
    if process.files.target(place) is not None or exists(process, place):
        if "f" not in options:
            await process.complain(f"ln: {name}: File exists")
            return 1
        process.files.remove(place)
    process.files.link(place, target)
    return 0


async def rmdir(process: Process) -> int:
    """rmdir [-p] FOLDER…"""
    code = 0
    for name in [word for word in process.arguments[1:] if not word.startswith("-")]:
        try:
            if not exists(process, name):
                raise failure(2)
            if not is_folder(process, name):
                raise failure(20)
            process.files.remove_folder(normal(name, process.folder))
        except FileError as error:
            await process.complain(f"rmdir: '{name}': {error.strerror}")
            code = 1
    return code


async def chmod(process: Process) -> int:
    """chmod [-R] MODE FILE…"""
    words = [word for word in process.arguments[1:] if word not in ("-R", "-v", "-f")]
    if len(words) < 2:
        return await refuse(process, UsageError("a mode and a file"), "chmod [-Rcvf] MODE[,MODE]... FILE...")
    code = 0
    waiting = words[1:]
    while waiting:
        name = waiting.pop(0)
        if not exists(process, name):
            await process.complain(f"chmod: {name}: No such file or directory")
            code = 1
            continue
        mode = changed_mode(words[0], mode_of(process, name), is_folder=is_folder(process, name))
        if mode is None:
            await process.complain(f"chmod: invalid mode '{words[0]}'")
            return 1
        process.files.change_mode(normal(name, process.folder), mode)
        if "-R" in process.arguments and is_folder(process, name):
            entries = process.files.entries(normal(name, process.folder))
            waiting += [f"{name.rstrip('/')}/{each}" for each in entries]
    return code


def changed_mode(text: str, before: int, *, is_folder: bool) -> int | None:
    """The mode that an octal or symbolic mode makes of another, None if it is none (chmod(1))."""
    if re.fullmatch(r"[0-7]{1,4}", text):
        return int(text, 8)
    mode = before
    for clause in text.split(","):
        match = re.fullmatch(r"([ugoa]*)([-+=])([rwxXst]*)", clause)
        if match is None:
            return None
        who = match.group(1).replace("a", "ugo") or "ugo"
        mask = sum(0o7 << {"u": 6, "g": 3, "o": 0}[each] for each in dict.fromkeys(who))
        letters = match.group(3)
        bits = sum({"r": 4, "w": 2, "x": 1}[each] for each in dict.fromkeys(letters) if each in "rwx")
        bits |= "X" in letters and (is_folder or bool(before & 0o111))
        change = bits * 0o111 & mask
        mode = mode | change if match.group(2) == "+" else mode & ~change
        mode = mode & ~mask | change if match.group(2) == "=" else mode
    return mode


async def truncate(process: Process) -> int:
    """truncate -s SIZE FILE…"""
    try:
        options = parse_options(process.arguments[1:], "cs:")
        match = re.fullmatch(r"(\d{1,9})([kKMG]?)", options.value("s"))
        if match is None or not options.operands:
            raise UsageError(f"invalid number '{options.value('s')}'")
    except UsageError as error:
        return await refuse(process, error, "truncate [-c] -s SIZE FILE...")
    size, code = int(match.group(1)) * _SIZES[match.group(2)], 0
    for name in options.operands:
        try:
            if size > 16 * 1024**2:
                raise failure(27)
            data = read_file(process, name) if exists(process, name) else b""
            write_file(process, name, data[:size].ljust(size, b"\0"))
        except FileError as error:
            await process.complain(f"truncate: {name}: open: {error.strerror}")
            code = 1
    return code
