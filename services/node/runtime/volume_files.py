"""Volumes on the machine: those that the kubelet fills, copies for subPath mounts, folders of the machine.

Source: kubernetes `pkg/volume/util/atomic_writer.go`, `pkg/volume/hostpath/host_path.go` (checkTypeInternal).
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from podwire.proto.messages.runtime import VolumeFile
from podwire.services.chassis.chance import RandomBits, below
from podwire.services.chassis.clock import SECOND
from podwire.services.node.files import FileError, Files
from podwire.services.node.runtime.failures import CallFailed

_DATA: Final = "..data"
_SUFFIXES: Final = 1_000_000_000


def write_volume(files: Files, folder: str, wanted: Mapping[str, VolumeFile], now: int, random: RandomBits) -> None:
    """Writes a volume anew beside the old one, then turns `..data` to it; the same files change nothing.
    Raises CallFailed."""
    before = files.target(f"{folder}/{_DATA}")
    if before is not None and _content(files, f"{folder}/{before}") == dict(wanted):
        return
    moment = datetime.fromtimestamp(now // SECOND, UTC).strftime("..%Y_%m_%d_%H_%M_%S.")
    name = f"{moment}{below(random, _SUFFIXES)}"
    files.make_folder(f"{folder}/{name}")
    _write(files, f"{folder}/{name}", wanted)
    files.link(f"{folder}/{_DATA}", name)
    tops = list(dict.fromkeys(path.split("/", 1)[0] for path in wanted))
    for top in tops:
        files.link(f"{folder}/{top}", f"{_DATA}/{top}")
    for entry in files.entries(folder):
        if not entry.startswith("..") and entry not in tops:
            files.remove(f"{folder}/{entry}")
    if before is not None:
        files.remove_tree(f"{folder}/{before}")


def _content(files: Files, folder: str) -> dict[str, VolumeFile]:
    """All files below a folder."""
    found: dict[str, VolumeFile] = {}
    for name in files.entries(folder):
        path = f"{folder}/{name}"
        data = files.read(path)
        if data is not None:
            found[name] = VolumeFile(data, files.mode(path))
        else:
            found |= {f"{name}/{inner}": value for inner, value in _content(files, path).items()}
    return found


def copy_files(files: Files, folder: str, wanted: Mapping[str, VolumeFile]) -> None:
    """Plain files; the name "" is the path itself. Raises CallFailed."""
    files.remove_tree(folder)
    if "" not in wanted:
        files.make_folder(folder)
    _write(files, folder, wanted)


def _write(files: Files, folder: str, wanted: Mapping[str, VolumeFile]) -> None:
    try:
        for name, file in wanted.items():
            files.write(f"{folder}/{name}" if name else folder, file.data, file.mode)
    except FileError as error:
        raise CallFailed("ResourceExhausted", f"{folder}: {error.strerror}") from None


def prepare_folder(files: Files, path: str, kind: str) -> None:
    """What a hostPath's type asks for. Raises CallFailed with the kubelet's words."""
    is_folder, is_file = files.is_folder(path), files.read(path) is not None
    if kind == "DirectoryOrCreate" and not is_file:
        files.make_folder(path)
    elif kind == "FileOrCreate" and not is_folder:
        if not is_file:
            files.write(path, b"")
    elif kind in ("DirectoryOrCreate", "Directory") and not is_folder:
        raise CallFailed("FailedPrecondition", f"hostPath type check failed: {path} is not a directory")
    elif kind in ("FileOrCreate", "File") and not is_file:
        raise CallFailed("FailedPrecondition", f"hostPath type check failed: {path} is not a file")
    elif kind in ("Socket", "CharDevice", "BlockDevice"):
        what = {"Socket": "a socket file", "CharDevice": "a character device", "BlockDevice": "a block device"}[kind]
        raise CallFailed("FailedPrecondition", f"hostPath type check failed: {path} is not {what}")
