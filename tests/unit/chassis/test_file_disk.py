"""A disk in a file: records come back in order; what is torn or damaged is lost, but never silently."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podwire.services.chassis.disk import DiskFull, DiskUnreadable
from podwire.services.chassis.live.disk import FileDisk

RECORDS = [b"one", b"", b"three" * 100]


@given(records=st.lists(st.binary(max_size=100)))
def test_records_come_back_in_order(tmp_path_factory: pytest.TempPathFactory, records: list[bytes]) -> None:
    path = tmp_path_factory.mktemp("disk") / "node-1"
    disk = FileDisk(path)
    for record in records:
        disk.append(record)
    assert FileDisk(path).records() == records
    disk.replace(records[::-1])
    disk.append(b"last")
    assert FileDisk(path).records() == [*records[::-1], b"last"]
    assert [entry.name for entry in path.parent.iterdir()] == ["node-1"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_record_may_be_torn_at_any_byte(tmp_path: Path) -> None:
    whole = _written(tmp_path / "whole")
    for length in range(len(whole)):
        path = tmp_path / f"torn-{length}"
        path.write_bytes(whole[:length])
        found = FileDisk(path).records()
        assert found == RECORDS[: len(found)]
        _is_said(path, whole[:length], found)


@pytest.mark.parametrize("bit", range(8 * 8 + 8))
def test_damage_is_said_and_kept_beside(tmp_path: Path, bit: int) -> None:
    """Of the first record's length, checksum and content."""
    path = tmp_path / "node-1"
    whole = bytearray(_written(path))
    whole[bit // 8] ^= 1 << bit % 8
    path.write_bytes(whole)
    assert FileDisk(path).records() == []
    _is_said(path, bytes(whole), [])


def _is_said(path: Path, content: bytes, found: list[bytes]) -> None:
    """What was cut off is kept, whatever it is; the disk goes on behind what was found."""
    kept = path.with_name(f"{path.name}.damaged")
    is_whole = len(content) == sum(8 + len(record) for record in found)
    assert kept.exists() != is_whole
    assert is_whole or (kept.read_bytes() == content and kept.stat().st_mode & 0o777 == 0o600)
    FileDisk(path).append(b"after")
    assert FileDisk(path).records() == [*found, b"after"]


def test_a_full_disk_keeps_what_it_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "node-1"
    _written(path)
    disk = FileDisk(path)
    really, calls = os.write, iter([3])

    def write(file: int, data: bytes) -> int:
        if (room := next(calls, None)) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        return really(file, data[:room])

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(DiskFull, match="No space left"):
        disk.append(b"four")
    with pytest.raises(DiskFull, match="No space left"):
        disk.replace([b"five"])
    monkeypatch.undo()
    assert FileDisk(path).records() == RECORDS


def test_a_file_that_cannot_be_made_is_a_full_disk(tmp_path: Path) -> None:
    disk = FileDisk(tmp_path / "gone" / "node-1")
    with pytest.raises(DiskFull, match="No such file or directory"):
        disk.append(b"x")
    with pytest.raises(DiskFull, match="No such file or directory"):
        disk.replace([b"x"])


def test_a_disk_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DiskUnreadable, match=r"node-1: Is a directory"):
        _ = FileDisk(_folder(tmp_path / "node-1")).records()


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _written(path: Path) -> bytes:
    disk = FileDisk(path)
    for record in RECORDS:
        disk.append(record)
    return path.read_bytes()
