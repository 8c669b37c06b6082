"""Which lines of a log a reader asked for, and how they are printed."""

from collections import deque
from datetime import UTC, datetime
from typing import Final

from podwire.proto.messages.kubelet import LogRequest
from podwire.proto.messages.runtime import LogLine

_SECOND: Final = 1_000_000_000


class LogSelection:
    """Takes a log's pages in order. With `tail_lines` nothing is said before the newest line that was there at first is
    known."""

    def __init__(self, request: LogRequest) -> None:
        self._request = request
        self._left = request.limit_bytes
        self._tail: deque[LogLine] | None = None
        if request.tail_lines is not None:
            self._tail = deque(maxlen=request.tail_lines)

    @property
    def is_full(self) -> bool:
        """Whether `limit_bytes` are reached."""
        return self._left is not None and self._left <= 0

    def take(self, lines: list[LogLine], caught_up: bool) -> bytes:
        """What to send now; `caught_up` once a page reached the log's present end."""
        since = self._request.since_time
        if since is not None:
            lines = [line for line in lines if line.time >= since]
        if self._tail is not None:
            self._tail.extend(lines)
            if not caught_up:
                return b""
            lines, self._tail = list(self._tail), None
        return self._limited("".join(self._print(line) for line in lines).encode())

    def _print(self, line: LogLine) -> str:
        return f"{timestamp(line.time)} {line.text}\n" if self._request.timestamps else f"{line.text}\n"

    def _limited(self, data: bytes) -> bytes:
        if self._left is None:
            return data
        data = data[: self._left]
        self._left -= len(data)
        return data


def timestamp(nanoseconds: int) -> str:
    """RFC 3339 with nanoseconds, as `--timestamps` prints it."""
    whole = datetime.fromtimestamp(nanoseconds // _SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{nanoseconds % _SECOND:09d}Z"
