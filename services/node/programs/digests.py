"""md5sum and its kind, and base64."""

import base64 as codec
import binascii
import hashlib
from typing import Final

from podwire.services.node.pipes import read_all
from podwire.services.node.process import Process, Program
from podwire.services.node.programs.arguments import UsageError, parse_options
from podwire.services.node.programs.inputs import CANNOT_OPEN, open_inputs
from podwire.services.node.programs.usage import refuse

_LINE: Final = 76


def digest_program(algorithm: str) -> Program:
    """`md5sum`, `sha256sum` …: sums of files, or with -c whether the files of a list still have theirs."""

    async def run(process: Process) -> int:
        try:
            options = parse_options(process.arguments[1:], "csw", {"check": "c", "status": "s", "quiet": "q"})
        except UsageError as error:
            return await refuse(process, error, f"{algorithm}sum [-c[sw]] [FILE]...")
        inputs, complete = await open_inputs(process, options.operands, CANNOT_OPEN)
        if "c" in options:
            lists = [(await read_all(reader)).decode(errors="replace") for _, reader in inputs]
            return await _check(process, algorithm, "".join(lists).splitlines(), quiet="s" in options)
        for name, reader in inputs:
            await process.print(f"{hashlib.new(algorithm, await read_all(reader)).hexdigest()}  {name}\n")
        return int(not complete)

    return run


async def _check(process: Process, algorithm: str, lines: list[str], *, quiet: bool) -> int:
    failed = 0
    for line in lines:
        wanted, _, name = line.partition(" ")
        name = name[1:]
        inputs, readable = await open_inputs(process, [name], CANNOT_OPEN)
        fits = readable and hashlib.new(algorithm, await read_all(inputs[0][1])).hexdigest() == wanted.lower()
        failed += not fits
        if not quiet:
            await process.print(f"{name}: {'OK' if fits else 'FAILED'}\n")
    if failed and not quiet:
        tool = process.arguments[0].rpartition("/")[2]
        await process.complain(f"{tool}: WARNING: {failed} of {len(lines)} computed checksums did NOT match")
    return int(failed > 0)


async def base64(process: Process) -> int:
    """base64 [-d] [-w COLUMNS] [FILE]"""
    try:
        options = parse_options(process.arguments[1:], "dw:", {"decode": "d", "wrap": "w:"})
        columns = int(options.value("w", str(_LINE)))
        if columns < 0:
            raise UsageError(f"invalid number '{columns}'")
    except (UsageError, ValueError) as error:
        return await refuse(process, error, "base64 [-d] [-w COL] [FILE]")
    inputs, complete = await open_inputs(process, options.operands[:1], CANNOT_OPEN)
    data = b"".join([await read_all(reader) for _, reader in inputs])
    if "d" in options:
        return await _decode(process, data) or int(not complete)
    text = codec.b64encode(data).decode()
    width = columns or max(len(text), 1)
    lines = [text[at : at + width] for at in range(0, len(text), width)]
    await process.print("\n".join(lines) + ("\n" if columns and lines else ""))
    return int(not complete)


async def _decode(process: Process, data: bytes) -> int:
    try:
        await process.stdout.write(codec.b64decode(b"".join(data.split()), validate=True))
    except (binascii.Error, ValueError):
        await process.complain("base64: truncated input")
        return 1
    return 0
