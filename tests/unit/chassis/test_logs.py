"""Logs that cannot be written are let go."""

import errno
import io
from collections.abc import Iterator

import pytest
import structlog

from podwire.services.chassis import logs


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


class FullDisk(io.StringIO):
    """What a log file on a full disk is."""

    refused = 0

    def write(self, text: str) -> int:
        self.refused += 1
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_ends_nobody() -> None:
    disk = FullDisk()
    logs.configure("info", "podwire", "test", disk)
    for _ in range(2):
        structlog.get_logger().info("nobody hears it")
    assert disk.refused >= 2


def test_a_line_is_json() -> None:
    stream = io.StringIO()
    logs.configure("info", "podwire", "test", stream)
    structlog.get_logger().info("said", what="it")
    assert '"what":"it"' in stream.getvalue().replace(" ", "") and '"component"' in stream.getvalue()
