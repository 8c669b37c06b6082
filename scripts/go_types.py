"""The fields of Go structs, read from the type data that Go keeps in its executables for `reflect`.

Source: Go's `internal/abi/type.go` (StructType, StructField, Name, UncommonType; unchanged since Go 1.18).
"""

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

_STRUCT: Final = 25
_POINTER: Final = 22
_KIND: Final = 23
"""Where a type says its kind, in its low five bits."""
_NUMBER: Final = re.compile(r'protobuf:"\w+,(\d+)')
_JSON: Final = re.compile(r'json:"([^"]*)"')


class GoField(NamedTuple):
    """A struct field with a protobuf tag: its number, its JSON tag, whether Go holds a pointer."""

    number: int
    json: str
    pointer: bool


class _ReadOnlyData:
    """The section `.rodata` of a 64-bit little-endian executable that is not position-independent."""

    def __init__(self, path: Path) -> None:
        elf = path.read_bytes()
        sections, size, count, names = struct.unpack_from("<Q10xHHH", elf, 40)
        headers = [struct.unpack_from("<IIQQQQ", elf, sections + size * index) for index in range(count)]
        titles = headers[names][4]
        found = next(entry for entry in headers if elf.startswith(b".rodata\0", titles + entry[0]))
        self.address: int = found[3]
        self.data = elf[found[4] : found[4] + found[5]]

    def name(self, at: int) -> tuple[str, str]:
        """A name and its tag."""
        flags = self.data[at]
        name, at = self._text(at + 1)
        return name, self._text(at)[0] if flags & 2 else ""

    def _text(self, at: int) -> tuple[str, int]:
        length = shift = 0
        while True:
            byte = self.data[at]
            length |= (byte & 127) << shift
            at, shift = at + 1, shift + 7
            if byte < 128:
                return self.data[at : at + length].decode(), at + length

    def structs(self) -> Iterator[tuple[int, int, int]]:
        """Where a struct type may be, where its fields are, and how many."""
        for at in range(0, len(self.data) - 96, 8):
            if self.data[at + _KIND] & 31 == _STRUCT:
                fields, count, capacity = struct.unpack_from("<QQQ", self.data, at + 56)
                if count == capacity and 0 < count < 200 and self.holds(fields, 24 * count):
                    yield at, fields - self.address, count

    def holds(self, address: int, size: int = 24) -> bool:
        """Whether an address points here."""
        return self.address <= address < self.address + len(self.data) - size


def protobuf_structs(path: Path) -> dict[str, list[GoField]]:
    """The structs with protobuf tags of an executable, by `package/path.Name`."""
    data, found = _ReadOnlyData(path), {}
    for at, fields, count in data.structs():
        try:
            tagged = list(_fields(data, fields, count))
            if tagged:
                found[_title(data, at)] = tagged
        except (IndexError, UnicodeDecodeError, struct.error):
            continue  # chance made these bytes look like a struct
    return found


def _fields(data: _ReadOnlyData, fields: int, count: int) -> Iterator[GoField]:
    for index in range(count):
        name, kind = struct.unpack_from("<QQ", data.data, fields + 24 * index)
        if not (data.holds(name) and data.holds(kind)):
            return
        tag = data.name(name - data.address)[1]
        number, json = _NUMBER.search(tag), _JSON.search(tag)
        if number and json:
            yield GoField(int(number[1]), json[1], data.data[kind - data.address + _KIND] & 31 == _POINTER)


def _title(data: _ReadOnlyData, at: int) -> str:
    name, package = struct.unpack_from("<i", data.data, at + 40)[0], struct.unpack_from("<i", data.data, at + 80)[0]
    return f"{data.name(package)[0]}.{data.name(name)[0].rpartition('.')[2]}"
