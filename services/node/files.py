"""Files of a machine, and how a container sees them: its image's and its own, with mounts of the machine's above."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

LARGEST: Final = 16 * 1024 * 1024


class FileError(OSError):
    """A file operation that fails as it would; `strerror` is what programs print."""


def normal(path: str, folder: str = "/") -> str:
    """The absolute path without `.`, `..` and doubled slashes."""
    parts: list[str] = []
    for part in (path if path.startswith("/") else f"{folder}/{path}").split("/"):
        if part == "..":
            parts[-1:] = []
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


class Files:
    """A tree of files; folders are where files are, or were made."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self._files: dict[str, bytes] = {normal(path): data for path, data in (files or {}).items()}
        self._folders: dict[str, None] = {"/": None}

    def read(self, path: str) -> bytes | None:
        """A file's bytes, None where there is no such file."""
        return self._files.get(normal(path))

    def write(self, path: str, data: bytes) -> None:
        """Sets a file's bytes. Raises FileError."""
        path = normal(path)
        if self.is_folder(path):
            raise FileError(21, "Is a directory")
        if len(data) > LARGEST:
            raise FileError(28, "No space left on device")
        self._files[path] = bytes(data)

    def make_folder(self, path: str) -> None:
        """Makes a folder, and those above it."""
        self._folders[normal(path)] = None

    def remove(self, path: str) -> bool:
        """Removes a file; whether there was one."""
        return self._files.pop(normal(path), None) is not None

    def remove_tree(self, path: str) -> None:
        """Removes a folder and everything below it."""
        prefix = normal(path).rstrip("/") + "/"
        for name in [name for name in self._files if name.startswith(prefix)]:
            del self._files[name]
        for name in [name for name in self._folders if (name + "/").startswith(prefix)]:
            self._folders.pop(name, None)
        self._files.pop(normal(path), None)

    def is_folder(self, path: str) -> bool:
        """Whether a folder is there."""
        path = normal(path)
        if path in self._folders or path == "/":
            return True
        prefix = path + "/"
        return any(name.startswith(prefix) for name in self._files) or any(
            name.startswith(prefix) for name in self._folders
        )

    def entries(self, path: str) -> list[str]:
        """The names in a folder, in order."""
        prefix = normal(path).rstrip("/") + "/"
        below = [name[len(prefix) :] for name in (*self._files, *self._folders) if name.startswith(prefix)]
        return sorted({name.split("/", 1)[0]: None for name in below if name})


@dataclass(frozen=True, slots=True)
class Mounted:
    """A folder or file of the machine under a container's path."""

    container_path: str
    host_path: str
    read_only: bool


class ContainerFiles:
    """A container's view: the longest matching mount, else its own files."""

    def __init__(self, machine: Files, own: Files, mounts: Iterable[Mounted]) -> None:
        self._machine, self._own = machine, own
        self._mounts = sorted(mounts, key=lambda mount: -len(normal(mount.container_path)))

    def _find(self, path: str) -> tuple[Files, str, bool]:
        path = normal(path)
        for mount in self._mounts:
            place = normal(mount.container_path)
            if path == place or path.startswith(place.rstrip("/") + "/"):
                return self._machine, normal(mount.host_path + path[len(place) :]), mount.read_only
        return self._own, path, False

    def read(self, path: str) -> bytes | None:
        """A file's bytes, None where there is no such file."""
        files, place, _ = self._find(path)
        return files.read(place)

    def write(self, path: str, data: bytes) -> None:
        """Sets a file's bytes. Raises FileError."""
        files, place, read_only = self._find(path)
        if read_only:
            raise FileError(30, "Read-only file system")
        files.write(place, data)

    def remove(self, path: str) -> bool:
        """Removes a file; whether there was one. Raises FileError."""
        files, place, read_only = self._find(path)
        if read_only:
            raise FileError(30, "Read-only file system")
        return files.remove(place)

    def make_folder(self, path: str) -> None:
        """Makes a folder. Raises FileError."""
        files, place, read_only = self._find(path)
        if read_only:
            raise FileError(30, "Read-only file system")
        files.make_folder(place)

    def is_folder(self, path: str) -> bool:
        """Whether a folder is there; the place of a mount is one."""
        files, place, _ = self._find(path)
        prefix = normal(path).rstrip("/") + "/"
        return files.is_folder(place) or any(normal(mount.container_path).startswith(prefix) for mount in self._mounts)

    def entries(self, path: str) -> list[str]:
        """The names in a folder, in order, mounts included."""
        files, place, _ = self._find(path)
        names = dict.fromkeys(files.entries(place))
        prefix = normal(path).rstrip("/") + "/"
        for mount in self._mounts:
            inside = normal(mount.container_path)
            if inside.startswith(prefix):
                names[inside[len(prefix) :].split("/", 1)[0]] = None
        return sorted(names)
