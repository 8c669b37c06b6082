"""agnhost mounttest (mounttest/mt.go): prints files, their modes and owners."""

import asyncio
from typing import Final

from podwire.services.chassis.clock import SECOND
from podwire.services.node.files import FileError
from podwire.services.node.images.agnhost.options import number, read_options
from podwire.services.node.process import Process
from podwire.services.node.programs.filesystem import exists, is_folder, mode_of, read_file, write_file

_NEW: Final = "mount-tester new file\n"
_NEW_FILES: Final = {"new_file_0644": 0o644, "new_file_0666": 0o666, "new_file_0660": 0o660, "new_file_0777": 0o777}
_NAMES: Final = ("fs_type", "file_mode", "file_perm", "file_owner", "file_content", "file_content_in_loop")
_PAUSE: Final = 2
"""Seconds between two looks at a file."""


async def mounttest(process: Process) -> int:
    """mounttest [--file_content PATH] [--file_mode PATH] [--new_file_0644 PATH] …; 1 if anything failed."""
    flags = dict.fromkeys((*_NAMES, *_NEW_FILES), "")
    options = read_options(process.arguments[1:], {**flags, "retry_time": "180", "break_on_expected_content": "?true"})
    lines = []
    if path := options.value("fs_type"):
        lines.append(f'mount type of "{path}": tmpfs\n' if exists(process, path) else _missing("lstat", path))
    for name, mode in _NEW_FILES.items():
        if path := options.value(name):
            lines.append(_new_file(process, path, mode))
    lines += _described(process, options.value("file_mode"), "mode of file")
    lines += _described(process, options.value("file_perm"), "perms of file")
    if path := options.value("file_owner"):
        lines.append(f'owner UID of "{path}": 0\nowner GID of "{path}": 0\n')
    if path := options.value("file_content"):
        lines.append(_content(process, path))
    await process.print("".join(lines))
    failed = any(line.startswith("error") for line in lines)
    if path := options.value("file_content_in_loop"):
        retry, stop = number(options, "retry_time"), options.value("break_on_expected_content") == "true"
        failed = not await _watch(process, path, retry, stop_early=stop) or failed
    return int(failed)


def _missing(call: str, path: str) -> str:
    return f'error with {call} "{path}": {call} {path}: no such file or directory\n'


def _content(process: Process, path: str) -> str:
    try:
        return f'content of file "{path}": {read_file(process, path).decode(errors="replace")}\n'
    except FileError as error:
        reason = (error.strerror or "").lower()
        return f'error reading file content for "{path}": open {path}: {reason}\n'


def _new_file(process: Process, path: str, mode: int) -> str:
    try:
        write_file(process, path, _NEW.encode(), mode)
    except FileError as error:
        return f'error writing new file "{path}": open {path}: {(error.strerror or "").lower()}\n'
    return _content(process, path)


def _described(process: Process, path: str, what: str) -> list[str]:
    if not path:
        return []
    if not exists(process, path):
        return [_missing("Lstat", path)]
    return [f'{what} "{path}": {_mode_text(process, path)}\n']


def _mode_text(process: Process, path: str) -> str:
    """fs.FileMode's text: `drwxrwxrwx` for folders, a dash in front of files."""
    bits = "".join(letter if mode_of(process, path) >> (8 - at) & 1 else "-" for at, letter in enumerate("rwxrwxrwx"))
    return ("d" if is_folder(process, path) else "-") + bits


async def _watch(process: Process, path: str, retry: int, *, stop_early: bool) -> bool:
    """Prints a file every two seconds; whether the last look found it."""
    end = process.clock.monotonic_ns() + retry * SECOND
    found = True
    while process.clock.monotonic_ns() < end:
        try:
            text = read_file(process, path).decode(errors="replace")
            found = True
            await process.print(f'content of file "{path}": {text}\n')
            if stop_early and text == _NEW:
                return True
        except FileError as error:
            found = False
            reason = (error.strerror or "").lower()
            await process.print(f"Error reading file {path}: open {path}: {reason}, retrying\n")
        await asyncio.sleep(_PAUSE)
    return found
