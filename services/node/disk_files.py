"""The files of a machine on its disk: they outlive a loss of power, but for what is in memory on a real one too.

Each change is one record; a boot does them again on the files of a fresh installation. When the records have grown to
more than twice what they have made, they are written anew.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Final

import msgspec

from podwire.proto.messages import codec
from podwire.services.chassis.disk import Disk, DiskFull
from podwire.services.node.files import FileError, Files, normal

IN_MEMORY: Final = ("/run", "/var/run", "/tmp", "/dev", "/proc", "/sys", "/var/lib/kubelet/pods")
"""What a boot finds empty: file systems in memory (file-hierarchy(7)). Volumes of pods that are not persistent are made
anew with their pods."""
_SLACK: Final = 1 << 20


class Written(msgspec.Struct, frozen=True, tag="w", array_like=True):
    """Bytes of a file from an offset on, which is its new end; its mode if that was given."""

    path: str
    offset: int
    data: bytes
    mode: int | None = None


class Linked(msgspec.Struct, frozen=True, tag="l", array_like=True):
    """A symbolic link."""

    path: str
    target: str


class ModeChanged(msgspec.Struct, frozen=True, tag="m", array_like=True):
    """Permission bits."""

    path: str
    mode: int


class FolderMade(msgspec.Struct, frozen=True, tag="f", array_like=True):
    """A folder."""

    path: str


class FolderRemoved(msgspec.Struct, frozen=True, tag="d", array_like=True):
    """An empty folder is gone."""

    path: str


class Removed(msgspec.Struct, frozen=True, tag="r", array_like=True):
    """A file or a link is gone."""

    path: str


class TreeRemoved(msgspec.Struct, frozen=True, tag="t", array_like=True):
    """A folder and everything below it is gone."""

    path: str


Change = Written | Linked | ModeChanged | FolderMade | FolderRemoved | Removed | TreeRemoved


class DiskFiles(Files):
    """Files whose changes are kept on a disk. A change for which there is no room is an error to whoever makes it, and
    is gone at the next boot."""

    def __init__(self, disk: Disk, installed: Mapping[str, bytes], folders: Iterable[str] = ()) -> None:
        super().__init__(dict(installed))
        self._folders |= dict.fromkeys(folders)
        self.foreign = 0
        self._disk, self._installed = disk, {normal(path): data for path, data in installed.items()}
        self._kept = self._size = 0
        for record in disk.records():
            self._again(record)
        with suppress(DiskFull):
            self._keep_anew()

    # -- changes

    def write(self, path: str, data: bytes, mode: int | None = None) -> None:
        """As Files has it. Raises FileError, also where the disk is full."""
        place = self.resolve(path)
        before = self._files.get(place)
        super().write(path, data, mode)
        if before == data and mode is None:
            return
        offset = len(before) if before is not None and data.startswith(before) else 0
        self._keep(Written(place, offset, bytes(data[offset:]), mode))

    def link(self, path: str, target: str) -> None:
        """As Files has it."""
        place = self._beside(path)
        super().link(path, target)
        self._keep(Linked(place, target))

    def change_mode(self, path: str, mode: int) -> None:
        """As Files has it."""
        place = self.resolve(path)
        super().change_mode(path, mode)
        self._keep(ModeChanged(place, mode))

    def make_folder(self, path: str) -> None:
        """As Files has it."""
        place = self.resolve(path)
        is_new = place not in self._folders
        super().make_folder(path)
        if is_new:
            self._keep(FolderMade(place))

    def remove_folder(self, path: str) -> None:
        """As Files has it."""
        place = self.resolve(path)
        super().remove_folder(path)
        self._keep(FolderRemoved(place))

    def remove(self, path: str) -> bool:
        """As Files has it."""
        place = self._beside(path)
        was_there = super().remove(path)
        if was_there:
            self._keep(Removed(place))
        return was_there

    def remove_tree(self, path: str) -> None:
        """As Files has it."""
        place = self._beside(path)
        super().remove_tree(path)
        self._keep(TreeRemoved(place))

    # -- the disk

    def _keep(self, change: Change) -> None:
        if _is_in_memory(change.path):
            return
        record = codec.encode(change)
        self._kept += len(record)
        try:
            if self._kept > 2 * self._size + _SLACK:
                self._keep_anew()
            else:
                self._disk.append(record)
        except DiskFull as error:
            raise FileError(28, str(error)) from None

    def _keep_anew(self) -> None:
        records = [codec.encode(change) for change in self._differences()]
        self._kept = self._size = sum(map(len, records))
        if records or self._disk.records():
            self._disk.replace(records)

    def _differences(self) -> Iterator[Change]:
        """What makes these files of a fresh installation's."""
        yield from (Removed(path) for path in self._installed if path not in self._files)
        yield from (FolderMade(path) for path in self._folders if path != "/" and not _is_in_memory(path))
        for path, data in self._files.items():
            if not _is_in_memory(path) and (self._installed.get(path) != data or path in self._modes):
                yield Written(path, 0, data, self._modes.get(path))
        yield from (Linked(path, target) for path, target in self._links.items() if not _is_in_memory(path))
        for path, mode in self._modes.items():
            if path not in self._files and not _is_in_memory(path):
                yield ModeChanged(path, mode)

    def _again(self, record: bytes) -> None:
        try:
            change: Change = codec.decode_union(Change, record)
        except codec.ForeignMessage:
            self.foreign += 1
            return
        match change:
            case Written(path, offset, data, mode):
                self._files[path] = self._files.get(path, b"")[:offset] + data
                if mode is not None:
                    self._modes[path] = mode
            case Linked(path, target):
                self._links[path] = target
            case ModeChanged(path, mode):
                self._modes[path] = mode
            case FolderMade(path):
                self._folders[path] = None
            case FolderRemoved(path):
                self._folders.pop(path, None)
            case Removed(path):
                super().remove(path)
            case TreeRemoved(path):
                super().remove_tree(path)


def _is_in_memory(path: str) -> bool:
    return any(path == place or path.startswith(place + "/") for place in IN_MEMORY)
