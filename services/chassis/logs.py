"""Structured logs: one line of JSON an event on stderr, or of the console's form for people."""

import logging
import sys
from typing import Any, TextIO, cast

import structlog


class _Lossy:
    """A stream that lets a line go where it cannot be written (a full disk): logs are no reason to end."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            return


def configure(level: str, component: str, instance: str, stream: TextIO | None = None) -> None:
    """Sets logging up for a process."""
    minimum = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(minimum),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _Lossy(stream or sys.stderr))),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(component=component, instance=instance)


Logger = Any
"""structlog's bound logger; its type depends on the configuration."""
