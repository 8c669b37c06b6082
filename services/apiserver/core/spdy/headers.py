"""Header blocks: names and values behind counts, compressed with one zlib stream for each direction.

A name comes once; its several values are joined by NUL (draft-mbelshe-httpbis-spdy-00, section 2.6.10).
"""

import zlib
from collections.abc import Mapping
from typing import Final

from podwire.services.apiserver.core.spdy.dictionary import DICTIONARY
from podwire.services.apiserver.core.spdy.errors import ProtocolError

type Headers = dict[str, str]

LARGEST_BLOCK: Final = 16 * 1024
"""Bytes of one header block, inflated."""
MOST_HEADERS: Final = 128


class HeaderCompressor:
    """The sending direction's zlib stream."""

    def __init__(self) -> None:
        self._stream = zlib.compressobj(zdict=DICTIONARY)

    def compress(self, headers: Mapping[str, str]) -> bytes:
        """One block; its bytes are to be sent in the order of the calls."""
        parts = [len(headers).to_bytes(4)]
        for name, value in headers.items():
            for text in (name.lower(), value):
                data = text.encode()
                parts += [len(data).to_bytes(4), data]
        return self._stream.compress(b"".join(parts)) + self._stream.flush(zlib.Z_SYNC_FLUSH)


class HeaderDecompressor:
    """The receiving direction's zlib stream; a block never inflates beyond LARGEST_BLOCK."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(zdict=DICTIONARY)

    def decompress(self, block: bytes) -> Headers:
        """One block's headers. Raises ProtocolError."""
        try:
            data = self._stream.decompress(block, LARGEST_BLOCK + 1)
        except zlib.error as error:
            raise ProtocolError(f"header block: {error}") from None
        if len(data) > LARGEST_BLOCK or self._stream.unconsumed_tail:
            raise ProtocolError(f"header block: more than {LARGEST_BLOCK} bytes inflated")
        if self._stream.eof:
            raise ProtocolError("header block: the compressed stream ended")
        return parse_block(data)


def parse_block(data: bytes) -> Headers:
    """The headers of an inflated block. Raises ProtocolError."""
    count, position = _number(data, 0), 4
    if count > MOST_HEADERS:
        raise ProtocolError(f"header block: {count} headers, at most {MOST_HEADERS} are taken")
    headers: Headers = {}
    for _ in range(count):
        name, position = _text(data, position)
        value, position = _text(data, position)
        if not name or name != name.lower() or name in headers:
            raise ProtocolError(f"header block: name {name!r} is empty, not lower case, or repeated")
        headers[name] = value
    if position != len(data):
        raise ProtocolError(f"header block: {len(data) - position} bytes follow the last header")
    return headers


def _number(data: bytes, position: int) -> int:
    if position + 4 > len(data):
        raise ProtocolError("header block: it ends within a length")
    return int.from_bytes(data[position : position + 4])


def _text(data: bytes, position: int) -> tuple[str, int]:
    length = _number(data, position)
    end = position + 4 + length
    if end > len(data):
        raise ProtocolError(f"header block: a length of {length} reaches beyond its end")
    return data[position + 4 : end].decode(errors="replace"), end
