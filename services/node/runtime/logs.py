"""A container's log: the newest lines, bounded in number and bytes, read in pages; readers may wait for more."""

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from podwire.proto.messages.runtime import LogLine, LogLines

if TYPE_CHECKING:
    from podwire.services.node.runtime.records import ContainerRecord

LOG_LINES: Final = 10_000
LOG_BYTES: Final = 10 * 1024 * 1024
"""The kubelet's default containerLogMaxSize."""
LONGEST_LINE: Final = 16 * 1024
_PAGE_BYTES: Final = 512 * 1024
_LONGEST_WAIT: Final = 5.0


class ContainerLog:
    """The lines that a container wrote; the oldest are forgotten."""

    def __init__(self) -> None:
        self._lines: deque[LogLine] = deque()
        self._first = self._bytes = 0
        self._partial: dict[str, bytes] = {}
        self._changed = asyncio.Event()

    def write(self, stream: str, data: bytes, now: int) -> None:
        """Takes output; a line is kept once it is complete, or too long."""
        *lines, rest = (self._partial.pop(stream, b"") + data).split(b"\n")
        for line in lines:
            for start in range(0, max(len(line), 1), LONGEST_LINE):
                self.add(stream, line[start : start + LONGEST_LINE].decode(errors="replace"), now)
        while len(rest) > LONGEST_LINE:
            self.add(stream, rest[:LONGEST_LINE].decode(errors="replace"), now)
            rest = rest[LONGEST_LINE:]
        if rest:
            self._partial[stream] = rest

    def add(self, stream: str, text: str, now: int) -> None:
        """Takes one line."""
        self._lines.append(LogLine(now, stream, text))
        self._bytes += len(text)
        while len(self._lines) > LOG_LINES or self._bytes > LOG_BYTES:
            self._bytes -= len(self._lines.popleft().text)
            self._first += 1
        self._changed.set()

    def finish(self, now: int) -> None:
        """Keeps what was not ended by a newline; nothing follows."""
        for stream, rest in list(self._partial.items()):
            self.add(stream, rest.decode(errors="replace"), now)
        self._partial.clear()
        self._changed.set()

    @property
    def end(self) -> int:
        """The number that the next line will have."""
        return self._first + len(self._lines)

    def read(self, start: int) -> tuple[int, list[LogLine]]:
        """A page of lines from `start` on, and the number of the first."""
        begin = min(max(start, self._first), self.end)
        page, size = [], 0
        for position in range(begin - self._first, len(self._lines)):
            page.append(self._lines[position])
            size += len(page[-1].text) + 64
            if size >= _PAGE_BYTES:
                break
        return begin, page

    async def change(self, seconds: float) -> None:
        """Returns at the next line, at the end of the log, or after a time."""
        self._changed.clear()
        try:
            await asyncio.wait_for(self._changed.wait(), seconds)
        except TimeoutError:
            pass


async def read_log(record: "ContainerRecord", start: int, wait: float) -> LogLines:
    """A page of a container's log; waits for it if there is nothing yet and the container has not ended."""
    log = record.log
    if wait > 0 and start >= log.end and record.state != "EXITED":
        await log.change(min(wait, _LONGEST_WAIT))
    begin, lines = log.read(start)
    more = begin + len(lines) < log.end
    return LogLines(start=begin, lines=lines, ended=record.state == "EXITED" and not more, more=more)
