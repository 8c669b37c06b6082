"""The inputs of text tools: the files named, or standard input, line by line."""

from podwire.services.node.files import FileError, normal
from podwire.services.node.pipes import Reader
from podwire.services.node.process import Process
from podwire.services.node.programs.filesystem import is_folder, open_to_read

_LONGEST_LINE = 1024 * 1024
_DEEPEST = 60


class LineReader:
    """Lines with their newlines, as they come; a line that is too long comes in pieces."""

    def __init__(self, reader: Reader) -> None:
        self._reader, self._rest, self._ended = reader, b"", False
        self._lines: list[bytes] = []

    async def next(self) -> bytes:
        """The next line, b"" at the end."""
        while not self._lines:
            if self._ended:
                line, self._rest = self._rest, b""
                return line
            data = await self._reader.read()
            self._ended = not data
            *lines, self._rest = (self._rest + data).split(b"\n")
            self._lines = [line + b"\n" for line in reversed(lines)]
            if len(self._rest) > _LONGEST_LINE:
                self._lines.insert(0, self._rest)
                self._rest = b""
        return self._lines.pop()


class EachLine:
    """`async for` over lines, without a generator to leave open."""

    def __init__(self, reader: Reader) -> None:
        self._lines = LineReader(reader)

    def __aiter__(self) -> "EachLine":
        return self

    async def __anext__(self) -> bytes:
        line = await self._lines.next()
        if not line:
            raise StopAsyncIteration
        return line


async def all_lines(reader: Reader) -> list[bytes]:
    """Every line with its newline."""
    return [line async for line in EachLine(reader)]


async def open_inputs(process: Process, names: list[str], complaint: str) -> tuple[list[tuple[str, Reader]], bool]:
    """(name, reader) of every file that can be read ("-" and no names: standard input), and whether all could.
    `complaint` is formatted with `name` and `reason`."""
    found: list[tuple[str, Reader]] = []
    failed = False
    for name in names or ["-"]:
        try:
            found.append((name, process.stdin if name == "-" else open_to_read(process, name)))
        except FileError as error:
            form = "{name}: {reason}" if is_folder(process, name) else complaint
            tool = process.arguments[0].rpartition("/")[2]
            await process.complain(f"{tool}: " + form.format(name=name, reason=error.strerror))
            failed = failed or not (is_folder(process, name) and tool in ("grep", "egrep", "fgrep"))
    return found, not failed


def files_below(process: Process, name: str) -> list[str]:
    """A file, or every file below a folder, in order."""
    place = normal(name, process.folder)
    if name.count("/") > _DEEPEST or not is_folder(process, place):
        return [name]
    names = [f"{name.rstrip('/')}/{each}" for each in process.files.entries(place)]
    return [path for each in names for path in files_below(process, each)]


CANNOT_OPEN = "can't open '{name}': {reason}"
PLAIN = "{name}: {reason}"
