"""A machine's files after a loss of power: all that was on the disk, and nothing that was in memory."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podwire.services.chassis.disk import MemoryDisk
from podwire.services.node.disk_files import IN_MEMORY, DiskFiles
from podwire.services.node.files import FileError, Files

INSTALLED = {"/etc/hosts": b"127.0.0.1 localhost\n", "/etc/hostname": b"node-1\n"}
Change = Callable[[Files], object]


def grow(files: Files, path: str, more: bytes) -> None:
    """`>>`."""
    files.write(path, (files.read(path) or b"") + more)


_PATHS = st.sampled_from(
    ["/etc/hosts", "/etc", "/srv/data", "/srv/data/a", "/srv/data/b/c", "/srv/link", "/srv", "/run/x", "/var/lib/cni/x"]
)
_CHANGES: st.SearchStrategy[Change] = st.one_of(
    st.builds(
        lambda path, data, mode: lambda files: files.write(path, data, mode),
        _PATHS, st.binary(max_size=20), st.none() | st.integers(0, 0o777),
    ),
    st.builds(lambda path, more: lambda files: grow(files, path, more), _PATHS, st.binary()),
    st.builds(lambda path, target: lambda files: files.link(path, target), st.just("/srv/link"), _PATHS),
    st.builds(lambda path, mode: lambda files: files.change_mode(path, mode), _PATHS, st.integers(0, 0o777)),
    st.builds(lambda path: lambda files: files.make_folder(path), _PATHS),
    st.builds(lambda path: lambda files: files.remove_folder(path), _PATHS),
    st.builds(lambda path: lambda files: files.remove(path), _PATHS),
    st.builds(lambda path: lambda files: files.remove_tree(path), _PATHS),
)  # fmt: skip


def everything(files: Files, folder: str = "/") -> dict[str, object]:
    """What `find` and `cat` show, but for what is in memory."""
    shown: dict[str, object] = {}
    for name in files.entries(folder):
        path = f"{folder.rstrip('/')}/{name}"
        if path in IN_MEMORY:
            continue
        link = files.target(path)
        shown[path] = link if link is not None else (files.read(path), files.mode(path))
        if link is None and files.is_folder(path):
            shown |= everything(files, path)
    return shown


@given(changes=st.lists(_CHANGES, max_size=30))
def test_a_boot_finds_what_was_there(changes: list[Change]) -> None:
    disk = MemoryDisk()
    files = DiskFiles(disk, INSTALLED)
    for change in changes:
        with suppress(FileError):
            change(files)
    before = everything(files)
    assert everything(DiskFiles(disk, INSTALLED)) == before
    assert everything(DiskFiles(disk, INSTALLED)) == before, "a boot writes the records anew"


@given(changes=st.lists(_CHANGES, max_size=30))
def test_a_disk_changes_nothing_of_what_files_do(changes: list[Change]) -> None:
    plain, kept = Files(dict(INSTALLED)), DiskFiles(MemoryDisk(), INSTALLED)
    for change in changes:
        assert _outcome(change, plain) == _outcome(change, kept)
    assert everything(plain) == everything(kept)


def _outcome(change: Change, files: Files) -> object:
    try:
        return change(files)
    except FileError as error:
        return str(error)


@pytest.mark.parametrize("path", [*IN_MEMORY, "/run/flannel/subnet.env", "/var/lib/kubelet/pods/u/volumes/v/key"])
def test_what_is_in_memory_is_gone(path: str) -> None:
    disk = MemoryDisk()
    DiskFiles(disk, {}).write(f"{path}/file", b"x")
    assert disk.records() == []
    assert DiskFiles(disk, {}).read(f"{path}/file") is None


def test_a_fresh_installation_shows_through() -> None:
    disk = MemoryDisk()
    DiskFiles(disk, {"/etc/hosts": b"old", "/etc/os-release": b"old"}).write("/etc/hosts", b"mine")
    files = DiskFiles(disk, {"/etc/hosts": b"new", "/etc/os-release": b"new"})
    assert (files.read("/etc/hosts"), files.read("/etc/os-release")) == (b"mine", b"new")


def test_a_file_that_grows_is_not_written_again_and_again() -> None:
    disk = MemoryDisk()
    files = DiskFiles(disk, {})
    for size in range(1, 2000):
        files.write("/var/log/x", b"y" * 100 * size)
    assert sum(map(len, disk.records())) < 3 * 200_000


def test_records_that_are_outdated_are_forgotten() -> None:
    disk = MemoryDisk()
    files = DiskFiles(disk, {})
    for number in range(100):
        files.write("/srv/x", bytes([number]) * 100_000)
    assert sum(map(len, disk.records())) < 2_000_000
    assert DiskFiles(disk, {}).read("/srv/x") == b"c" * 100_000


def test_a_full_disk_is_an_error_to_who_writes() -> None:
    disk = MemoryDisk()
    files = DiskFiles(disk, {})
    files.write("/srv/a", b"1")
    disk.full = True
    with pytest.raises(FileError, match="No space left on device"):
        files.write("/srv/b", b"2")
    files.write("/tmp/b", b"2")
    assert DiskFiles(disk, {}).read("/srv/a") == b"1", "it boots all the same"
    disk.full = False
    assert DiskFiles(disk, {}).read("/srv/b") is None
    assert DiskFiles(disk, {}).read("/srv/a") == b"1"


def test_foreign_records_are_counted_and_passed_over() -> None:
    disk = MemoryDisk()
    DiskFiles(disk, {}).write("/srv/a", b"1")
    for record in (b"", b"\xc1", b"\x91\xa1z", b"\x92\xa1w\x01"):
        disk.append(record)
    files = DiskFiles(disk, {})
    assert (files.read("/srv/a"), files.foreign) == (b"1", 4)
