"""od, hexdump and xxd: the forms that people use."""

from collections.abc import Callable
from typing import Final

from podwire.services.node.pipes import read_all
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import UsageError, parse_options
from podwire.services.node.programs.inputs import CANNOT_OPEN, open_inputs
from podwire.services.node.programs.usage import refuse

_ROW: Final = 16
_NAMED: Final = {0: "\\0", 7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r"}
_ADDRESSES: Final[dict[str, Callable[[int], str]]] = {
    "o": lambda at: f"{at:07o}",
    "x": lambda at: f"{at:06x}",
    "d": lambda at: f"{at:07d}",
    "n": lambda at: "",
}


async def _data(process: Process, names: list[str]) -> tuple[bytes, bool]:
    inputs, complete = await open_inputs(process, names, CANNOT_OPEN)
    return b"".join([await read_all(reader) for _, reader in inputs]), complete


def _words(row: bytes, size: int, form: str) -> str:
    padded = row + bytes(-len(row) % size)
    values = [int.from_bytes(padded[at : at + size], "little") for at in range(0, len(padded), size)]
    return "".join(f" {value:{form}}" for value in values)


def _letter(octet: int) -> str:
    shown = _NAMED.get(octet) or (chr(octet) if 32 <= octet < 127 else f"{octet:03o}")
    return shown.rjust(4)


_OD: Final[dict[str, Callable[[bytes], str]]] = {
    "c": lambda row: "".join(map(_letter, row)),
    "x": lambda row: _words(row, 2, "04x"),
    "x2": lambda row: _words(row, 2, "04x"),
    "x1": lambda row: _words(row, 1, "02x"),
    "x4": lambda row: _words(row, 4, "08x"),
    "o": lambda row: _words(row, 2, "06o"),
    "o1": lambda row: _words(row, 1, "03o"),
    "u1": lambda row: _words(row, 1, "3d"),
    "d1": lambda row: "".join(f" {value - 256 * (value > 127):4d}" for value in row),
    "u2": lambda row: _words(row, 2, "5d"),
}


async def od(process: Process) -> int:
    """od [-c | -x | -t c|x1|x2|x4|o1|u1|u2|d1] [-A o|x|d|n] [-N COUNT] [FILE]…"""
    try:
        options = parse_options(process.arguments[1:], "cxobvA:t:N:")
        form = options.value("t") or next((each for each in "cx" if each in options), "o1" if "b" in options else "o")
        address = _ADDRESSES.get(options.value("A", "o"))
        if form not in _OD or address is None:
            raise UsageError(f"invalid output type string '{form}'" if form not in _OD else "bad output address radix")
        count = int(options.value("N", "-1"))
    except (UsageError, ValueError) as error:
        return await refuse(process, error, "od [-abcdfhilovxs] [-t TYPE] [-A RADIX] [-N SIZE] [FILE]...")
    data, complete = await _data(process, options.operands)
    data = data if count < 0 else data[:count]
    rows = [data[at : at + _ROW] for at in range(0, len(data), _ROW)]
    lines = _folded([(address(at * _ROW), _OD[form](row)) for at, row in enumerate(rows)], every="v" in options)
    await process.print("".join(f"{line}\n" for line in [*lines, address(len(data))] if line))
    return int(not complete)


def _folded(rows: list[tuple[str, str]], *, every: bool) -> list[str]:
    """Rows that repeat become one `*`."""
    lines: list[str] = []
    last = None
    for head, body in rows:
        if body != last or every:
            lines.append(head + body)
        elif lines[-1] != "*":
            lines.append("*")
        last = body
    return lines


async def hexdump(process: Process) -> int:
    """hexdump [-C] [-n COUNT] [FILE]…"""
    try:
        options = parse_options(process.arguments[1:], "Cvn:")
        count = int(options.value("n", "-1"))
    except (UsageError, ValueError) as error:
        return await refuse(process, error, "hexdump [-bcdoxCv] [-n LEN] [FILE]...")
    data, complete = await _data(process, options.operands)
    data = data if count < 0 else data[:count]
    rows = [(at, data[at : at + _ROW]) for at in range(0, len(data), _ROW)]
    if "C" in options:
        shown = [(f"{at:08x}  ", f"{_pairs(row)}  |{_text(row)}|") for at, row in rows]
        lines = [*_folded(shown, every="v" in options), *([f"{len(data):08x}"] if data else [])]
    else:
        shown = [(f"{at:07x}", _words(row, 2, "04x").ljust(40)) for at, row in rows]
        lines = [line.ljust(47) if line != "*" else line for line in _folded(shown, every="v" in options)]
        lines += [f"{len(data):07x}"] if data else []
    await process.print("".join(f"{line}\n" for line in lines))
    return int(not complete)


def _pairs(row: bytes) -> str:
    return (row[:8].hex(" ").ljust(23) + "  " + row[8:].hex(" ")).ljust(48)


def _text(row: bytes) -> str:
    return "".join(chr(octet) if 32 <= octet < 127 else "." for octet in row)


async def xxd(process: Process) -> int:
    """xxd [-p] [-r -p] [-l COUNT] [FILE]"""
    try:
        options = parse_options(process.arguments[1:], "prl:c:")
        count = int(options.value("l", "-1"), 0)
    except (UsageError, ValueError) as error:
        return await refuse(process, error, "xxd [-ps] [-g N] [-c N] [-l LEN] [-s OFS] [FILE]")
    data, complete = await _data(process, options.operands)
    if "r" in options:
        return await _reverse(process, data, plain="p" in options)
    data = data if count < 0 else data[:count]
    if "p" in options:
        text = data.hex()
        await process.print("".join(f"{text[at : at + 60]}\n" for at in range(0, len(text), 60)))
        return int(not complete)
    lines = []
    for at in range(0, len(data), _ROW):
        row = data[at : at + _ROW]
        lines.append(f"{at:08x}: {row.hex(' ', -2).ljust(39)}  {_text(row)}\n")
    await process.print("".join(lines))
    return int(not complete)


async def _reverse(process: Process, data: bytes, *, plain: bool) -> int:
    text = data.decode("latin-1")
    if not plain:
        text = " ".join(line.partition(": ")[2].partition("  ")[0] for line in text.splitlines())
    digits = "".join(text.split())
    try:
        await process.stdout.write(bytes.fromhex(digits[: len(digits) // 2 * 2]))
    except ValueError:
        await process.complain("xxd: invalid hex digits")
        return 1
    return 0
