"""A disk in a file: each record behind its length and checksum.

A record that was written outlives `kill -9`: the kernel has it. It is not forced to the medium (fsync): after a crash
of the real machine the newest records may be missing. Reading ends at the first record that is torn or damaged: the log
says so, and the whole file is kept beside as `.damaged`.
"""

import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import structlog

from podwire.services.chassis.disk import DiskFull, DiskUnreadable

logger = structlog.get_logger()

_HEAD: Final = struct.Struct("<II")
"""Length and CRC-32."""


class FileDisk:
    """Records in one file, which is made when the first is kept."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def records(self) -> list[bytes]:
        """Everything up to the first record that is torn or damaged, behind which the file is cut off."""
        try:
            content = self._path.read_bytes()
            found = list(_whole(content))
            length = sum(_HEAD.size + len(record) for record in found)
            if length < len(content):
                self._cut_off(content, length)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise DiskUnreadable(f"{self._path}: {error.strerror}") from None
        return found

    def _cut_off(self, content: bytes, length: int) -> None:
        kept = self._path.with_name(f"{self._path.name}.damaged")
        kept.write_bytes(content)
        kept.chmod(0o600)
        logger.error("a disk is damaged: what is behind is lost", disk=str(self._path), at=length, kept=str(kept))
        os.truncate(self._path, length)

    def append(self, record: bytes) -> None:
        """Raises DiskFull."""
        with _kept_or_not():
            _write(self._opened(), _framed(record))

    def replace(self, records: Iterable[bytes]) -> None:
        """Raises DiskFull."""
        new = self._path.with_name(f"{self._path.name}.new")
        with _kept_or_not():
            file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                _write(file, b"".join(map(_framed, records)))
            finally:
                os.close(file)
            new.replace(self._path)
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _opened(self) -> int:
        if self._file is None:
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return self._file


@contextmanager
def _kept_or_not() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DiskFull(error.strerror) from None


def _write(file: int, data: bytes) -> None:
    """All of it or nothing."""
    before = os.fstat(file).st_size
    try:
        while data:
            data = data[os.write(file, data) :]
    except OSError:
        os.ftruncate(file, before)
        raise


def _framed(record: bytes) -> bytes:
    return _HEAD.pack(len(record), zlib.crc32(record)) + record


def _whole(content: bytes) -> Iterator[bytes]:
    position = 0
    while position + _HEAD.size <= len(content):
        length, checksum = _HEAD.unpack_from(content, position)
        record = content[position + _HEAD.size : position + _HEAD.size + length]
        if len(record) < length or zlib.crc32(record) != checksum:
            return
        yield record
        position += _HEAD.size + length
