"""basename, dirname, realpath, readlink, which, mktemp."""

import re
from typing import Final

from podwire.services.node.files import FileError, normal
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import UsageError, parse_options
from podwire.services.node.programs.filesystem import exists, is_folder, write_file
from podwire.services.node.programs.usage import refuse
from podwire.services.node.runtime.programs import find_program

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


async def basename(process: Process) -> int:
    """basename PATH [SUFFIX]"""
    words = [word for word in process.arguments[1:] if word != "--"]
    if not words:
        return await refuse(process, UsageError("missing operand"), "basename FILE [SUFFIX]")
    name = words[0].rstrip("/").rpartition("/")[2] or ("/" if words[0] else "")
    suffix = words[1] if len(words) > 1 else ""
    await process.print((name.removesuffix(suffix) if name != suffix else name) + "\n")
    return 0


async def dirname(process: Process) -> int:
    """dirname PATH"""
    if len(process.arguments) != 2:
        return await refuse(process, UsageError("one path is needed"), "dirname FILENAME")
    path = process.arguments[1].rstrip("/")
    folder, slash, _ = path.rpartition("/")
    await process.print((folder.rstrip("/") or ("/" if slash or not path else ".")) + "\n")
    return 0


async def realpath(process: Process) -> int:
    """realpath FILE…"""
    code = 0
    for word in process.arguments[1:]:
        place = process.files.resolve(normal(word, process.folder))
        if exists(process, place) or is_folder(process, place.rpartition("/")[0] or "/"):
            await process.print(f"{place}\n")
        else:
            await process.complain(f"realpath: {word}: No such file or directory")
            code = 1
    return code


async def readlink(process: Process) -> int:
    """readlink [-f] FILE"""
    options = parse_options(process.arguments[1:], "fnve")
    for word in options.operands:
        place = normal(word, process.folder)
        found = process.files.resolve(place) if "f" in options else process.files.target(place)
        if found is None:
            return 1
        await process.print(found + ("" if "n" in options else "\n"))
    return 0


async def which(process: Process) -> int:
    """which NAME…"""
    code = 0
    for word in process.arguments[1:]:
        if dict.get(process.programs, word.rpartition("/")[2]) is not None and find_program(process.programs, word):
            await process.print((word if "/" in word else f"/bin/{word}") + "\n")
        else:
            code = 1
    return code


async def mktemp(process: Process) -> int:
    """mktemp [-d] [-p FOLDER] [TEMPLATE]"""
    try:
        options = parse_options(process.arguments[1:], "dqup:t")
        template = options.operands[0] if options.operands else "/tmp/tmp.XXXXXX"
        match = re.fullmatch(r"(.*?)(X{6,})", template)
        if match is None:
            raise UsageError(f"Invalid argument: {template}")
    except UsageError as error:
        return await refuse(process, error, "mktemp [-dt] [-p DIR] [TEMPLATE]")
    end = "".join(_LETTERS[process.random.getrandbits(16) % len(_LETTERS)] for _ in match.group(2))
    name = match.group(1) + end
    name = f"{options.value('p')}/{name}" if "p" in options and "/" not in name else name
    try:
        if "d" in options:
            process.files.make_folder(normal(name, process.folder))
        else:
            write_file(process, name, b"", 0o600)
    except FileError as error:
        await process.complain(f"mktemp: {template}: {error.strerror}")
        return 1
    await process.print(f"{name}\n")
    return 0
