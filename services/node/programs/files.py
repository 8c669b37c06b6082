"""Programs that show files: cat, tee, ls."""

from podwire.services.node.files import FileError, normal
from podwire.services.node.pipes import Reader
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import UsageError, parse_options
from podwire.services.node.programs.filesystem import is_folder, open_to_read, open_to_write, read_file, write_file
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
        options = parse_options(process.arguments[1:], "1aAlhdRrtFn", {"color": "color:"})
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
    await process.print(_listing(process, plain, long="l" in options))
    for position, name in enumerate(folders):
        heading = f"{name}:\n" if len(names) > 1 else ""
        await process.print(("\n" if position or plain else "") + heading)
        await process.print(_folder(process, name, hidden="a" in options or "A" in options, long="l" in options))
    return code


def _exists(process: Process, name: str) -> bool:
    try:
        read_file(process, name)
    except FileError:
        return is_folder(process, name)
    return True


def _folder(process: Process, name: str, *, hidden: bool, long: bool) -> str:
    place = normal(name, process.folder)
    names = [each for each in process.files.entries(place) if hidden or not each.startswith(".")]
    total = f"total {len(names) * 4}\n" if long else ""
    return total + _listing(process, names, long=long, folder=place.rstrip("/") + "/")


def _listing(process: Process, names: list[str], *, long: bool, folder: str = "") -> str:
    if not long:
        return "".join(f"{name}\n" for name in names)
    return "".join(_long_line(process, folder + name, name) for name in names)


def _long_line(process: Process, path: str, name: str) -> str:
    if is_folder(process, path):
        return f"drwxr-xr-x    1 root     root          4096 Jan  1 00:00 {name}\n"
    return f"-rw-r--r--    1 root     root     {len(read_file(process, path)):9d} Jan  1 00:00 {name}\n"


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
        if is_folder(process, place) and not ("r" in options or "R" in options):
            await process.complain(f"rm: '{name}' is a directory")
            code = 1
        elif is_folder(process, place):
            _remove_tree(process, place)
        elif not process.files.remove(place) and "f" not in options:
            await process.complain(f"rm: can't remove '{name}': No such file or directory")
            code = 1
    return code


def _remove_tree(process: Process, place: str) -> None:
    """Removes the files below a folder; folders that were made stay."""
    waiting = [place]
    while waiting:
        folder = waiting.pop()
        for name in process.files.entries(folder):
            path = f"{folder.rstrip('/')}/{name}"
            if process.files.read(path) is None:
                waiting.append(path)
            else:
                process.files.remove(path)


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
