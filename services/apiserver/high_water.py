"""The newest revision that was applied, and so may have been acknowledged, beside the log: by it a log that lost its
end is told from a whole one.

A file of eight bytes (little-endian) in shared memory: what was written is there after kill -9 (mmap(2), MAP_SHARED).
"""

import mmap
import os
from pathlib import Path
from typing import Final

SIZE: Final = 8


class HighWater:
    """One file; revisions only rise. Raises OSError."""

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.truncate(descriptor, SIZE)
            self._memory = mmap.mmap(descriptor, SIZE)
        finally:
            os.close(descriptor)
        self._revision = int.from_bytes(self._memory[:], "little")

    def reach(self, revision: int) -> None:
        """The revision was applied."""
        if revision > self._revision:
            self._revision = revision
            self._memory[:] = revision.to_bytes(SIZE, "little")


def read(path: Path) -> int:
    """The newest revision that a file tells of (0: none). Raises OSError."""
    try:
        return int.from_bytes(path.read_bytes()[:SIZE], "little")
    except FileNotFoundError:
        return 0
