"""A terminal's size as clients send it: `{"Width":80,"Height":24}`, one object after the other."""

from typing import Final

import msgspec

_LONGEST: Final = 4096
_MOST: Final = 65535


class _Size(msgspec.Struct):
    Width: int = 0
    Height: int = 0


def read_size(text: bytes) -> tuple[int, int] | None:
    """Width and height; None for anything else."""
    try:
        size = msgspec.json.decode(text, type=_Size)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if not (0 <= size.Width <= _MOST and 0 <= size.Height <= _MOST):
        return None
    return size.Width, size.Height


class SizeReader:
    """Takes a stream of sizes in pieces; what is no size is dropped."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[int, int]]:
        """The sizes that are complete now."""
        *texts, self._rest = (self._rest + data).replace(b"}", b"}\n").split(b"\n")
        self._rest = self._rest[:_LONGEST]
        return [size for text in texts if text.strip() and (size := read_size(text)) is not None]
