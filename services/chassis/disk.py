"""What outlives a process: records on a disk, oldest first."""

from collections.abc import Iterable
from typing import Protocol


class DiskFull(Exception):
    """A record could not be kept, for lack of room mostly; the message says why."""


class DiskUnreadable(Exception):
    """What is kept cannot be read; the message says why."""


class Disk(Protocol):
    """An append-only list of records, which may be replaced as a whole in one step."""

    def records(self) -> list[bytes]:
        """Everything that is kept; a record that a death tore is not. Raises DiskUnreadable."""
        ...

    def append(self, record: bytes) -> None:
        """Keeps one more: it outlives the process from here on. Raises DiskFull."""
        ...

    def replace(self, records: Iterable[bytes]) -> None:
        """Keeps these instead of all before, or those before. Raises DiskFull."""
        ...


class MemoryDisk:
    """A disk that is as long-lived as whoever holds it."""

    def __init__(self) -> None:
        self._records: list[bytes] = []
        self.full = False

    def records(self) -> list[bytes]:
        return list(self._records)

    def append(self, record: bytes) -> None:
        self._check_room()
        self._records.append(record)

    def replace(self, records: Iterable[bytes]) -> None:
        self._check_room()
        self._records = list(records)

    def _check_room(self) -> None:
        if self.full:
            raise DiskFull("No space left on device")
