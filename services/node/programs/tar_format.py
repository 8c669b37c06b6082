"""The tar format, as a stream: ustar with GNU long names and pax headers. Pure.

Source: POSIX.1-2024 pax, GNU tar manual "Basic Tar Format"; Go's archive/tar, which kubectl writes with, uses pax
records.
"""

import tarfile
from dataclasses import dataclass
from typing import Final

BLOCK: Final = 512
END: Final = bytes(2 * BLOCK)
LONGEST_EXTENSION: Final = 64 * 1024
"""Bytes of a long name or of a pax header that are taken."""
_EXTENSIONS: Final = (b"L", b"K", b"x", b"g")


class BadArchive(Exception):
    """Bytes that are no tar archive; the text is busybox's."""


@dataclass(slots=True)
class Member:
    """One member; `kind` is "file", "folder", or what the type is called elsewhere."""

    name: str
    size: int = 0
    kind: str = "file"
    mode: int = 0o644


def padding(size: int) -> int:
    """Zero bytes after a member's data."""
    return -size % BLOCK


def header(member: Member) -> bytes:
    """A member's header, with a long name before it where needed."""
    info = tarfile.TarInfo(member.name)
    info.size, info.mode, info.uname, info.gname = member.size, member.mode, "root", "root"
    info.type = tarfile.DIRTYPE if member.kind == "folder" else tarfile.REGTYPE
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def _kind(flag: bytes) -> str:
    names = {b"1": "hard link", b"2": "symlink", b"3": "device", b"4": "device", b"5": "folder", b"6": "fifo"}
    return names.get(flag, "file")


class HeaderReader:
    """Takes headers in order, and the extensions that say more of the member that follows."""

    def __init__(self) -> None:
        self._extension = b""
        self._name, self._size = "", -1

    def take(self, block: bytes) -> Member | None:
        """A header block: the member, of kind "extension" if its data is for `extend`; None for the zeros at the end.
        Raises BadArchive."""
        if not any(block):
            return None
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except (tarfile.HeaderError, ValueError):
            raise BadArchive("invalid tar magic") from None
        if info.size < 0:
            raise BadArchive("invalid tar magic")
        if info.type in _EXTENSIONS:
            self._extension = info.type
            if info.size > LONGEST_EXTENSION:
                raise BadArchive("corrupted archive: an extended header is too long")
            return Member("", info.size, "extension")
        return self._member(info)

    def _member(self, info: tarfile.TarInfo) -> Member:
        name, size = self._name or info.name, info.size if self._size < 0 else self._size
        self._name, self._size = "", -1
        kind = "folder" if name.endswith("/") and info.type in (tarfile.REGTYPE, tarfile.AREGTYPE) else _kind(info.type)
        if kind == "folder":
            name = name.rstrip("/") + "/"
        return Member(name, size if kind == "file" else 0, kind, info.mode)

    def extend(self, data: bytes) -> None:
        """The data of an extension. Raises BadArchive."""
        if self._extension == b"L":
            self._name = data.split(b"\0")[0].decode(errors="surrogateescape")
        elif self._extension == b"x":
            self._take_records(data)

    def _take_records(self, data: bytes) -> None:
        while data:
            length, _, _ = data.partition(b" ")
            if not length.isdigit() or len(length) > 6 or not len(length) < int(length) <= len(data):
                raise BadArchive("corrupted archive: a pax record is malformed")
            record = data[len(length) + 1 : int(length) - 1]
            data = data[int(length) :]
            key, _, value = record.partition(b"=")
            if key == b"path":
                self._name = value.decode(errors="surrogateescape")
            elif key == b"size" and value.isdigit() and len(value) < 16:
                self._size = int(value)
