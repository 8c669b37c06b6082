"""tar: create, extract, list; what `kubectl cp` runs in a container. Owners, modes, times and links are not kept."""

import zlib
from typing import Final

from podwire.services.node.files import LARGEST, FileError, normal
from podwire.services.node.pipes import Reader, Writer
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import Options, UsageError, parse_options
from podwire.services.node.programs.filesystem import is_folder, open_to_read, open_to_write, read_file
from podwire.services.node.programs.tar_format import BLOCK, END, BadArchive, HeaderReader, Member, header, padding
from podwire.services.node.programs.usage import refuse

_SHORT: Final = "cxtf:C:vzmopkhOaj"
_VALUED: Final = "fC"
_PIECE: Final = 64 * 1024
_LONG: Final = {
    "create": "c",
    "extract": "x",
    "list": "t",
    "file": "f:",
    "directory": "C:",
    "verbose": "v",
    "gzip": "z",
    "touch": "m",
    "to-stdout": "O",
    "no-same-owner": "o",
    "no-same-permissions": "o",
    "same-permissions": "p",
    "numeric-owner": "o",
    "overwrite": "o",
    "strip-components": "strip:",
    "exclude": "exclude:",
}
_USAGE: Final = "tar c|x|t [-zvOmo] [-f TARFILE] [-C DIR] [FILE]..."


def _with_dashes(words: list[str]) -> list[str]:
    """`cf - a` is `-c -f - a`: letters without a dash take their values from the words that follow, in turn."""
    if not words or words[0].startswith("-"):
        return words
    rest, options = words[1:], []
    for letter in words[0]:
        options.append("-" + letter)
        if letter in _VALUED and rest:
            options.append(rest.pop(0))
    return [*options, *rest]


async def tar(process: Process) -> int:
    """tar c|x|t [-f FILE] [-C FOLDER] [-z] [-v] [-O] [--strip-components N] [NAME]…"""
    try:
        options = parse_options(_with_dashes(process.arguments[1:]), _SHORT, _LONG)
        _check(options)
    except UsageError as error:
        return await refuse(process, error, _USAGE)
    folder = normal(options.value("C", "."), process.folder)
    if not process.files.is_folder(folder):
        await process.complain(f"tar: can't change directory to '{options.value('C')}': No such file or directory")
        return 1
    try:
        if "c" in options:
            return await _Creation(process, options, folder).run()
        return await _Extraction(process, options, folder).run()
    except (BadArchive, FileError) as error:
        reason = error.strerror if isinstance(error, FileError) else error
        await process.complain(f"tar: {reason}")
        return 1


def _check(options: Options) -> None:
    if sum(letter in options for letter in "cxt") != 1:
        raise UsageError("must specify exactly one of c, x and t")
    for letter in "ja":
        if letter in options:
            raise UsageError(f"compression by -{letter} is not built: use -z")
    if "exclude" in options:
        raise UsageError("--exclude is not built")
    if not options.value("strip", "0").isdigit():
        raise UsageError(f"invalid number '{options.value('strip')}'")


class _Creation:
    def __init__(self, process: Process, options: Options, folder: str) -> None:
        self._process, self._options, self._folder = process, options, folder
        self._compressor = zlib.compressobj(wbits=31) if "z" in options else None
        self._code = 0
        self._told = False

    async def run(self) -> int:
        process, name = self._process, self._options.value("f", "-")
        out = process.stdout if name == "-" else open_to_write(process, name, append=False)
        waiting = [(name, normal(name, self._folder)) for name in reversed(self._options.operands)]
        if not waiting:
            raise BadArchive("empty archive")
        while waiting:
            shown, path = waiting.pop()
            children = await self._add(out, shown, path)
            waiting += reversed([(f"{shown.rstrip('/')}/{name}", f"{path.rstrip('/')}/{name}") for name in children])
        await self._write(out, END)
        if self._compressor is not None:
            await out.write(self._compressor.flush())
        return self._code

    async def _write(self, out: Writer, data: bytes) -> None:
        await out.write(data if self._compressor is None else self._compressor.compress(data))

    async def _add(self, out: Writer, shown: str, path: str) -> list[str]:
        """Adds a file or folder; the names in a folder."""
        process = self._process
        name = await self._relative(shown)
        if is_folder(process, path):
            await self._begin(out, Member(name.rstrip("/") + "/", kind="folder", mode=0o755))
            return process.files.entries(path)
        try:
            data = read_file(process, path)
        except FileError as error:
            await process.complain(f"tar: {shown}: {error.strerror}")
            self._code = 1
            return []
        await self._begin(out, Member(name, len(data)))
        for start in range(0, len(data), _PIECE):
            await self._write(out, data[start : start + _PIECE])
        await self._write(out, bytes(padding(len(data))))
        return []

    async def _relative(self, name: str) -> str:
        relative = name.lstrip("/")
        if relative != name and not self._told:
            self._told = True
            gnu = "bash" in self._process.programs
            text = "Removing leading `/' from member names" if gnu else "removing leading '/' from member names"
            await self._process.complain(f"tar: {text}")
        return relative or "."

    async def _begin(self, out: Writer, member: Member) -> None:
        if "v" in self._options:
            await self._process.complain(member.name)
        await self._write(out, header(member))


