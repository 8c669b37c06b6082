"""Files of a machine, and how a container sees them: its image's and its own, with mounts of the machine's above."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

LARGEST: Final = 16 * 1024 * 1024
FILE_MODE: Final = 0o644
FOLDER_MODE: Final = 0o755
_MOST_LINKS: Final = 40


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
    """A tree of files; folders are where files are, or were made. Symbolic links are followed, by their own rules."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self._files: dict[str, bytes] = {normal(path): data for path, data in (files or {}).items()}
        self._folders: dict[str, None] = {"/": None}
        self._links: dict[str, str] = {}
        self._modes: dict[str, int] = {}

    def resolve(self, path: str) -> str:
        """The path behind all symbolic links (path_resolution(7)). Raises FileError (ELOOP)."""
        path = normal(path)
        if not self._links:
            return path
        for _ in range(_MOST_LINKS):
            place = next((place for place in _prefixes(path) if place in self._links), None)
            if place is None:
                return path
            path = normal(self._links[place] + path[len(place) :], place.rpartition("/")[0])
        raise FileError(40, "Too many levels of symbolic links")

    def _beside(self, path: str) -> str:
        """The path with its folder's links followed, but not its own."""
        folder, _, name = normal(path).rpartition("/")
        return f"{self.resolve(folder or '/').rstrip('/')}/{name}"

    def read(self, path: str) -> bytes | None:
        """A file's bytes, None where there is no such file."""
        return self._files.get(self.resolve(path))

    def write(self, path: str, data: bytes, mode: int | None = None) -> None:
        """Sets a file's bytes, and its permission bits where they are given. Raises FileError."""
        path = self.resolve(path)
        if self.is_folder(path):
            raise FileError(21, "Is a directory")
        if len(data) > LARGEST:
            raise FileError(28, "No space left on device")
        self._files[path] = bytes(data)
        if mode is not None:
            self._modes[path] = mode

    def link(self, path: str, target: str) -> None:
        """Makes a symbolic link, or sets one anew in one step (rename(2) over it)."""
        self._links[self._beside(path)] = target

    def target(self, path: str) -> str | None:
        """Where a symbolic link leads, None for what is no link."""
        return self._links.get(self._beside(path)) if self._links else None

    def mode(self, path: str) -> int:
        """Permission bits: what they were set to, else 0644, and 0755 of folders."""
        path = self.resolve(path)
        return self._modes.get(path, FOLDER_MODE if self.is_folder(path) else FILE_MODE)

    def change_mode(self, path: str, mode: int) -> None:
        """Sets the permission bits of what is there (chmod(2))."""
        self._modes[self.resolve(path)] = mode & 0o7777

    def make_folder(self, path: str) -> None:
        """Makes a folder, and those above it."""
        self._folders[self.resolve(path)] = None

    def remove_folder(self, path: str) -> None:
        """Removes an empty folder. Raises FileError (ENOTEMPTY)."""
        if self.entries(path):
            raise FileError(39, "Directory not empty")
        self._folders.pop(self.resolve(path), None)

    def remove(self, path: str) -> bool:
        """Removes a file or a link; whether there was one."""
        path = self._beside(path)
        was_there = self._links.pop(path, None) is not None or self._files.pop(path, None) is not None
        if was_there:
            self._modes.pop(path, None)
        return was_there

    def remove_tree(self, path: str) -> None:
        """Removes a folder and everything below it; of a link only the link."""
        path = self._beside(path)
        prefix = path.rstrip("/") + "/"
        tables: tuple[dict[str, Any], ...] = (self._files, self._links, self._modes, self._folders)
        for table in tables:
            for name in [name for name in table if (name + "/").startswith(prefix)]:
                del table[name]

    def is_folder(self, path: str) -> bool:
        """Whether a folder is there."""
        path = self.resolve(path)
        if path in self._folders or path == "/":
            return True
        prefix = path + "/"
        return any(name.startswith(prefix) for table in (self._files, self._folders, self._links) for name in table)

    def entries(self, path: str) -> list[str]:
        """The names in a folder, in order."""
        prefix = self.resolve(path).rstrip("/") + "/"
        tables = (self._files, self._folders, self._links)
        below = [name[len(prefix) :] for table in tables for name in table if name.startswith(prefix)]
        return sorted({name.split("/", 1)[0]: None for name in below if name})


def _prefixes(path: str) -> Iterator[str]:
    """`/a`, `/a/b`, … of `/a/b/c`, and the path itself."""
    position = path.find("/", 1)
    while position > 0:
        yield path[:position]
        position = path.find("/", position + 1)
    yield path


@dataclass(frozen=True, slots=True)
class Mounted:
    """A folder or file of the machine under a container's path."""

    container_path: str
    host_path: str
    read_only: bool


class ContainerFiles:
    """A container's view: the longest matching mount, else its own files."""

    def __init__(self, machine: Files, own: Files, mounts: Iterable[Mounted], read_only_root: bool = False) -> None:
        self._machine, self._own, self._read_only_root = machine, own, read_only_root
        self._mounts = sorted(mounts, key=lambda mount: -len(normal(mount.container_path)))

    def _find(self, path: str) -> tuple[Files, str, bool]:
        path = normal(path)
        for mount in self._mounts:
            place = normal(mount.container_path)
            if path == place or path.startswith(place.rstrip("/") + "/"):
                return self._machine, normal(mount.host_path + path[len(place) :]), mount.read_only
        return self._own, path, self._read_only_root

    def target(self, path: str) -> str | None:
        """Where a symbolic link leads, None for what is no link."""
        files, place, _ = self._find(path)
        return files.target(place)

    def mode(self, path: str) -> int:
        """Permission bits."""
        files, place, _ = self._find(path)
        return files.mode(place)

    def resolve(self, path: str) -> str:
        """The path behind symbolic links inside one mount or the container's own files. Raises FileError."""
        files, place, _ = self._find(path)
        resolved = files.resolve(place)
        return normal(path) if files is self._machine else resolved

    def read(self, path: str) -> bytes | None:
        """A file's bytes, None where there is no such file."""
        files, place, _ = self._find(path)
        return files.read(place)

    def _find_to_change(self, path: str) -> tuple[Files, str]:
        files, place, read_only = self._find(path)
        if read_only:
            raise FileError(30, "Read-only file system")
        return files, place

    def write(self, path: str, data: bytes, mode: int | None = None) -> None:
        """Sets a file's bytes, and its permission bits where they are given. Raises FileError."""
        files, place = self._find_to_change(path)
        files.write(place, data, mode)

    def link(self, path: str, target: str) -> None:
        """Makes a symbolic link, or sets one anew. Raises FileError."""
        files, place = self._find_to_change(path)
        files.link(place, target)

    def change_mode(self, path: str, mode: int) -> None:
        """Sets permission bits. Raises FileError."""
        files, place = self._find_to_change(path)
        files.change_mode(place, mode)

    def remove(self, path: str) -> bool:
        """Removes a file or a link; whether there was one. Raises FileError."""
        files, place = self._find_to_change(path)
        return files.remove(place)

    def remove_folder(self, path: str) -> None:
        """Removes an empty folder; the place of a mount is busy. Raises FileError."""
        if any(normal(mount.container_path) == normal(path) for mount in self._mounts):
            raise FileError(16, "Resource busy")
        files, place = self._find_to_change(path)
        files.remove_folder(place)

    def make_folder(self, path: str) -> None:
        """Makes a folder. Raises FileError."""
        files, place = self._find_to_change(path)
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
