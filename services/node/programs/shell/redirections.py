"""Redirections: file descriptors of a process, opened, copied and closed (POSIX.1-2017, 2.7)."""

import errno
from typing import Any

from podwire.services.node.files import FileError
from podwire.services.node.pipes import Reader, Sink, Writer
from podwire.services.node.process import Process
from podwire.services.node.programs.filesystem import BytesReader, open_to_read, open_to_write
from podwire.services.node.programs.shell.syntax import Redirection


class _Closed:
    """A descriptor that is not open."""

    async def read(self, limit: int = 0) -> bytes:
        raise OSError(errno.EBADF, "Bad file descriptor")

    async def write(self, data: bytes) -> None:
        raise OSError(errno.EBADF, "Bad file descriptor")

    def close(self) -> None:
        """It is."""


def redirect(process: Process, redirection: Redirection, target: str) -> None:
    """Changes one descriptor of a process. Raises FileError."""
    descriptor = redirection.descriptor
    match redirection.kind:
        case "<" | "<>":
            _set(process, descriptor, open_to_read(process, target))
        case "<<":
            _set(process, descriptor, BytesReader(target.encode()))
        case ">" | ">>":
            _set(process, descriptor, open_to_write(process, target, append=redirection.kind == ">>"))
        case _ if target == "-":
            _close(process, descriptor)
        case _:
            _set(process, descriptor, _get(process, target))


def redirect_to(process: Process, redirection: Redirection, stream: Any) -> None:
    """Changes one descriptor to a stream that is open. Raises FileError."""
    _set(process, redirection.descriptor, stream)


def release(opened: Process, outer: Process) -> None:
    """Closes the connections that were opened for one command."""
    kept = _connections(outer)
    for stream in _connections(opened):
        if all(stream is not other for other in kept):
            stream.release()


def _connections(process: Process) -> list[Any]:
    streams = [process.stdin, process.stdout, process.stderr, *process.files_open.values()]
    return [stream for stream in streams if hasattr(stream, "release")]


def _get(process: Process, target: str) -> Any:
    """What a descriptor is. Raises FileError."""
    standard = {"0": process.stdin, "1": process.stdout, "2": process.stderr}
    if target in standard:
        return standard[target]
    number = int(target) if target.isascii() and target.isdigit() and len(target) < 9 else -1
    if number not in process.files_open:
        raise FileError(errno.EBADF, "Bad file descriptor")
    return process.files_open[number]


def _set(process: Process, descriptor: int, stream: Reader | Writer) -> None:
    """Raises FileError for standard streams the wrong way round, which no program here could use."""
    if descriptor > 2:
        process.files_open[descriptor] = stream
    elif descriptor == 0 and isinstance(stream, Reader):
        process.stdin = stream  # a pipe is both, here
    elif descriptor == 1 and isinstance(stream, Writer):
        process.stdout = stream
    elif descriptor == 2 and isinstance(stream, Writer):
        process.stderr = stream
    else:
        raise FileError(errno.EBADF, "Bad file descriptor")


def _close(process: Process, descriptor: int) -> None:
    match descriptor:
        case 0:
            process.stdin = _Closed()
        case 1:
            process.stdout = _Closed()
        case 2:
            process.stderr = Sink(lambda _: None)
        case _:
            stream = process.files_open.pop(descriptor, None)
            if stream is not None and hasattr(stream, "release"):
                stream.release()
