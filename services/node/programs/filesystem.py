"""Files as programs open them: the container's own, the devices in /dev, and the settings in /proc/sys."""

import errno
import os

from podwire.services.chassis.chance import RandomBits
from podwire.services.node.files import FileError, normal
from podwire.services.node.pipes import NoInput, Reader, Sink, Writer
from podwire.services.node.process import Process

_SYSCTLS = "/proc/sys/"
_NETWORK_DEVICES = "/sys/class/net/"


class BytesReader:
    """Reads what is already there."""

    def __init__(self, data: bytes) -> None:
        self._rest = memoryview(data)

    async def read(self, limit: int = 65536) -> bytes:
        data, self._rest = bytes(self._rest[:limit]), self._rest[limit:]
        return data


class DeviceReader:
    """/dev/zero and /dev/urandom: bytes without end."""

    def __init__(self, random: RandomBits | None) -> None:
        self._random = random

    async def read(self, limit: int = 65536) -> bytes:
        return self._random.getrandbits(8 * limit).to_bytes(limit) if self._random is not None else bytes(limit)


class FileWriter:
    """Appends to a file; what another writer appended meanwhile stays."""

    def __init__(self, process: Process, path: str) -> None:
        self._files, self._path = process.files, path

    async def write(self, data: bytes) -> None:
        self._files.write(self._path, (self._files.read(self._path) or b"") + data)

    def close(self) -> None:
        """Nothing is held back."""


def failure(number: int) -> FileError:
    """The error of a number, with the C library's text."""
    return FileError(number, os.strerror(number))


def read_file(process: Process, path: str) -> bytes:
    """A file's bytes. Raises FileError (ENOENT, EISDIR)."""
    path = normal(path, process.folder)
    if path == "/dev/null":
        return b""
    data = process.files.read(path)
    if data is None:
        data = _kernel_file(process, path)
    if data is not None:
        return data
    raise failure(errno.EISDIR if is_folder(process, path) else errno.ENOENT)


def _kernel_file(process: Process, path: str) -> bytes | None:
    namespace = process.network.shell.kernel.namespace(process.network.namespace)
    if path.startswith(_SYSCTLS):
        value = namespace.sysctls.get(path[len(_SYSCTLS) :].replace("/", "."))
        return None if value is None else f"{value}\n".encode()
    if path.startswith(_NETWORK_DEVICES):
        name, _, attribute = path[len(_NETWORK_DEVICES) :].partition("/")
        device = namespace.devices.get(name)
        values = {} if device is None else {"address": device.mac.hex(":"), "mtu": device.mtu, "ifindex": device.index}
        return f"{values[attribute]}\n".encode() if attribute in values else None
    return None


def is_folder(process: Process, path: str) -> bool:
    """Whether a folder is there."""
    return process.files.is_folder(normal(path, process.folder))


def exists(process: Process, path: str) -> bool:
    """Whether a file or folder is there."""
    try:
        read_file(process, path)
    except FileError as error:
        return error.errno == errno.EISDIR
    return True


def mode_of(process: Process, path: str) -> int:
    """Permission bits of what is there."""
    return process.files.mode(normal(path, process.folder))


def write_file(process: Process, path: str, data: bytes, mode: int | None = None) -> None:
    """Sets a file's bytes, and its permission bits where they are given. Raises FileError (EISDIR, EROFS, ENOSPC,
    ENOENT for a missing folder)."""
    path = normal(path, process.folder)
    if path == "/dev/null":
        return
    if not process.files.is_folder(path.rpartition("/")[0] or "/"):
        raise failure(errno.ENOENT)
    process.files.write(path, data, mode)


def open_to_read(process: Process, path: str) -> Reader:
    """Opens a file to read. Raises FileError."""
    place = normal(path, process.folder)
    if place in ("/dev/stdin", "/proc/self/fd/0"):
        return process.stdin
    if place in ("/dev/zero", "/dev/urandom", "/dev/random"):
        return DeviceReader(None if place == "/dev/zero" else process.random)
    if place == "/dev/tty" and process.terminal is not None:
        return process.terminal
    return NoInput() if place == "/dev/null" else BytesReader(read_file(process, place))


def open_to_write(process: Process, path: str, *, append: bool) -> Writer:
    """Opens a file to write, made or emptied unless `append`. Raises FileError."""
    place = normal(path, process.folder)
    match place:
        case "/dev/null":
            return Sink(lambda _: None)
        case "/dev/stdout" | "/proc/self/fd/1" | "/proc/1/fd/1":
            return process.stdout
        case "/dev/stderr" | "/proc/self/fd/2" | "/proc/1/fd/2":
            return process.stderr
    if not append or process.files.read(place) is None:
        write_file(process, place, b"")
    return FileWriter(process, place)
