"""head and tail."""

import asyncio
import re
from collections import deque
from typing import Final

from podwire.services.node.files import normal
from podwire.services.node.pipes import Reader
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import UsageError, parse_options
from podwire.services.node.programs.inputs import CANNOT_OPEN, PLAIN, LineReader, all_lines, open_inputs
from podwire.services.node.programs.usage import refuse

_LARGEST: Final = 10**9
_UNITS: Final = {"": 1, "k": 1024, "K": 1024, "m": 1024**2, "M": 1024**2}
_POLL: Final = 1.0
"""Seconds between looks at a followed file (busybox tail)."""


def _count(text: str) -> int:
    match = re.fullmatch(r"(\d{1,9})([kKmM]?)", text)
    if match is None:
        raise UsageError(f"invalid number '{text}'")
    return min(int(match.group(1)) * _UNITS[match.group(2)], _LARGEST)


def _old_style(words: list[str]) -> list[str]:
    """-5 is -n 5."""
    return ["-n" + words[0][1:], *words[1:]] if words and re.fullmatch(r"-\d+", words[0]) else words


async def head(process: Process) -> int:
    """head [-n LINES|-c BYTES] [FILE]…"""
    try:
        options = parse_options(_old_style(process.arguments[1:]), "n:c:qv", {"lines": "n:", "bytes": "c:"})
        by_bytes = "c" in options
        text = options.value("c" if by_bytes else "n", "10")
        count, all_but = _count(text.lstrip("-")), text.startswith("-")
    except UsageError as error:
        return await refuse(process, error, "head [OPTIONS] [FILE]...")
    inputs, complete = await open_inputs(process, options.operands, PLAIN)
    for number, (name, reader) in enumerate(inputs):
        await _heading(process, name, number, show=(len(options.operands) > 1 and "q" not in options) or "v" in options)
        if by_bytes and not all_but:
            await _head_bytes(process, reader, count)
        elif by_bytes:
            data = b"".join(await all_lines(reader))
            await process.stdout.write(data[: max(len(data) - count, 0)])
        else:
            await _head_lines(process, reader, count, all_but=all_but)
    return int(not complete)


async def _heading(process: Process, name: str, number: int, *, show: bool) -> None:
    if show:
        shown = "standard input" if name == "-" else name
        await process.print(("\n" if number else "") + f"==> {shown} <==\n")


async def _head_bytes(process: Process, reader: Reader, count: int) -> None:
    while count and (data := await reader.read(min(count, 65536))):
        count -= len(data)
        await process.stdout.write(data)


async def _head_lines(process: Process, reader: Reader, count: int, *, all_but: bool) -> None:
    lines, held = LineReader(reader), deque[bytes]()
    while (all_but or count) and (line := await lines.next()):
        if not all_but:
            count -= 1
            await process.stdout.write(line)
            continue
        held.append(line)
        if len(held) > count:
            await process.stdout.write(held.popleft())


async def tail(process: Process) -> int:
    """tail [-n [+]LINES|-c [+]BYTES] [-f] [FILE]…"""
    try:
        options = parse_options(_old_style(process.arguments[1:]), "n:c:fFqvs:", {"lines": "n:", "bytes": "c:"})
        by_bytes = "c" in options
        text = options.value("c" if by_bytes else "n", "10")
        count, from_start = _count(text.lstrip("+-")), text.startswith("+")
    except UsageError as error:
        return await refuse(process, error, "tail [OPTIONS] [FILE]...")
    inputs, complete = await open_inputs(process, options.operands, CANNOT_OPEN)
    for number, (name, reader) in enumerate(inputs):
        await _heading(process, name, number, show=(len(options.operands) > 1 and "q" not in options) or "v" in options)
        await _tail(process, reader, count, by_bytes=by_bytes, from_start=from_start)
    names = [name for name, _ in inputs if name != "-"]
    if ("f" in options or "F" in options) and names:
        await _follow(process, names)
    return int(not complete)


async def _tail(process: Process, reader: Reader, count: int, *, by_bytes: bool, from_start: bool) -> None:
    if by_bytes:
        data = b"".join(await all_lines(reader))
        await process.stdout.write(data[max(count - 1, 0) :] if from_start else data[max(len(data) - count, 0) :])
        return
    lines = LineReader(reader)
    if from_start:
        number = 0
        while line := await lines.next():
            number += 1
            if number >= count:
                await process.stdout.write(line)
        return
    last: deque[bytes] = deque(maxlen=count)
    while line := await lines.next():
        last.append(line)
    await process.stdout.write(b"".join(last))


async def _follow(process: Process, names: list[str]) -> None:
    paths = [normal(name, process.folder) for name in names]
    sizes = [len(process.files.read(path) or b"") for path in paths]
    while True:
        await asyncio.sleep(_POLL)
        for number, path in enumerate(paths):
            data = process.files.read(path) or b""
            if len(data) != sizes[number]:
                await process.stdout.write(data[sizes[number] :] if len(data) > sizes[number] else data)
                sizes[number] = len(data)
