"""Programs that show files: cat, tee, ls."""

from typing import Final

from podwire.services.node.files import FileError, normal
from podwire.services.node.pipes import Reader
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import Options, UsageError, parse_options
from podwire.services.node.programs.file_changes import remove_tree
from podwire.services.node.programs.filesystem import (
    exists,
    is_folder,
    mode_of,
    open_to_read,
    open_to_write,
    read_file,
    write_file,
)
from podwire.services.node.programs.stat import mode_text
from podwire.services.node.programs.usage import refuse


async def cat(process: Process) -> int:
    """cat [-n] [FILE]…"""
    try:
        options = parse_options(process.arguments[1:], "nuvet")
    except UsageError as error:
        return await refuse(process, error, "cat [-n] [FILE]...")
    code, number = 0, 0
    for name in options.operands or ["-"]:
        try:
            reader = process.stdin if name == "-" else open_to_read(process, name)
        except FileError as error:
            what = "read error" if is_folder(process, name) else f"can't open '{name}'"
            await process.complain(f"cat: {what}: {error.strerror}")
            code = 1
            continue
        number = await _copy(process, reader, numbered="n" in options, number=number)
    return code


async def _copy(process: Process, reader: Reader, *, numbered: bool, number: int) -> int:
    at_start = True
    while data := await reader.read():
        if numbered:
            lines = data.splitlines(keepends=True)
            data = b""
            for line in lines:
                number += at_start
                data += (f"{number:6d}\t".encode() if at_start else b"") + line
                at_start = line.endswith(b"\n")
        await process.stdout.write(data)
    return number


async def tee(process: Process) -> int:
    """tee [-a] [FILE]…"""
    try:
        options = parse_options(process.arguments[1:], "ai")
    except UsageError as error:
        return await refuse(process, error, "tee [-ai] [FILE]...")
    writers, code = [process.stdout], 0
    for name in options.operands:
        try:
            writers.append(open_to_write(process, name, append="a" in options))
        except FileError as error:
            await process.complain(f"tee: {name}: {error.strerror}")
            code = 1
    while data := await process.stdin.read():
        for writer in writers:
            await writer.write(data)
    return code


async def ls(process: Process) -> int:
    """ls [-1aAlhd] [FILE]…, sorted by name; owner root, times unknown."""
    try:
        options = parse_options(process.arguments[1:], "1aAlhdRrtFnpSLis", {"color": "color"})
    except UsageError as error:
        return await refuse(process, error, "ls [-1AaCxdLHRFplinshrSXvctu] [-w WIDTH] [FILE]...")
    names, code = options.operands or ["."], 0
    folders, plain = [], []
    for name in names:
        if is_folder(process, name) and "d" not in options:
            folders.append(name)
        elif _exists(process, name):
            plain.append(name)
        else:
            await process.complain(f"ls: {name}: No such file or directory")
            code = 1
    await process.print(_listing(process, options, plain))
    waiting = [(name, len(names) > 1 or "R" in options) for name in folders]
    first = not plain
    while waiting:
        name, with_heading = waiting.pop(0)
        heading = f"{name}:\n" if with_heading else ""
        await process.print(("" if first else "\n") + heading + _folder(process, options, name))
        first = False
        if "R" in options:
            place = normal(name, process.folder)
            entries = [each for each in process.files.entries(place) if "a" in options or not each.startswith(".")]
            below = [f"{name.rstrip('/')}/{each}" for each in entries]
            real = [path for path in below if is_folder(process, path) and not _link(process, path)]
            waiting = [(path, True) for path in real if path.count("/") < _DEEPEST] + waiting
    return code


_DEEPEST: Final = 60


def _exists(process: Process, name: str) -> bool:
    return exists(process, name) or _link(process, name) is not None


def _link(process: Process, path: str) -> str | None:
    return process.files.target(normal(path, process.folder))


def _folder(process: Process, options: Options, name: str) -> str:
    place = normal(name, process.folder)
    hidden = "a" in options or "A" in options
    names = [each for each in process.files.entries(place) if hidden or not each.startswith(".")]
    names = [".", "..", *names] if "a" in options else names
    total = f"total {len(names) * 4}\n" if "l" in options else ""
    return total + _listing(process, options, names, folder=place.rstrip("/") + "/")


def _listing(process: Process, options: Options, names: list[str], *, folder: str = "") -> str:
    if "S" in options:
        names = sorted(names, key=lambda name: -_size(process, folder + name))
    names = names[::-1] if "r" in options else names
    if "l" in options:
        return "".join(_long_line(process, options, folder + name, name) for name in names)
    return "".join(f"{name}{_mark(process, options, folder + name)}\n" for name in names)


def _mark(process: Process, options: Options, path: str) -> str:
    """What -F and -p put behind a name."""
    if "F" in options and _link(process, path) is not None:
        return "@"
    if is_folder(process, path):
        return "/" if "F" in options or "p" in options else ""
    return "*" if "F" in options and mode_of(process, path) & 0o111 else ""


def _size(process: Process, path: str) -> int:
    link = _link(process, path)
    if link is not None:
        return len(link)
    return 4096 if is_folder(process, path) else len(read_file(process, path))


def _long_line(process: Process, options: Options, path: str, name: str) -> str:
    link, size = _link(process, path), _size(process, path)
    shown = f"{size / 1024:.1f}K" if "h" in options and size >= 1024 else str(size)
    owner = "0        0       " if "n" in options else "root     root    "
    target = f" -> {link}" if link is not None else _mark(process, options, path)
    return f"{mode_text(process, path)}    1 {owner} {shown:>9} Jan  1 00:00 {name}{target}\n"


async def mkdir(process: Process) -> int:
    """mkdir [-p] FOLDER…"""
    try:
        options = parse_options(process.arguments[1:], "pm:")
    except UsageError as error:
        return await refuse(process, error, "mkdir [-m MODE] [-p] DIRECTORY...")
    code = 0
    for name in options.operands:
        place = normal(name, process.folder)
        parent = place.rpartition("/")[0] or "/"
        reason = ""
        if _exists(process, place) and "p" not in options:
            reason = "File exists"
        elif not is_folder(process, parent) and "p" not in options:
            reason = "No such file or directory"
        if reason:
            await process.complain(f"mkdir: can't create directory '{name}': {reason}")
            code = 1
        else:
            process.files.make_folder(place)
    return code


async def rm(process: Process) -> int:
    """rm [-rf] FILE…"""
    try:
        options = parse_options(process.arguments[1:], "rRfi")
    except UsageError as error:
        return await refuse(process, error, "rm [-irf] FILE...")
    code = 0
    for name in options.operands:
        place = normal(name, process.folder)
        is_real = is_folder(process, place) and process.files.target(place) is None
        if is_real and not ("r" in options or "R" in options):
            await process.complain(f"rm: '{name}' is a directory")
            code = 1
        elif is_real:
            remove_tree(process, place)
        elif not process.files.remove(place) and "f" not in options:
            await process.complain(f"rm: can't remove '{name}': No such file or directory")
            code = 1
    return code


async def touch(process: Process) -> int:
    """touch FILE…: makes what is not there; times are not kept."""
    code = 0
    for name in process.arguments[1:]:
        try:
            if not name.startswith("-") and not _exists(process, name):
                write_file(process, name, b"")
        except FileError as error:
            await process.complain(f"touch: {name}: {error.strerror}")
            code = 1
    return code