class _Archive:
    """The archive's bytes in counted pieces."""

    def __init__(self, reader: Reader, zipped: bool) -> None:
        self._reader = reader
        self._inflater = zlib.decompressobj(wbits=31) if zipped else None
        self._buffer = bytearray()

    async def read(self, size: int) -> bytes:
        """At most so many bytes, fewer at the end only. Raises BadArchive."""
        while len(self._buffer) < size:
            data = await self._more()
            if not data:
                break
            self._buffer += data
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    async def exactly(self, size: int) -> bytes:
        """So many bytes. Raises BadArchive."""
        data = await self.read(size)
        if len(data) < size:
            raise BadArchive("short read")
        return data

    async def _more(self) -> bytes:
        if self._inflater is None:
            return await self._reader.read()
        try:
            while not self._inflater.eof:
                given = self._inflater.unconsumed_tail or await self._reader.read()
                if data := self._inflater.decompress(given, _PIECE):
                    return data
                if not given:
                    raise BadArchive("short read")
        except zlib.error:
            raise BadArchive("invalid gzip magic") from None
        return b""

    async def skip(self, size: int) -> None:
        """Passes over bytes."""
        while size:
            size -= len(await self.exactly(min(size, _PIECE)))

    async def drain(self) -> None:
        """Reads to the end, so that whoever writes is not cut off."""
        while await self._reader.read():
            pass


class _Extraction:
    def __init__(self, process: Process, options: Options, folder: str) -> None:
        self._process, self._options, self._folder = process, options, folder
        self._strip = int(options.value("strip", "0"))
        self._only = [name.rstrip("/") for name in options.operands]
        self._code = 0

    async def run(self) -> int:
        name = self._options.value("f", "-")
        reader = self._process.stdin if name == "-" else open_to_read(self._process, name)
        archive, headers = _Archive(reader, "z" in self._options), HeaderReader()
        while block := await archive.read(BLOCK):
            if len(block) < BLOCK:
                raise BadArchive("short read")
            member = headers.take(block)
            if member is None:
                break
            if member.kind == "extension":
                headers.extend(await archive.exactly(member.size))
            else:
                await self._take(member, archive)
            await archive.skip(padding(member.size))
        await archive.drain()
        return self._code

    async def _take(self, member: Member, archive: _Archive) -> None:
        parts = [part for part in member.name.split("/") if part not in ("", ".")]
        wanted = not self._only or any(f"{'/'.join(parts)}/".startswith(f"{name}/") for name in self._only)
        shown = "t" in self._options
        if wanted and (shown or "v" in self._options):
            await self._process.print(f"{member.name}\n")
        parts = parts[self._strip :]
        if shown or not wanted or not parts:
            await archive.skip(member.size)
        elif ".." in parts:
            await self._complain(f"name with '..' skipped: '{member.name}'")
            await archive.skip(member.size)
        else:
            await self._extract(member, "/".join(parts), archive)

    async def _extract(self, member: Member, name: str, archive: _Archive) -> None:
        files, path = self._process.files, normal(name, self._folder)
        if member.kind == "folder":
            files.make_folder(path)
        elif member.kind != "file":
            await self._complain(f"can't create {member.kind} '{name}': Operation not permitted")
        elif member.size > LARGEST:
            await self._complain(f"can't open '{name}': No space left on device")
            await archive.skip(member.size)
        else:
            await self._store(path, name, await archive.exactly(member.size))

    async def _store(self, path: str, name: str, data: bytes) -> None:
        if "O" in self._options:
            await self._process.stdout.write(data)
            return
        try:
            self._process.files.make_folder(path.rpartition("/")[0] or "/")
            self._process.files.write(path, data)
        except FileError as error:
            await self._complain(f"can't open '{name}': {error.strerror}")

    async def _complain(self, text: str) -> None:
        self._code = 1
        await self._process.complain(f"tar: {text}")
