"""dd: blocks from one file to another (POSIX.1-2017, dd)."""

import re
from dataclasses import dataclass
from typing import Final

from podwire.services.chassis.clock import SECOND
from podwire.services.node.files import FileError
from podwire.services.node.pipes import Reader
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import UsageError
from podwire.services.node.programs.filesystem import BytesReader, open_to_read, open_to_write, read_file, write_file
from podwire.services.node.programs.usage import refuse

_UNITS: Final = {"": 1, "c": 1, "w": 2, "b": 512, "k": 1024, "K": 1024, "kB": 1000, "M": 1024**2, "MB": 10**6}
_MOST: Final = 64 * 1024 * 1024
"""Bytes that one run copies at most: files live in the machine's memory."""
_BUILT: Final = ("if", "of", "bs", "count", "skip", "seek", "status", "conv")


@dataclass(frozen=True, slots=True)
class _Call:
    source: str
    target: str
    size: int
    count: int | None
    skip: int
    seek: int
    silent: bool
    keep: bool


def _number(values: dict[str, str], name: str, default: str) -> int:
    text = values.get(name, default)
    match = re.fullmatch(r"(\d{1,9})([a-zA-Z]{0,2})", text)
    if match is None or match.group(2) not in _UNITS:
        raise UsageError(f"invalid number '{text}'")
    return int(match.group(1)) * _UNITS[match.group(2)]


def _parse(words: list[str]) -> _Call:
    """Raises UsageError."""
    values: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name not in _BUILT:
            raise UsageError(f"operand '{word}' is not built in podwire: {', '.join(_BUILT)} are")
        values[name] = value
    conversions = values.get("conv", "").split(",") if "conv" in values else []
    if any(each not in ("notrunc", "fsync") for each in conversions):
        raise UsageError(f"conv={values['conv']} is not built in podwire: notrunc and fsync are")
    size = _number(values, "bs", "512")
    if not 0 < size <= _MOST:
        raise UsageError(f"invalid number '{values.get('bs')}'")
    return _Call(
        source=values.get("if", ""),
        target=values.get("of", ""),
        size=size,
        count=_number(values, "count", "0") if "count" in values else None,
        skip=_number(values, "skip", "0"),
        seek=_number(values, "seek", "0"),
        silent=values.get("status") in ("none", "noxfer"),
        keep="notrunc" in conversions,
    )


async def dd(process: Process) -> int:
    """dd [if=FILE] [of=FILE] [bs=N] [count=N] [skip=N] [seek=N] [conv=notrunc] [status=none]"""
    try:
        call = _parse(process.arguments[1:])
        if call.count is not None and call.count * call.size > _MOST:
            raise UsageError(f"more than {_MOST} bytes at once are not built in podwire")
    except UsageError as error:
        return await refuse(process, error, "dd [if=FILE] [of=FILE] [bs=N] [count=N] [skip=N] [seek=N]")
    try:
        return await _copy(process, call)
    except FileError as error:
        name = call.source if error.filename == "source" else call.target
        await process.complain(f"dd: can't open '{name}': {error.strerror}")
        return 1


def _opened(process: Process, path: str) -> Reader:
    if not path:
        return process.stdin
    try:
        return open_to_read(process, path)
    except FileError as error:
        error.filename = "source"
        raise


async def _block(reader: Reader, size: int, *, full: bool) -> bytes:
    """What one read gives; a file gives whole blocks."""
    data = await reader.read(size)
    while full and data and len(data) < size and (more := await reader.read(size - len(data))):
        data += more
    return data


async def _copy(process: Process, call: _Call) -> int:
    reader, begun = _opened(process, call.source), process.clock.monotonic_ns()
    is_file = isinstance(reader, BytesReader)
    for _ in range(call.skip):
        if not await _block(reader, call.size, full=is_file):
            break
    kept = read_file(process, call.target) if call.target and (call.seek or call.keep) else b""
    output, whole, part = bytearray(), 0, 0
    writer = None if call.target else process.stdout
    while call.count is None or whole + part < call.count:
        data = await _block(reader, call.size, full=is_file)
        if not data or len(output) > _MOST:
            break
        whole, part = (whole + 1, part) if len(data) == call.size else (whole, part + 1)
        if writer is not None:
            await writer.write(data)
        output += data
    if call.target:
        _store(process, call, bytes(output), kept)
    if not call.silent:
        seconds = (process.clock.monotonic_ns() - begun) / SECOND
        text = f"{whole}+{part} records in\n{whole}+{part} records out\n{len(output)} bytes"
        await process.complain(
            f"{text} ({_human(len(output))}) copied, {seconds:.6f} seconds, {_rate(output, seconds)}"
        )
    return 0


def _store(process: Process, call: _Call, data: bytes, kept: bytes) -> None:
    at = call.seek * call.size
    before = kept[:at].ljust(at, b"\0")
    after = kept[at + len(data) :] if call.keep else b""
    if call.target.startswith("/dev/"):
        open_to_write(process, call.target, append=False)
    else:
        write_file(process, call.target, before + data + after)


def _human(size: float) -> str:
    for unit in ("B", "KB", "MB"):
        if size < 1024:
            return f"{size:.1f}{unit}"
        size /= 1024
    return f"{size:.1f}GB"


def _rate(data: bytes | bytearray, seconds: float) -> str:
    return f"{_human(len(data) / seconds) if seconds else '0B'}/s"
